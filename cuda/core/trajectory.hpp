#pragma once

#include "cuda/core/enumerate.hpp"
#include "cuda/core/episode.hpp"
#include "cuda/core/samples.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

// A trajectory is a pure function of (routing, plan, family, number): draw the path that all layers share, then replay
// each layer over it. Nothing else may influence it, so any subset can be computed anywhere, in any order, and added
// up.

/// Draws the path of a trajectory (of cell `cell`, where the walk has separate episodes) and counts what no layer
/// changes.
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
    case Walk::enumerate:
      count_starts(plan, id, plan.entries[id.number], tally);
      break;
  }
}

/// Replays `Lanes` layers, from `first_layer` on, of a trajectory that has begun. Lanes below `first_lane` are computed
/// but not counted: where the layers are no multiple of Lanes, the last bundle overlaps the one before. Only episodes
/// are replayed by more than one layer at a time.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE void replay_layers(const RoutingView& routing, const PlanView& plan, std::uint32_t cell,
                                        const TrajectoryId& id, std::uint32_t first_layer, int first_lane,
                                        const WorkspaceLayout& layout, std::uint64_t* path_block,
                                        std::uint64_t* layer_block, const TallyView& tally) {
  using Bundle = LayerBundle<Words, Lanes>;
  using Mask = ExpertMask<Words>;
  const Path path = layout.path(path_block);
  const LayerContext<Lanes> at{routing, plan, id, tally, first_layer, first_lane, layer_block + layout.totals};
  if (plan.walk == Walk::episodes) {
    Bundle* unions = reinterpret_cast<Bundle*>(layer_block + layout.masks_a);
    Bundle* residents = reinterpret_cast<Bundle*>(layer_block + layout.masks_b);
    auto* found = reinterpret_cast<FoundResidents<Words, Lanes>*>(layer_block + layout.found);
    EpisodeReplay<Words, Lanes>{at, plan.cells[cell], path, unions, residents, found}();
  } else if constexpr (Lanes == 1) {
    Mask* prefix = reinterpret_cast<Mask*>(layer_block + layout.masks_a);
    Mask* all = reinterpret_cast<Mask*>(layer_block + layout.masks_b);
    Mask* kept = reinterpret_cast<Mask*>(layer_block + layout.masks_c);
    auto* step_tokens = reinterpret_cast<std::uint32_t*>(layer_block + layout.step_tokens);
    if (plan.walk == Walk::samples) {
      SampleReplay<Words>{at, path, prefix, all, kept, step_tokens}();
    } else {
      EnumerateReplay<Words>{at, plan.entries[id.number], prefix}();
    }
  }
}

}  // namespace moecarlo
