#include "host/pipeline/expert_parallel.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <numeric>
#include <stdexcept>

#include "cuda/device_draws.hpp"
#include "host/pipeline/output_folder.hpp"
#include "host/pipeline/prepared_study.hpp"
#include "host/pipeline/spreading.hpp"
#include "host/pipeline/study_run.hpp"
#include "host/pipeline/trace_facts.hpp"
#include "host/pipeline/version.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo {
namespace {

Estimate exactly(double value) {
  return {value, Margin::exact(), Margin::exact()};
}

Imbalance over_layers(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto rank = [&](double share) {
    return values[static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size()))) - 1];
  };
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  return {exactly(mean), rank(0.5), rank(0.99)};
}

std::vector<LinkLoad> loads_of(const std::map<hw::Link, LinkLoad>& links) {
  std::vector<LinkLoad> loads;
  loads.reserve(links.size());
  for (const auto& [link, load] : links) loads.push_back(load);
  return loads;
}

/// Tokens of a batch and what of them is kept, in requests of so many columns.
struct Served {
  double tokens = 0, columns = 1, kept = 1;
};

/// Of a layer, and from it of a pass through all layers.
void add_speed(const hw::LayerTime& time, const ParallelQuestion& question, const Served& served, Estimate seconds,
               ParallelPoint& point) {
  const double rest = time.rest_seconds(served.tokens / served.columns, served.columns, question.context);
  const double experts = time.expert_layers() * seconds.value, pass = rest + experts;
  const double speed = served.kept * served.tokens / pass / point.devices;
  const double slope = speed / pass * time.expert_layers();  // of the speed by a layer's seconds
  point.seconds = seconds;
  point.tokens_per_second_per_device = Estimate{speed, seconds.mc_half_width * slope, seconds.trace_half_width * slope};
}

ParallelPoint point_of(const std::vector<ExpertLoads>& layers, const ParallelQuestion& question,
                       std::uint32_t devices) {
  const Spreading spreading(question, devices);
  const std::vector<Spread> spreads = spreading.of(layers);
  const double share = 1.0 / static_cast<double>(layers.size());
  ParallelPoint point;
  point.devices = devices;
  std::vector<double> of_devices, of_experts;
  std::map<hw::Link, LinkLoad> links;
  double over = 0, most_tokens = 0;
  hw::LayerSeconds seconds;
  double link_seconds = 0;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    const Spread& spread = spreads[layer];
    point.device_loads.push_back(spread.device_loads());
    of_devices.push_back(max_over_mean(point.device_loads.back()));
    of_experts.push_back(max_over_mean(layers[layer]));
    point.transfers.value += share * static_cast<double>(spread.transfers);
    point.spilled.value += share * spread.spilled;
    point.forced.value += share * static_cast<double>(spread.forced);
    point.replicas.value += share * static_cast<double>(spread.replicas);
    point.migrations.value += share * static_cast<double>(spread.migrations);
    point.migration_hops.value += share * static_cast<double>(spread.hops);
    const double choices = std::accumulate(layers[layer].begin(), layers[layer].end(), 0.0);
    const double tokens = choices / question.top_k.value_or(1);
    most_tokens = std::max(most_tokens, tokens);
    spreading.add_traffic(point.device_loads.back(), tokens, share, point, links);
    if (const auto memory = spreading.memory(spread)) {
      point.peak_memory_bytes =
          std::max(point.peak_memory_bytes.value_or(0), *std::max_element(memory->begin(), memory->end()));
      for (const double bytes : *memory) over += question.memory_bytes && bytes > *question.memory_bytes ? 1 : 0;
    }
    if (spreading.time() == nullptr) continue;
    const hw::LayerSeconds one = (*spreading.time())(spread, tokens);
    seconds.layer += share * one.layer;
    seconds.experts += share * one.experts;
    link_seconds += share * one.links();
  }
  point.device_max_over_mean = over_layers(of_devices);
  point.expert_max_over_mean = over_layers(of_experts);
  for (Estimate* counted :
       {&point.transfers, &point.spilled, &point.forced, &point.replicas, &point.migrations, &point.migration_hops}) {
    *counted = exactly(counted->value);
  }
  if (point.peak_memory_bytes && question.memory_bytes) point.over_memory = exactly(share * over / devices);
  point.link_loads = loads_of(links);
  if (spreading.time() != nullptr) {
    point.expert_seconds = exactly(seconds.experts);
    point.busiest_link_seconds = exactly(link_seconds);
    add_speed(*spreading.time(), question, {most_tokens}, exactly(seconds.layer), point);
  }
  return point;
}

ParallelPoint point_of(const BatchFigures& figures, const Spreading& spreading, const ParallelQuestion& question,
                       const Served& served) {
  ParallelPoint point;
  point.devices = spreading.devices();
  point.device_max_over_mean = {figures.device_max_over_mean, figures.device_p50, figures.device_p99};
  point.expert_max_over_mean = {figures.expert_max_over_mean, figures.expert_p50, figures.expert_p99};
  point.device_loads = figures.device_loads;
  point.device_tail = figures.device_tail;
  point.transfers = figures.transfers;
  point.spilled = figures.spilled;
  point.forced = figures.forced;
  point.replicas = figures.replicas;
  point.migrations = figures.migrations;
  point.migration_hops = figures.hops;
  std::map<hw::Link, LinkLoad> links;
  const double share = 1.0 / static_cast<double>(figures.device_loads.size());
  for (const std::vector<double>& loads : figures.device_loads) {  // bytes are in proportion to loads
    spreading.add_traffic(loads, served.tokens, share, point, links);
  }
  point.link_loads = loads_of(links);
  if (question.model) point.peak_memory_bytes = figures.peak_memory;
  if (question.memory_bytes) point.over_memory = figures.over_memory;
  if (spreading.time() != nullptr) {
    point.expert_seconds = figures.expert_seconds;
    point.busiest_link_seconds = figures.link_seconds;
    add_speed(*spreading.time(), question, served, figures.seconds, point);
  }
  return point;
}

void expect_options(const ParallelQuestion& question, std::size_t experts) {
  if ((question.balancer == Balancer::llep || question.balancer == Balancer::eplb) &&
      question.placement != "contiguous") {
    fail(ErrorKind::usage, "--placement {} with a balancer that places experts itself (expected contiguous)",
         question.placement);
  }
  if ((question.balancer == Balancer::eplb || question.balancer == Balancer::ni) && question.slots == 0) {
    fail(ErrorKind::usage, "--balancer eplb and ni need --slots");
  }
  if (question.machine && question.model && question.model->experts != experts) {
    fail(ErrorKind::usage, "--model {}: {} experts (expected {}, those of the loads)", question.model->name,
         question.model->experts, experts);
  }
}

/// What `use` gives; numbers that do not fit together are wrong usage.
template <class Use>
auto fitting(const Use& use) {
  try {
    return use();
  } catch (const std::invalid_argument& misfit) {
    fail(ErrorKind::usage, "{}", misfit.what());
  }
}

/// All that decides what is counted, to compare questions by.
std::string in_words(const ParallelQuestion& question, const BatchDraws& draws) {
  const auto content = [](const std::string& name) {
    return names_file(name) ? read_text_file(name, ErrorKind::input, "a table", std::uint64_t{64} << 20) : name;
  };
  std::string text = fmt::format("parallel {} tokens, {} columns, chunks {}, series {} of {} + {}, seed {}, until {}\n",
                                 draws.tokens, draws.columns, draws.chunks, draws.series, draws.uncounted,
                                 draws.counted, draws.seed, draws.relative_half_width);
  Study study;
  study.acceptance = draws.acceptance;
  text += to_toml(study);
  const LlepRule& llep = question.llep;
  text += fmt::format(
      "devices {}, topology {}, groups {}, balancer {}, llep {} {} {} {} {}, copies {} {}, slots {}, every {}, window "
      "{}, "
      "tp {}, source {}, bytes {} {}, memory {}, overlap {}, context {}\nplacement {}\nmapping {}\n",
      fmt::join(device_counts(question), " "), topology_of(question), question.groups, to_string(question.balancer),
      llep.alpha, llep.min_chunk, llep.lambda, llep.on_devices, llep.as_coded, static_cast<int>(question.copies.rule),
      question.copies.alpha, question.slots, question.times.every, question.times.window, question.tensor_parallel,
      static_cast<int>(question.source), question.hidden.value_or(0), question.value_bytes,
      question.memory_bytes.value_or(0), static_cast<int>(question.overlap), question.context,
      content(question.placement), content(question.mapping));
  const auto constants = [&](const hw::Preset& preset) {
    for (const hw::Constant& one : preset.constants) text += fmt::format("{} {}\n", one.key, one.value);
  };
  if (question.model) constants(question.model->preset);
  if (question.machine) constants(question.machine->preset);
  return text;
}

BatchPoint batch_point(const Spreading& spreading, const ParallelQuestion& question,
                       const std::vector<ExpertLoads>& past, double tokens) {
  BatchPoint point;
  point.devices = spreading.devices();
  point.begin = spreading.planned(past, tokens);
  point.by_load = question.balancer == Balancer::llep;
  if (question.model) {
    point.memory = [&spreading](const Spread& spread) { return *spreading.memory(spread); };
    point.memory_bytes = question.memory_bytes.value_or(INFINITY);
  }
  if (const hw::LayerTime* const time = spreading.time()) {
    point.seconds = [time, tokens](const Spread& spread) {
      const hw::LayerSeconds seconds = (*time)(spread, tokens);
      return SpreadSeconds{seconds.layer, seconds.links(), seconds.experts};
    };
  }
  return point;
}

/// A question about a trace, laid out. It stays where it is, as points refer into all of it.
struct PreparedQuestion {
  RoutingTable table;
  ParallelQuestion question;
  std::vector<ExpertLoads> past;
  std::deque<Spreading> spreadings;
  std::optional<PreparedBatches> batches;

  PreparedQuestion(RoutingTable routing, ParallelQuestion asked, BatchDraws draws, const RunSpec& run)
      : table(std::move(routing)), question(std::move(asked)), past(calibration_loads(table)) {
    std::vector<BatchPoint> points;
    for (const std::uint32_t devices : device_counts(question)) {
      points.push_back(
          batch_point(spreadings.emplace_back(question, devices), question, past, static_cast<double>(draws.tokens)));
    }
    if (const std::optional<int> device = chosen_device(run)) {
      draws.on_device = [device](const RequestBatches& requests, bool sorted) {
        return make_device_draws(requests, sorted, *device);
      };
    }
    batches.emplace(table, std::move(draws), std::move(points));
  }
  PreparedQuestion(const PreparedQuestion&) = delete;
  PreparedQuestion& operator=(const PreparedQuestion&) = delete;
};

}  // namespace

std::string_view to_string(Balancer balancer) {
  constexpr std::string_view names[]{"none", "llep", "eplb", "ni"};
  return names[static_cast<std::size_t>(balancer)];
}

std::vector<ExpertLoads> calibration_loads(const RoutingTable& table) {
  std::vector<ExpertLoads> past(table.layers, ExpertLoads(table.experts));
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
      const std::size_t place = std::size_t{layer} * table.experts + rank;
      past[layer][table.expert_of_rank[place]] = table.popularity[place];
    }
  }
  return past;
}

std::vector<ParallelPoint> spread_loads(const std::vector<ExpertLoads>& layers, const ParallelQuestion& question) {
  expect_options(question, layers[0].size());
  return fitting([&] {
    std::vector<ParallelPoint> points;
    for (const std::uint32_t count : device_counts(question)) points.push_back(point_of(layers, question, count));
    return points;
  });
}

ParallelAnswer spread_batches(RoutingTable table, ParallelQuestion question, const BatchDraws& draws,
                              const ParallelRun& run) {
  expect_options(question, table.experts);
  question.top_k = table.top_k;
  return fitting([&] {
    TraceSources none;
    if (run.crew != nullptr) run.crew->share(table, none);
    const PreparedQuestion prepared(std::move(table), question, draws, run.backend);
    BatchStore store;
    if (!run.directory.empty()) {
      store.file = batches_path(run.directory);
      store.provenance = {in_words(question, draws), to_json(trace_facts(prepared.table, false, {}, {})),
                          program_version()};
    }
    store.shard = run.shard;
    store.resume = run.resume;
    store.stops = run.stops;
    store.remark = run.remark;
    std::unique_ptr<Backend> backend = prepared.batches->backend();
    if (run.crew != nullptr) backend = run.crew->as_backend(std::move(backend));
    const BatchResults results = prepared.batches->draw(*backend, std::move(store));
    if (results.interrupted) {
      throw Interrupted(fmt::format("stopped after {} batches{}", results.batches,
                                    run.directory.empty() ? ""
                                                          : fmt::format("; they are in {}, go on with --resume",
                                                                        batches_path(run.directory).string())));
    }
    const Served served{static_cast<double>(draws.tokens), static_cast<double>(draws.columns),
                        1 - results.rejected_share};
    ParallelAnswer answer{results.batches, {}};
    for (std::size_t i = 0; i < results.points.size(); ++i) {
      ParallelPoint& point =
          answer.points.emplace_back(point_of(results.points[i], prepared.spreadings[i], question, served));
      if (draws.columns > 1 && !draws.chunks) point.rejected_share = results.rejected_share;
    }
    return answer;
  });
}

void assist_batches(const std::function<ParallelTask(const RoutingTable& table)>& task, Communicator& all) {
  assist(all, [&](RoutingTable table, const TraceSources&) {
    ParallelTask own = task(table);
    own.question.top_k = table.top_k;
    const auto prepared =
        std::make_shared<const PreparedQuestion>(std::move(table), own.question, std::move(own.draws), own.backend);
    std::shared_ptr<Backend> backend = prepared->batches->backend();
    // As long as the backend is there, so is what it points into.
    return Hand{{backend.get(), [prepared, backend](Backend*) {}}, prepared->batches->counters()};
  });
}

}  // namespace moecarlo
