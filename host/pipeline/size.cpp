#include "host/pipeline/size.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/plan.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/metrics.hpp"
#include "host/study/grid.hpp"
#include "host/support/error.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/presets/units.hpp"
#include "hw/projection/counted.hpp"
#include "hw/projection/evaluate.hpp"
#include "hw/schemes/coding.hpp"
#include "hw/study/counted_rounds.hpp"
#include "hw/study/study_projection.hpp"

namespace moecarlo {
namespace {

/// All capacities counted at once.
class CapacitySweep {
 public:
  CapacitySweep(const SizeQuestion& question, const RoutingTable& table)
      : question_(question), tallies_(simulate(question, table)), reader_(tallies_) {}

  const Tallies& tallies() const { return tallies_; }
  const std::vector<Capacity>& capacities() const { return tallies_.shape.cells[cell()].capacities; }
  Estimate hit_rate(std::size_t capacity) const { return reader_.estimate("hit_rate", at(capacity)); }
  std::vector<double> hit_rate_by_layer(std::size_t capacity) const {
    return reader_.per_layer("hit_rate", at(capacity));
  }

 private:
  static Tallies simulate(const SizeQuestion& question, const RoutingTable& table) {
    Study study;
    study.trajectories = question.trajectories;
    study.seed = question.seed;
    study.calibration.reset();
    study.grid.batch = {question.batch};
    study.grid.depth = {question.depth};
    study.grid.policy = {question.policy};
    study.acceptance.model = AcceptanceModel::ratio;
    study.acceptance.alpha = question.alpha;
    std::vector<ImpliedCapacity> implied;
    for (std::uint32_t c = 0; c <= table.experts; ++c) {
      study.grid.capacity.push_back(c);
      implied.push_back({question.batch, true, Capacity{c, 0}});
      implied.push_back({question.batch, false, Capacity{c, 0}});
    }
    const bool projects = !question.hardware.empty();
    if (!projects) implied.clear();
    const Plan plan = make_plan(
        study, make_grid(study, implied, {.layers = table.layers, .baseline = projects, .objects = table.experts}),
        table);
    const auto backend = make_cpu_backend(table.view(), plan, question.threads);
    Tallies tallies(plan.shape);
    RunOptions options;
    options.trajectories = study.trajectories;
    run(*backend, options, tallies);
    return tallies;
  }

  std::size_t cell() const {
    const auto& cells = tallies_.shape.cells;
    return static_cast<std::size_t>(
        std::find_if(cells.begin(), cells.end(), [&](const CellShape& one) { return one.depth == question_.depth; }) -
        cells.begin());
  }
  PointAddress at(std::size_t capacity) const { return {cell(), 0, static_cast<std::uint32_t>(capacity)}; }

  const SizeQuestion& question_;
  Tallies tallies_;
  MetricReader reader_;
};

hw::Model model_of(const SizeQuestion& question) {
  if (question.model.empty()) fail(ErrorKind::usage, "size: no model (expected --model, a preset or a config.json)");
  return hw::read_model(question.model);
}

hw::System system_of(const SizeQuestion& question) {
  if (question.hardware.empty()) fail(ErrorKind::usage, "size: no machine (expected --hardware, a preset or a file)");
  hw::System system = hw::read_system(question.hardware);
  if (!question.memory_bytes) return system;
  const std::string key = system.tiers.front().name + ".capacity";
  return hw::make_system(hw::with_text(system.preset, key, fmt::format("{}B", *question.memory_bytes)));
}

/// Tokens per second at each capacity, as if the near memory held so many experts whatever its size.
class Speeds {
 public:
  Speeds(const SizeQuestion& question, const CapacitySweep& sweep)
      : question_(question),
        tallies_(sweep.tallies()),
        joints_(joint_bins(tallies_)),
        points_(tallies_, joints_),
        model_(model_of(question)),
        system_(system_of(question)),
        scheme_(hw::find_scheme(question.scheme)),
        projector_(system_, scheme_, model_, question.context),
        sampling_(hw::sampling_of(tallies_)) {
    if (model_.experts != tallies_.shape.experts || model_.top_k != tallies_.shape.top_k)
      fail(ErrorKind::usage,
           "size: {} is not the trace's model (expected {} experts with top-{}, found {} with top-{})", model_.name,
           tallies_.shape.experts, tallies_.shape.top_k, model_.experts, model_.top_k);
  }

  Estimate at(const Capacity& capacity) {
    const hw::CountedPoint point = find(question_.depth, capacity);
    const bool unrestricted = question_.depth > 0 && scheme_.draft_routing == hw::DraftRouting::all;
    const hw::Workload workload = unrestricted ? points_.workload(point, find(0, capacity)) : points_.workload(point);
    const hw::Projection projection = projector_.project_held(workload, kBits);
    std::vector<double> tokens, seconds;
    for (const hw::GroupTotals& group : projection.groups) {
      tokens.push_back(group.tokens);
      seconds.push_back(group.seconds);
    }
    return sampling_.estimate(sampling_.ratio(tokens, seconds));
  }

 private:
  static constexpr std::uint32_t kBits = 8;

  hw::CountedPoint find(std::uint32_t depth, const Capacity& capacity) const {
    return points_.find(question_.batch, depth, question_.policy, kBits, capacity, question_.hardware);
  }

  const SizeQuestion& question_;
  const Tallies& tallies_;
  std::vector<JointBins> joints_;
  hw::CountedPoints points_;
  hw::Model model_;
  hw::System system_;
  hw::Scheme scheme_;
  hw::Projector projector_;
  Sampling sampling_;
};

double half_width(const Estimate& estimate) {
  return std::hypot(estimate.mc_half_width.value_or(0), estimate.trace_half_width.value_or(0));
}

/// The first place at which a condition holds.
std::optional<std::size_t> first(const std::vector<Estimate>& values,
                                 const std::function<bool(const Estimate&)>& holds) {
  const auto found = std::find_if(values.begin(), values.end(), holds);
  if (found == values.end()) return std::nullopt;
  return static_cast<std::size_t>(found - values.begin());
}

/// An error falls as the root of what is sampled.
std::optional<std::uint64_t> times_for(double count, const Margin& margin, double value, double relative) {
  if (!margin.has_value() || !(value > 0)) return std::nullopt;
  return static_cast<std::uint64_t>(std::ceil(count * std::pow(*margin / (relative * value), 2)));
}

std::vector<std::uint32_t> slots_by_layer(const CapacitySweep& sweep, double target) {
  std::vector<std::uint32_t> slots;
  for (std::size_t c = 0; c < sweep.capacities().size(); ++c) {
    const std::vector<double> rates = sweep.hit_rate_by_layer(c);
    slots.resize(rates.size(), sweep.tallies().shape.experts + 1);
    for (std::size_t layer = 0; layer < rates.size(); ++layer) {
      if (rates[layer] >= target) slots[layer] = std::min(slots[layer], sweep.capacities()[c].base);
    }
  }
  return slots;
}

/// The values of what is asked about, by capacity.
std::vector<Estimate> values_of(const SizeQuestion& question, const CapacitySweep& sweep) {
  std::vector<Estimate> values;
  if (!question.tokens_per_second) {
    for (std::size_t c = 0; c < sweep.capacities().size(); ++c) values.push_back(sweep.hit_rate(c));
    return values;
  }
  Speeds speeds(question, sweep);
  for (const Capacity& capacity : sweep.capacities()) values.push_back(speeds.at(capacity));
  return values;
}

void find_capacity(const SizeQuestion& question, SizeAnswer& answer) {
  TableOptions options;
  options.calibration_share.reset();
  options.threads = question.threads;
  const RoutingTable table = build_routing_table(question.trace, options);
  answer.experts = table.experts;
  answer.top_k = table.top_k;
  answer.metric = question.tokens_per_second ? "tokens_per_second" : "hit_rate";
  const CapacitySweep sweep(question, table);
  const std::vector<Estimate> values = values_of(question, sweep);
  std::size_t at = values.size() - 1;
  if (question.capacity) {
    if (*question.capacity > table.experts)
      fail(ErrorKind::usage, "size: capacity: out of range (expected 0 to {}, found {})", table.experts,
           *question.capacity);
    at = *question.capacity;
    answer.capacity = question.capacity;
  } else {
    const double target = question.tokens_per_second ? *question.tokens_per_second : *question.hit_rate;
    const auto place = [&](auto condition) -> std::optional<std::uint32_t> {
      const auto found = first(values, condition);
      return found ? std::optional(sweep.capacities()[*found].base) : std::nullopt;
    };
    answer.capacity = place([&](const Estimate& one) { return one.value >= target; });
    answer.low = place([&](const Estimate& one) { return one.value + half_width(one) >= target; });
    answer.high = place([&](const Estimate& one) { return one.value - half_width(one) >= target; });
    if (answer.capacity) at = *answer.capacity;
    if (question.hit_rate) answer.per_layer = slots_by_layer(sweep, target);
  }
  const Estimate& value = values[at];
  answer.value = value;
  answer.hit_rate = sweep.hit_rate(at);
  answer.trajectories = times_for(static_cast<double>(sweep.tallies().trajectories), value.mc_half_width, value.value,
                                  question.relative_half_width);
  answer.sequences = times_for(static_cast<double>(table.split.evaluation.size()), value.trace_half_width, value.value,
                               question.relative_half_width);
  if (!answer.capacity) return;
  answer.token_cycles = static_cast<double>(*answer.capacity) / table.top_k;
  if (question.model.empty()) return;
  const hw::Model model = model_of(question);
  answer.bytes = hw::expert_bytes(model) * model.moe_layers * *answer.capacity;
}

bool fits(const hw::System& system, const hw::Scheme& scheme, const hw::Model& model, const SizeQuestion& question,
          std::uint64_t context) {
  try {
    const hw::Serving serving{static_cast<std::uint32_t>(context), question.batch, question.depth, 8};
    const hw::Placement placement = hw::place(system, scheme, model, serving, model.moe_layers);
    return !system.has_cache() || placement.slots >= double{1} * question.capacity.value_or(0) * model.moe_layers;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::usage) throw;
    return false;
  }
}

/// 0 where none fits.
std::uint64_t longest_context(const hw::System& system, const hw::Scheme& scheme, const hw::Model& model,
                              const SizeQuestion& question) {
  std::uint64_t low = 0, high = kLongestContext + 1;  // fits (an empty one may not), does not
  while (high - low > 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    (fits(system, scheme, model, question, middle) ? low : high) = middle;
  }
  return low;
}

/// The model with integers of so many bits, wherever its weights have more.
hw::Model in_integers(const hw::Model& model, double bits) {
  hw::Preset preset = model.preset;
  for (const std::string table : {"dense", "experts"}) {
    const hw::WeightFormat& format = table == "dense" ? model.dense_format : model.expert_format;
    if (!hw::has_constant(preset, table + ".bits") || format.bits <= bits) continue;
    for (const auto& [key, value] : {std::pair{".bits", bits}, {".group_size", 32.0}, {".scale_bits", 16.0}})
      preset = hw::with_value(std::move(preset), table + key, value);
  }
  return hw::make_model(preset);
}

void find_smaller_formats(const hw::System& system, const hw::Scheme& scheme, const hw::Model& model,
                          const SizeQuestion& question, SizeAnswer& answer) {
  constexpr double float_bits = 16;
  const bool floats =
      model.dense_format.bits == float_bits && (model.is_dense() || model.expert_format.bits == float_bits);
  if (floats && scheme.codings.empty() && !scheme.stored) {
    const hw::Scheme coded = hw::with_coding(scheme, "dfloat11", hw::coding_constants("dfloat11", nullptr));
    answer.formats.push_back(
        {"dfloat11", coded.stored(model).dense_format.stored_bits(), longest_context(system, coded, model, question)});
  }
  if (scheme.stored) return;
  for (const double bits : {8.0, 4.0}) {
    if (model.dense_format.bits <= bits) continue;
    const hw::Model smaller = in_integers(model, bits);
    answer.formats.push_back({fmt::format("{:g} bits", bits), smaller.dense_format.stored_bits(),
                              longest_context(system, scheme, smaller, question)});
  }
}

void find_context(const SizeQuestion& question, SizeAnswer& answer) {
  const hw::System system = system_of(question);
  const hw::Model model = model_of(question);
  const hw::Scheme scheme = hw::find_scheme(question.scheme);
  const std::uint64_t low = longest_context(system, scheme, model, question);
  if (low == 0) {  // the reason, with the numbers
    hw::place(system, scheme, model, {1, question.batch, question.depth, 8}, model.moe_layers);
    fail(ErrorKind::usage, "size: {} experts a layer of {} do not fit beside its dense weights in {} of {}",
         question.capacity.value_or(0), model.name, system.tiers.front().name, system.name);
  }
  answer.context = low;
  find_smaller_formats(system, scheme, model, question, answer);
}

}  // namespace

double parse_bytes(const std::string& text) {
  std::size_t end = 0;
  double value = 0;
  try {
    value = std::stod(text, &end);
  } catch (const std::exception&) {
    end = 0;
  }
  const auto unit = hw::parse_unit(std::string_view(text).substr(end));
  if (end == 0 || !(value > 0) || !std::isfinite(value) || !unit || unit->dimension != hw::Dimension::bytes)
    fail(ErrorKind::usage, "size: no amount of memory (expected one like 80GB or 24GiB, found {})", text);
  return value * unit->factor;
}

SizeAnswer answer(const SizeQuestion& question) {
  const bool about_capacity = question.hit_rate || question.tokens_per_second ||
                              (question.capacity && !question.longest_context && !question.trace.empty());
  if (!about_capacity && !question.longest_context)
    fail(ErrorKind::usage,
         "size: nothing is asked (expected --hit-rate, --tokens-per-second, --capacity or --context max)");
  if (about_capacity && question.trace.empty()) fail(ErrorKind::usage, "size: no trace (expected TRACE)");
  SizeAnswer found;
  if (question.longest_context) find_context(question, found);
  if (about_capacity) find_capacity(question, found);
  return found;
}

}  // namespace moecarlo
