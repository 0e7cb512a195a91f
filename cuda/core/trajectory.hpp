#pragma once

#include "cuda/core/enumerate.hpp"
#include "cuda/core/episode.hpp"
#include "cuda/core/samples.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

// A trajectory is a pure function of (routing, plan, family, number): draw the path that all layers share, then replay
// each layer over it. Nothing else may influence it, so any subset can be computed anywhere, in any order, and added up.

/// Draws the path of a trajectory (of cell `cell`, where the walk has separate episodes) and counts what no layer changes.
MOECARLO_HOST_DEVICE void begin_trajectory(const PlanView& plan, std::uint32_t cell, const TrajectoryId& id,
                                           const WorkspaceLayout& layout, std::uint64_t* path_block,
                                           const TallyView& tally) {
  const Path path = layout.path(path_block);
  switch (plan.walk) {
    case Walk::episodes:
      draw_episode(plan, plan.cells[cell], id, path);
      count_episode(plan, plan.cells[cell], id, path, tally);
      break;
    case Walk::samples:
      draw_samples(plan, id, path);
      count_samples(plan, id, path, tally);
      break;
    case Walk::enumerate: count_starts(plan, id, plan.entries[id.number], tally); break;
  }
}

/// Replays one layer of a trajectory that has begun.
template <int Words>
MOECARLO_HOST_DEVICE void replay_layer(const RoutingView& routing, const PlanView& plan, std::uint32_t cell,
                                       const TrajectoryId& id, std::uint32_t layer, const WorkspaceLayout& layout,
                                       std::uint64_t* path_block, std::uint64_t* layer_block, const TallyView& tally) {
  using Mask = ExpertMask<Words>;
  const Path path = layout.path(path_block);
  const LayerContext at{routing, plan, id, tally, layer, layer_block + layout.totals};
  Mask* masks_a = reinterpret_cast<Mask*>(layer_block + layout.masks_a);
  Mask* masks_b = reinterpret_cast<Mask*>(layer_block + layout.masks_b);
  Mask* masks_c = reinterpret_cast<Mask*>(layer_block + layout.masks_c);
  switch (plan.walk) {
    case Walk::episodes: EpisodeReplay<Words>{at, plan.cells[cell], path, masks_a, masks_b}(); break;
    case Walk::samples:
      SampleReplay<Words>{
          at, path, masks_a, masks_b, masks_c, reinterpret_cast<std::uint32_t*>(layer_block + layout.step_tokens)}();
      break;
    case Walk::enumerate: EnumerateReplay<Words>{at, plan.entries[id.number], masks_a}(); break;
  }
}

}  // namespace moecarlo
