#include "host/simulate/prefill.hpp"

#include <algorithm>
#include <utility>

#include "cuda/core/histogram/histograms.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/study/grid.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo {

Study prefill_study(const Study& study) {
  Study prefill = study;
  prefill.mode = Mode::replay;
  prefill.warmup = 0;
  prefill.grid.batch = {study.prefill->chunk};
  prefill.grid.depth = {0};
  prefill.draft = {};
  prefill.acceptance = {};
  prefill.acceptance.alpha = 0;
  prefill.histograms |= set_of<PsumHighWater>();
  if (study.prefill->psum_slots) prefill.histograms |= set_of<PsumSpills>();
  prefill.prefetch.reset();
  prefill.stop.reset();
  prefill.hardware.reset();
  return prefill;
}

Plan plan_prefills(const Study& study, const std::vector<ImpliedCapacity>& implied, const RoutingTable& table,
                   TraceSources sources, const TallyShape& decode) {
  const Study prefill = prefill_study(study);
  const Grid grid = make_grid(prefill, implied, {.layers = table.layers, .objects = table.experts});
  Plan plan = make_plan(prefill, grid, table, std::move(sources));
  for (const std::uint32_t s : table.split.evaluation) plan.shape.prompts.push_back(table.sequences[s].length);
  for (std::size_t c = 0; decode.asks && c < plan.shape.cells.size(); ++c) {
    DemandPoint& demand = plan.shape.cells[c].demand;
    const auto same = [&](const CellShape& cell) { return cell.demand.label == demand.label; };
    demand = std::find_if(decode.cells.begin(), decode.cells.end(), same)->demand;
    plan.layout.demands[c] = demand.demand;
  }
  return plan;
}

Prefills count_prefills(const Plan& plan, const RoutingTable& table, unsigned threads) {
  threads = thread_count(threads);
  expect_memory(
      kRunCounters * plan.layout.size * sizeof(std::uint64_t) + cpu_backend_bytes(table.view(), plan, threads),
      "study: what " + std::to_string(threads) + " threads count prefills in");
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(1);
  run(*make_cpu_backend(table.view(), plan, threads), options, tallies);
  Prefills counted{std::move(tallies), {}};
  counted.joints = joint_bins(counted.tallies);
  counted.tallies.counters.resize(counted.tallies.layout.first_joint_counter);
  counted.tallies.counters.shrink_to_fit();
  return counted;
}

}  // namespace moecarlo
