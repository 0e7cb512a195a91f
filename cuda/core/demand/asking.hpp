#pragma once

#include "cuda/core/demand/demands.hpp"
#include "cuda/core/trajectory.hpp"

namespace moecarlo {

/// The walk of enumerate.hpp where a demand rule decides what columns use, which depends on the whole pass: each cell
/// has its own.
template <int Words>
struct AskingStarts {
  const EnumerateReplay<Words>& replay;
  std::uint16_t* confidences;  ///< scratch, [max_depth + 1]
  ExpertMask<Words>* asked;    ///< scratch, [max_depth + 1] what columns use

  MOECARLO_OUTLINED void operator()() const {
    const LayerContext<1>& at = replay.at;
    for (std::uint32_t c = 0; c < at.plan.cell_count; ++c) {
      const Cell& cell = at.plan.cells[c];
      at.clear(cell);
      for (std::uint32_t start = 0; start + cell.depth < replay.sequence.length; ++start) {
        count(cell, replay.sequence.first + start);
      }
      flush(at, cell);
    }
  }

  MOECARLO_HOST_DEVICE void count(const Cell& cell, std::uint32_t token) const {
    const LayerContext<1>& at = replay.at;
    find_confidences(at.plan, cell, KnownThresholds{at.plan, cell, token},
                     [&](std::uint32_t column, std::uint64_t of_one)
                         MOECARLO_INLINED { confidences[column] = static_cast<std::uint16_t>(of_one); });
    const StartChoices<Words> pass{{at.routing, at.plan, cell, at.first_layer}, token, confidences, asked};
    DemandRules::ask(at.plan.demands[cell.demand], pass);
    ExpertMask<Words> running;
    for (std::uint32_t column = 0; column <= cell.depth; ++column) {
      running |= asked[column];
      replay.prefix[column] = running;
    }
    replay.count(cell, token, [&](std::uint32_t column) MOECARLO_INLINED { return asked[column]; });
    count_demands(at, cell, pass);
    count_loaded(at, cell, pass, running);
    if (at.plan.histograms != 0) count_demand_histograms(at, cell, pass);
  }
};

/// Replays all layers of a trajectory that has begun, of a plan that couples them, with demand rules or without,
/// whatever its walk. layer_blocks: one for each layer.
template <int Words>
MOECARLO_HOST_DEVICE void replay_asking(const RoutingView& routing, const PlanView& plan, std::uint32_t cell,
                                        const TrajectoryId& id, const WorkspaceLayout& layout,
                                        std::uint64_t* path_block, std::uint64_t* layer_blocks, const TallyView& tally,
                                        const DrawnMasks& ahead = {}) {
  if (plan.walk != Walk::enumerate) {
    return replay_coupled<Words, DemandRules>(routing, plan, cell, id, layout, path_block, layer_blocks, tally, ahead);
  }
  using Mask = ExpertMask<Words>;
  for (std::uint32_t layer = 0; layer < routing.layers; ++layer) {
    const LayerContext<1> at{routing, plan, id, tally, layer, 0, layer_blocks + layout.totals};
    const EnumerateReplay<Words> replay{at, plan.entries[id.number],
                                        reinterpret_cast<Mask*>(layer_blocks + layout.masks_a)};
    const AskingStarts<Words> starts{replay, path_in(layout, path_block).confidence,
                                     reinterpret_cast<Mask*>(layer_blocks + layout.used)};
    starts();
  }
}

}  // namespace moecarlo
