#include <algorithm>

#include "cuda/core/trajectory.hpp"
#include "tests/simulate/engines.hpp"

namespace moecarlo::testing {
namespace {

constexpr int kLanes = 8;

struct Line {
  alignas(64) std::uint64_t words[8];
};

void simulate_cell(const RoutingView& routing, const PlanView& plan, std::uint32_t cell, const TrajectoryRange& range,
                   const TallyView& tally) {
  const WorkspaceLayout layout = WorkspaceLayout::of(plan, routing.layers, 1, kLanes);
  std::vector<Line> scratch((layout.path_words + layout.layer_words) / 8 + 1);
  std::uint64_t* const path = scratch.front().words;
  for (std::uint64_t number = range.first; number < range.last; ++number) {
    const TrajectoryId id = TrajectoryId::of(plan, range.stream, number);
    begin_trajectory(plan, cell, id, layout, path, tally);
    for (std::uint32_t layer = 0; layer < routing.layers; layer += kLanes) {
      const std::uint32_t first = std::min(layer, routing.layers - kLanes);
      replay_episode<1, kLanes>(routing, plan, cell, id, first, static_cast<int>(layer - first), layout, path,
                                path + layout.path_words, tally);
    }
  }
}

}  // namespace

void simulate_bundles(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                      std::span<std::uint64_t> counters) {
  const PlanView view = plan.view();
  if (!has_episodes(view.walk) || view.coupled || table.layers < kLanes || table.experts > 64) {
    make_cpu_backend(table.view(), plan, 1)->run(range, counters);
    return;
  }
  for (std::uint32_t cell = 0; cell < view.cell_count; ++cell) {
    if (range.has(cell)) simulate_cell(table.view(), view, cell, range.in(view, cell), TallyView{counters.data()});
  }
}

}  // namespace moecarlo::testing
