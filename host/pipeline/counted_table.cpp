#include "host/pipeline/counted_table.hpp"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/study/grid.hpp"
#include "host/support/error.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/synth.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/projection/counted.hpp"
#include "hw/projection/evaluate.hpp"

namespace moecarlo {
namespace {

using hw::ReproducedCell;

constexpr std::uint32_t kBits = 4;

/// Independent tokens of a model's popularity in a file of its own, which goes away once it is read. Layers are alike,
/// so that a few stand for all.
RoutingTable synthetic_routing(const hw::RoutingLaw& law, const TableOptions& options) {
  SynthOptions synthetic;
  synthetic.layers = 4;
  synthetic.experts = law.experts;
  synthetic.top_k = law.top_k;
  synthetic.sequences = 64;
  synthetic.tokens_per_sequence = 512;
  synthetic.zipf = law.popularity;
  const auto path = std::filesystem::temp_directory_path() /
                    fmt::format("moecarlo-reproduce-{}-{}-{}.h5", ::getpid(), law.experts, law.top_k);
  write_synthetic_trace(path, SynthLaw(synthetic), 0, {});
  RoutingTable table = build_routing_table(path, options);
  std::filesystem::remove(path);
  return table;
}

RoutingTable routing_of(const std::string& model, const hw::RoutingLaw& law, const CountedOptions& options) {
  TableOptions all;
  all.calibration_share.reset();
  const auto trace = options.traces.find(model);
  if (trace == options.traces.end()) return synthetic_routing(law, all);
  RoutingTable table = build_routing_table(trace->second, all);
  if (table.experts != law.experts || table.top_k != law.top_k)
    fail(ErrorKind::usage, "{}: the trace is not of {} (expected {} experts with top-{}, found {} with top-{})",
         trace->second.string(), model, law.experts, law.top_k, table.experts, table.top_k);
  return table;
}

/// Draft steps of a round, and the share of the draft that is accepted.
struct Drafting {
  std::uint32_t depth = 0;
  double accepted = 0;

  friend auto operator<=>(const Drafting&, const Drafting&) = default;  // NOLINT(modernize-use-nullptr): its own 0
};

std::optional<Drafting> drafting_of(const hw::TableLaws& laws, const ReproducedCell& cell) {
  if (!cell.alpha()) return std::nullopt;
  const hw::DraftLaw& law = laws.draft_of(cell.key.scheme);
  return Drafting{law.depth, std::clamp((law.tokens(*cell.alpha()) - 1) / law.depth, 0.0, 1.0)};
}

/// One model with its routing: all that its cells share.
class CountedModel {
 public:
  CountedModel(const hw::TableLaws& laws, const std::string& name, const hw::RoutingLaw& law,
               const CountedOptions& options)
      : laws_(laws),
        options_(options),
        model_(hw::read_model(name)),
        reference_(laws.reference),
        table_(routing_of(name, law, options)) {}

  /// Simulates one way of drafting and fills in the cells that have it; without one only the cells without drafting.
  void count(const std::optional<Drafting>& drafting, const std::vector<ReproducedCell*>& cells) const {
    const Tallies tallies = simulate(drafting, cells);
    const std::vector<JointBins> joints = joint_bins(tallies);
    const hw::CountedPoints points(tallies, joints);
    for (ReproducedCell* cell : cells) {
      const hw::System& system = hw::system_of(laws_, cell->key.hb_gb);
      const hw::Scheme scheme = hw::find_scheme(cell->key.scheme);
      const double reference = tokens_per_second(points, cell->key.batch, reference_, hw::autoregressive(), 0);
      const hw::Workload step = workload(points, cell->key.batch, system, scheme, 0);
      const hw::MeanCounts counts = hw::mean_counts(step);
      cell->ar_hit_share_counted = counts.hits / (counts.hits + counts.misses);
      cell->ar_counted = tokens_per_second(points, cell->key.batch, system, scheme, 0) / reference;
      if (drafting)
        cell->sd_counted = tokens_per_second(points, cell->key.batch, system, scheme, drafting->depth) / reference;
    }
  }

 private:
  hw::Placement place(const hw::System& system, const hw::Scheme& scheme, std::uint32_t batch,
                      std::uint32_t depth) const {
    return hw::place(system, scheme, model_, {laws_.context, batch, depth, kBits}, table_.layers);
  }

  Tallies simulate(const std::optional<Drafting>& drafting, const std::vector<ReproducedCell*>& cells) const {
    Study study;
    study.trajectories = options_.trajectories;
    study.calibration.reset();
    study.grid.policy = {Policy::lru, Policy::hotness};
    study.grid.bits = {kBits};
    study.grid.depth = {drafting ? drafting->depth : 0};
    study.acceptance.model = AcceptanceModel::ratio;
    study.acceptance.alpha = drafting ? drafting->accepted : 0.5;
    std::set<std::uint32_t> batches;
    std::vector<ImpliedCapacity> implied;
    for (const ReproducedCell* cell : cells) {
      const std::uint32_t batch = cell->key.batch;
      const hw::System& system = hw::system_of(laws_, cell->key.hb_gb);
      const hw::Scheme scheme = hw::find_scheme(cell->key.scheme);
      batches.insert(batch);
      implied.push_back({batch, true, Capacity{}});  // the reference
      implied.push_back({batch, true, place(system, scheme, batch, 0).capacity});
      if (!drafting) continue;
      const Capacity held = place(system, scheme, batch, drafting->depth).capacity;
      implied.push_back({batch, false, held});
      if (scheme.draft_routing == hw::DraftRouting::all) implied.push_back({batch, true, held});
    }
    study.grid.batch.assign(batches.begin(), batches.end());
    const Plan plan = make_plan(
        study, make_grid(study, implied, {.layers = table_.layers, .baseline = true, .objects = table_.experts}),
        table_);
    const auto backend = make_cpu_backend(table_.view(), plan, options_.threads);
    Tallies tallies(plan.shape);
    RunOptions run_options;
    run_options.trajectories = study.trajectories;
    run(*backend, run_options, tallies);
    return tallies;
  }

  hw::Workload workload(const hw::CountedPoints& points, std::uint32_t batch, const hw::System& system,
                        const hw::Scheme& scheme, std::uint32_t depth) const {
    const Capacity capacity = place(system, scheme, batch, depth).capacity;
    const bool hottest = depth > 0 && scheme.draft_routing == hw::DraftRouting::residents;
    const Policy policy = hottest ? Policy::hotness : Policy::lru;
    const auto counted_at = [&](std::uint32_t at) {
      return points.find(batch, at, policy, kBits, capacity, fmt::format("{} with {}", system.name, scheme.name));
    };
    const bool unrestricted = depth > 0 && scheme.draft_routing == hw::DraftRouting::all;
    hw::Workload counted =
        unrestricted ? points.workload(counted_at(depth), counted_at(0)) : points.workload(counted_at(depth));
    if (depth > 0) {
      counted.draft_width = laws_.width;
      counted.verify_columns = laws_.verify_tokens;
    }
    return counted;
  }

  double tokens_per_second(const hw::CountedPoints& points, std::uint32_t batch, const hw::System& system,
                           const hw::Scheme& scheme, std::uint32_t depth) const {
    const hw::Workload counted = workload(points, batch, system, scheme, depth);
    return hw::tokens_per_second(hw::project(system, scheme, model_, laws_.context, counted, kBits), counted);
  }

  const hw::TableLaws& laws_;
  const CountedOptions& options_;
  hw::Model model_;
  hw::System reference_;
  RoutingTable table_;
};

}  // namespace

void count_table(const hw::TableLaws& laws, const CountedOptions& options,
                 const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                 std::vector<ReproducedCell>& cells) {
  std::map<std::pair<std::string, std::optional<Drafting>>, std::vector<ReproducedCell*>> runs;
  for (ReproducedCell& cell : cells) runs[{cell.key.model, drafting_of(laws, cell)}].push_back(&cell);
  std::uint64_t done = 0;
  for (const auto& [name, law] : laws.routing) {
    const CountedModel model(laws, name, law, options);
    for (const auto& [key, members] : runs) {
      if (key.first != name) continue;
      model.count(key.second, members);
      progress(++done, runs.size());
    }
  }
}

}  // namespace moecarlo
