#include "host/pipeline/expert_parallel.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

/// "replicated:12:hierarchical": its words.
std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> words{""};
  for (const char c : text) {
    if (c == ':') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

[[noreturn]] void refuse_placement(const std::string& placement) {
  fail(ErrorKind::usage, "--placement {} (expected contiguous, popularity or replicated:SLOTS[:global|hierarchical])",
       placement);
}

class Spreading {
 public:
  Spreading(const ParallelQuestion& question, std::uint32_t devices)
      : question_(question), topology_(hw::Topology::parse(question.topology, devices)), devices_(devices) {
    if (topology_.devices() != devices) {
      fail(ErrorKind::usage, "--topology {} has {} devices (expected {}, as --devices says)", question.topology,
           topology_.devices(), devices);
    }
    const bool is_file =
        question.mapping.find('.') != std::string::npos || question.mapping.find('/') != std::string::npos;
    mapping_ = is_file ? hw::read_mapping(question.mapping, topology_)
                       : hw::named_mapping(question.mapping, topology_, question.tensor_parallel);
  }

  Spread of(const ExpertLoads& loads) const {
    if (question_.balancer == Balancer::llep) return least_loaded(loads, devices_, question_.llep);
    if (question_.balancer == Balancer::eplb) {
      return spread_evenly(loads, replicated_placement(loads, question_.slots, devices_, hierarchy(false)), devices_);
    }
    const Placement placement = placed(loads);
    if (question_.balancer == Balancer::none) return spread_evenly(loads, placement, devices_);
    CopyBalancer copies = question_.copies;
    copies.slots = question_.slots;
    return balance_by_copies(loads, placement, devices_, copies,
                             [&](std::uint32_t a, std::uint32_t b) { return topology_.hops(a, b); });
  }

  /// The same where loads are drawn later; a placement by load knows those of the past, [layers][experts].
  SpreadLayer planned(const std::vector<ExpertLoads>& past) const {
    if (question_.balancer == Balancer::llep) {
      return [rule = question_.llep, devices = devices_](const ExpertLoads& loads, std::uint32_t) {
        return least_loaded(loads, devices, rule);
      };
    }
    std::vector<Placement> placements;
    for (const ExpertLoads& loads : past) placements.push_back(placed(loads));
    return [placements = std::move(placements), devices = devices_](const ExpertLoads& loads, std::uint32_t layer) {
      return spread_evenly(loads, placements[layer], devices);
    };
  }

  /// Adds what a layer moves to a point, `share` of its numbers. tokens: of the batch.
  void add_traffic(std::vector<double> to_device, double tokens, double share, ParallelPoint& point,
                   std::map<hw::Link, LinkLoad>& links) const {
    if (!question_.hidden || !question_.top_k) return;
    const double bytes = *question_.hidden * question_.value_bytes;
    for (double& load : to_device) load *= bytes;
    const auto add = [&](const hw::LinkBytes& moved, double LinkLoad::*field, double times) {
      for (const auto& [link, crossing] : moved) {
        LinkLoad& load = links[link];
        load.from = link.first, load.to = link.second;
        load.*field += share * times * crossing;
      }
    };
    const hw::LinkBytes dispatch = dispatch_bytes(topology_, mapping_, to_device, question_.source);
    const hw::AllReduce reduce = all_reduce(topology_, mapping_, tokens / mapping_.groups * bytes);
    add(dispatch, &LinkLoad::dispatch, 1);
    add(combine_bytes(topology_, mapping_, to_device, question_.source), &LinkLoad::combine, 1);
    add(reduce.step, &LinkLoad::all_reduce, reduce.steps);
    point.hop_bytes = point.hop_bytes.value_or(0) + share * hw::sum_of(dispatch);
    point.all_reduce_bytes = point.all_reduce_bytes.value_or(0) + share * reduce.sent;
    const double sent = share * sent_to_others(to_device);
    point.dispatch_bytes = point.dispatch_bytes.value_or(0) + sent;
    point.combine_bytes = point.combine_bytes.value_or(0) + sent;
  }

  /// Bytes of each device: activations in and inside experts, and the weights of the experts that it computes.
  std::optional<std::vector<double>> memory(const Spread& spread) const {
    if (!question_.hidden || !question_.expert_bytes || !question_.expert_width) return std::nullopt;
    std::vector<double> bytes(devices_, 0);
    for (const Chunk& chunk : spread.chunks) {
      bytes[chunk.device] += *question_.expert_bytes +
                             chunk.tokens * (*question_.hidden + *question_.expert_width) * question_.value_bytes;
    }
    return bytes;
  }

  std::uint32_t devices() const { return devices_; }

 private:
  double sent_to_others(const std::vector<double>& to_device) const {
    const double all = std::accumulate(to_device.begin(), to_device.end(), 0.0);
    const double own = 1.0 / mapping_.groups;  // a device's own group, of what it gets
    return all * (1 - (question_.source == hw::TokenSource::domain ? own : own / mapping_.group_size));
  }

  std::optional<Hierarchy> hierarchy(bool always) const {
    const std::uint32_t nodes = topology_.nodes();
    if (question_.groups == 0 && !always) return std::nullopt;
    if (question_.groups == 0) fail(ErrorKind::usage, "--placement {} needs --groups", question_.placement);
    return Hierarchy{nodes, question_.groups};
  }

  Placement placed(const ExpertLoads& loads) const {
    const std::vector<std::string> words = words_of(question_.placement);
    if (words.size() == 1 && words[0] == "contiguous") {
      return contiguous_placement(static_cast<std::uint32_t>(loads.size()), devices_);
    }
    if (words.size() == 1 && words[0] == "popularity") return popularity_placement(loads, devices_);
    std::uint32_t slots = 0;
    const bool is_replicated = words[0] == "replicated" && (words.size() == 2 || words.size() == 3);
    if (!is_replicated) refuse_placement(question_.placement);
    const auto [end, error] = std::from_chars(words[1].data(), words[1].data() + words[1].size(), slots);
    const bool global = words.size() == 2 || words[2] == "global";
    if (error != std::errc() || end != words[1].data() + words[1].size() || (!global && words[2] != "hierarchical")) {
      refuse_placement(question_.placement);
    }
    return replicated_placement(loads, slots, devices_, global ? std::nullopt : hierarchy(true));
  }

  const ParallelQuestion& question_;
  hw::Topology topology_;
  hw::Mapping mapping_;
  std::uint32_t devices_;
};

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

ParallelPoint point_of(const std::vector<ExpertLoads>& layers, const ParallelQuestion& question,
                       std::uint32_t devices) {
  const Spreading spreading(question, devices);
  const double share = 1.0 / static_cast<double>(layers.size());
  ParallelPoint point;
  point.devices = devices;
  std::vector<double> of_devices, of_experts;
  std::map<hw::Link, LinkLoad> links;
  double over = 0;
  for (const ExpertLoads& loads : layers) {
    const Spread spread = spreading.of(loads);
    point.device_loads.push_back(spread.device_loads());
    of_devices.push_back(max_over_mean(point.device_loads.back()));
    of_experts.push_back(max_over_mean(loads));
    point.transfers.value += share * static_cast<double>(spread.transfers);
    point.spilled.value += share * spread.spilled;
    point.forced.value += share * static_cast<double>(spread.forced);
    point.replicas += share * static_cast<double>(spread.replicas);
    point.migrations += share * static_cast<double>(spread.migrations);
    point.migration_hops += share * static_cast<double>(spread.hops);
    const double tokens = std::accumulate(loads.begin(), loads.end(), 0.0) / question.top_k.value_or(1);
    spreading.add_traffic(point.device_loads.back(), tokens, share, point, links);
    if (const auto memory = spreading.memory(spread)) {
      point.peak_memory_bytes =
          std::max(point.peak_memory_bytes.value_or(0), *std::max_element(memory->begin(), memory->end()));
      for (const double bytes : *memory) over += question.memory_bytes && bytes > *question.memory_bytes ? 1 : 0;
    }
  }
  point.device_max_over_mean = over_layers(of_devices);
  point.expert_max_over_mean = over_layers(of_experts);
  for (Estimate* counted : {&point.transfers, &point.spilled, &point.forced}) *counted = exactly(counted->value);
  if (point.peak_memory_bytes && question.memory_bytes) point.over_memory = exactly(share * over / devices);
  for (const auto& [link, load] : links) point.link_loads.push_back(load);
  return point;
}

std::vector<std::uint32_t> device_counts(const ParallelQuestion& question) {
  if (!question.devices.empty()) return question.devices;
  return {hw::Topology::parse(question.topology, 0).devices()};
}

/// Choices in the calibration split, by expert.
std::vector<ExpertLoads> past_of(const RoutingTable& table) {
  std::vector<ExpertLoads> past(table.layers, ExpertLoads(table.experts));
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
      const std::size_t place = std::size_t{layer} * table.experts + rank;
      past[layer][table.expert_of_rank[place]] = table.popularity[place];
    }
  }
  return past;
}

ParallelPoint point_of(const BatchFigures& figures, const Spreading& spreading, const ParallelQuestion& question,
                       double tokens) {
  ParallelPoint point;
  point.devices = static_cast<std::uint32_t>(figures.device_loads[0].size());
  point.device_max_over_mean = {figures.device_max_over_mean, figures.device_p50, figures.device_p99};
  point.expert_max_over_mean = {figures.expert_max_over_mean, figures.expert_p50, figures.expert_p99};
  point.device_loads = figures.device_loads;
  point.transfers = figures.transfers;
  point.spilled = figures.spilled;
  point.forced = figures.forced;
  std::map<hw::Link, LinkLoad> links;
  const double share = 1.0 / static_cast<double>(figures.device_loads.size());
  for (const std::vector<double>& loads : figures.device_loads) {  // bytes are in proportion to loads
    spreading.add_traffic(loads, tokens, share, point, links);
  }
  for (const auto& [link, load] : links) point.link_loads.push_back(load);
  if (question.expert_bytes) point.peak_memory_bytes = figures.peak_memory;
  if (question.memory_bytes) point.over_memory = figures.over_memory;
  return point;
}

void expect_options(const ParallelQuestion& question) {
  if (question.balancer != Balancer::none && question.balancer != Balancer::ni && question.placement != "contiguous") {
    fail(ErrorKind::usage, "--placement {} with a balancer that places experts itself (expected contiguous)",
         question.placement);
  }
  if ((question.balancer == Balancer::eplb || question.balancer == Balancer::ni) && question.slots == 0) {
    fail(ErrorKind::usage, "--balancer eplb and ni need --slots");
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

}  // namespace

std::vector<ParallelPoint> spread_loads(const std::vector<ExpertLoads>& layers, const ParallelQuestion& question) {
  expect_options(question);
  return fitting([&] {
    std::vector<ParallelPoint> points;
    for (const std::uint32_t count : device_counts(question)) points.push_back(point_of(layers, question, count));
    return points;
  });
}

ParallelAnswer spread_batches(const RoutingTable& table, ParallelQuestion question, const BatchDraws& draws) {
  expect_options(question);
  if (question.balancer == Balancer::eplb || question.balancer == Balancer::ni) {
    fail(ErrorKind::usage,
         "--balancer eplb and ni need --loads (expected none or llep with a trace; --placement "
         "replicated:SLOTS copies by the calibration split)");
  }
  question.top_k = table.top_k;
  return fitting([&] {
    const std::vector<ExpertLoads> past = past_of(table);
    std::vector<Spreading> spreadings;
    std::vector<BatchPoint> points;
    for (const std::uint32_t devices : device_counts(question)) spreadings.emplace_back(question, devices);
    for (const Spreading& spreading : spreadings) {
      BatchPoint& point = points.emplace_back(BatchPoint{spreading.devices(), spreading.planned(past)});
      if (!question.expert_bytes) continue;
      point.memory = [&](const Spread& spread) { return *spreading.memory(spread); };
      point.memory_bytes = question.memory_bytes.value_or(INFINITY);
    }
    const BatchResults results = draw_batches(table, draws, points);
    ParallelAnswer answer{results.batches, {}};
    for (std::size_t i = 0; i < points.size(); ++i) {
      ParallelPoint& point = answer.points.emplace_back(
          point_of(results.points[i], spreadings[i], question, static_cast<double>(draws.tokens)));
      if (draws.columns > 1) point.rejected_share = results.rejected_share;
      point.replicas = static_cast<double>(spreadings[i].planned(past)(past[0], 0).replicas);
    }
    return answer;
  });
}

}  // namespace moecarlo
