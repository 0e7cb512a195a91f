#pragma once

#include "cuda/core/coupled.hpp"
#include "cuda/core/enumerate.hpp"
#include "cuda/core/episode_scratch.hpp"
#include "cuda/core/samples.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

// A trajectory is a pure function of (routing, plan, family, number): draw the path that all layers share, then replay
// each layer over it. Nothing else may influence it, so any subset can be computed anywhere, in any order, and added
// up.

/// Whether a cell's episodes draw their path before the layers are replayed. (A coverage acceptance draws it pass by
/// pass, as the residents are known; a replay follows the plan's.)
MOECARLO_HOST_DEVICE bool draws_path_first(const PlanView& plan, const Cell& cell) {
  return plan.walk == Walk::episodes && (cell.depth == 0 || cell.acceptance.kind != Acceptance::by_coverage);
}

/// Draws the path of a trajectory (of cell `cell`, where the walk has separate episodes) and counts what no layer
/// changes.
MOECARLO_HOST_DEVICE void begin_trajectory(const PlanView& plan, std::uint32_t cell, const TrajectoryId& id,
                                           const WorkspaceLayout& layout, std::uint64_t* path_block,
                                           const TallyView& tally) {
  const Path path = path_in(layout, path_block);
  const Cell& own = plan.cells[cell];
  switch (plan.walk) {
    case Walk::episodes:
      if (draws_routing(plan, own)) {
        const std::uint32_t slots = (plan.warmup + plan.rounds) * own.columns() * own.batch;
        for (std::uint32_t i = 0; i < slots; ++i) path.slots[i] = i;
      }
      if (!draws_path_first(plan, own)) break;
      draw_episode(plan, own, id, path);
      count_rounds(own, id, EpisodePath::of(plan, own, path), tally);
      break;
    case Walk::replay:
      count_rounds(own, id, EpisodePath::of(plan, own, path), tally);
      break;
    case Walk::samples:
      draw_samples(plan, id, path);
      count_samples(plan, path, SampleCounter{plan, tally, id.group});
      break;
    case Walk::enumerate:
      count_starts(plan, id, plan.entries[id.number], tally);
      break;
  }
}

/// Replays `Lanes` layers, those of `at`, of an episode that has begun, and adds to their totals. Not for a plan in
/// that couples them. `id` is what `at` and `caches` refer to.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE void add_episode(const LayerContext<Lanes>& at, const Cell& cell,
                                      const LayerCaches<Words, Lanes>& caches, TrajectoryId& id, const Path& path,
                                      const DrawnMasks& drawn) {
  if (draws_routing(at.plan, cell)) {
    for (std::uint32_t pass = 0; pass < caches.path.passes; ++pass) {
      draw_columns<Words, Lanes>(at.routing, at.plan, cell, id, path, pass, caches.path.passes, at.first_layer, drawn);
    }
  }
  EpisodeReplay<Words, Lanes>{at, cell, caches}.add_passes(id);
}

/// Replays `Lanes` layers, from `first_layer` on, of an episode that has begun. Lanes below `first_lane` are computed
/// but not counted: where the layers are no multiple of Lanes, the last bundle overlaps the one before. Nor are those
/// that have no layer, where there are fewer than Lanes; masks are read there, behind the row. Not for a plan that
/// couples them.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE void replay_episode(const RoutingView& routing, const PlanView& plan, std::uint32_t cell,
                                         TrajectoryId id, std::uint32_t first_layer, int first_lane,
                                         const WorkspaceLayout& layout, std::uint64_t* path_block,
                                         std::uint64_t* layer_block, const TallyView& tally) {
  const Cell& own = plan.cells[cell];
  const EpisodeScratch<Words, Lanes> scratch{routing, plan,       own,         id,        tally,
                                             layout,  path_block, layer_block, first_lane};
  const LayerContext<Lanes> at = scratch.context(first_layer, 0);
  at.clear(own);
  add_episode<Words, Lanes>(at, own, scratch.caches(first_layer, 0), id, path_in(layout, path_block),
                            scratch.drawn(first_layer, 0));
  flush(at, own);
}

/// Replays one layer of a trajectory that has begun and whose rounds or starts stand alone (samples, enumerate).
template <int Words>
MOECARLO_HOST_DEVICE void replay_alone(const RoutingView& routing, const PlanView& plan, const TrajectoryId& id,
                                       std::uint32_t layer, const WorkspaceLayout& layout, std::uint64_t* path_block,
                                       std::uint64_t* layer_block, const TallyView& tally) {
  using Mask = ExpertMask<Words>;
  const LayerContext<1> at{routing, plan, id, tally, layer, 0, layer_block + layout.totals};
  Mask* prefix = reinterpret_cast<Mask*>(layer_block + layout.masks_a);
  if (plan.walk == Walk::enumerate) {
    EnumerateReplay<Words>{at, plan.entries[id.number], prefix}();
    return;
  }
  Mask* all = reinterpret_cast<Mask*>(layer_block + layout.masks_b);
  Mask* kept = reinterpret_cast<Mask*>(layer_block + layout.masks_c);
  auto* step_tokens = reinterpret_cast<std::uint32_t*>(layer_block + layout.step_tokens);
  SampleReplay<Words>{at, path_in(layout, path_block), prefix, all, kept, step_tokens}();
}

/// One layer each of an episode of coupled layers, by its number.
template <int Words, class DemandRulesOrNone>
struct CoupledLayers {
  using Rules = DemandRulesOrNone;
  using Columns = std::conditional_t<Rules::kAsk, AskedColumns<Words>, ColumnMasks<Words, 1>>;

  const EpisodeScratch<Words, 1>& scratch;

  MOECARLO_HOST_DEVICE LayerContext<1> context(std::uint32_t layer) const { return scratch.context(layer, layer); }
  MOECARLO_HOST_DEVICE LayerCaches<Words, 1, Columns> caches(std::uint32_t layer) const {
    if constexpr (Rules::kAsk) {
      return scratch.asking_caches(layer, layer);
    } else {
      return scratch.caches(layer, layer);
    }
  }
  MOECARLO_HOST_DEVICE DrawnMasks drawn(std::uint32_t layer) const { return scratch.drawn(layer, layer); }
  MOECARLO_HOST_DEVICE PoolCache<Words> pool(std::uint32_t point) const {
    const Cell& cell = scratch.cell;
    const PlanView& plan = scratch.plan;
    const Capacity& capacity = plan.capacities[cell.first_capacity + point % cell.capacity_count];
    return {plan,
            scratch.id,
            plan.policies[cell.first_policy + point / cell.capacity_count],
            scratch.routing.layers,
            capacity.total(scratch.routing.layers),
            scratch.path_block + scratch.layout.pools + std::size_t{point} * plan.list_words,
            reinterpret_cast<ExpertMask<Words>*>(scratch.path_block + scratch.layout.open),
            reinterpret_cast<ExpertMask<Words>*>(scratch.block(0) + scratch.layout.last)};
  }
};

/// Replays all layers of a trajectory that has begun, of a plan that couples them. layer_blocks: one for each layer.
/// ahead: the masks of the trajectory that are drawn already. Rules: where the plan may have demand rules,
/// DemandRules.
template <int Words, class Rules = NoDemandRules>
MOECARLO_HOST_DEVICE void replay_coupled(const RoutingView& routing, const PlanView& plan, std::uint32_t cell,
                                         TrajectoryId id, const WorkspaceLayout& layout, std::uint64_t* path_block,
                                         std::uint64_t* layer_blocks, const TallyView& tally,
                                         const DrawnMasks& ahead = {}) {
  const Cell& own = plan.cells[cell];
  const Path path = path_in(layout, path_block);
  const EpisodeScratch<Words, 1> scratch{routing, plan, own, id, tally, layout, path_block, layer_blocks, 0, ahead};
  const CoupledLayers<Words, Rules> layers{scratch};
  CoupledReplay<Words, CoupledLayers<Words, Rules>>{routing, plan, own, id, path, layers}();
  if (plan.walk == Walk::episodes && !draws_path_first(plan, own)) {
    count_rounds(own, id, EpisodePath::of(plan, own, path), tally);
  }
}

}  // namespace moecarlo
