#pragma once

#include "cuda/core/layer_caches.hpp"
#include "cuda/core/verify.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

/// The scratch of an episode in one cell, taken apart for its replay.
template <int Words, int Lanes>
struct EpisodeScratch {
  const RoutingView& routing;
  const PlanView& plan;
  const Cell& cell;
  const TrajectoryId& id;
  const TallyView& tally;
  const WorkspaceLayout& layout;
  std::uint64_t* path_block;
  std::uint64_t* layer_block;  ///< of layer (or bundle) 0 where several are in use at a time
  int first_lane = 0;
  DrawnMasks ahead = {};  ///< of the trajectory, where its paths are drawn already; see `drawn`

  MOECARLO_HOST_DEVICE std::uint64_t* block(std::uint32_t index) const {
    return layer_block + index * layout.layer_words;
  }

  MOECARLO_HOST_DEVICE LayerContext<Lanes> context(std::uint32_t first_layer, std::uint32_t index) const {
    return {routing, plan, id, tally, first_layer, first_lane, block(index) + layout.totals};
  }

  /// Where the drawn masks of the layers from first_layer on lie.
  MOECARLO_HOST_DEVICE DrawnMasks drawn(std::uint32_t first_layer, std::uint32_t index) const {
    if (ahead.masks != nullptr) return {ahead.masks, ahead.layers, first_layer, true};
    return {block(index) + layout.drawn_masks, Lanes, 0, false};
  }

  MOECARLO_HOST_DEVICE LayerCaches<Words, Lanes> caches(std::uint32_t first_layer, std::uint32_t index) const {
    using Bundle = LayerBundle<Words, Lanes>;
    std::uint64_t* own = block(index);
    const Path path = path_in(layout, path_block);
    const EpisodePath passes = EpisodePath::of(plan, cell, path);
    const DrawnMasks masks = drawn(first_layer, index);
    using Rows = RowMasks<Words, Lanes>;
    const ColumnMasks<Words, Lanes> columns =
        draws_routing(plan, cell)
            ? ColumnMasks<Words, Lanes>{Rows::of(masks.masks, masks.layers, masks.layer), path.slots}
            : ColumnMasks<Words, Lanes>{Rows::of(routing, first_layer), passes.rows};
    return {routing,
            plan,
            cell,
            id,
            passes,
            columns,
            first_layer,
            reinterpret_cast<Bundle*>(own + layout.masks_a),
            reinterpret_cast<Bundle*>(own + layout.masks_b),
            reinterpret_cast<FoundResidents<Words, Lanes>*>(own + layout.found),
            reinterpret_cast<Bundle*>(own + layout.hotness),
            own + layout.lists,
            reinterpret_cast<ExpertMask<Words>*>(own + layout.last),
            layout.settles ? reinterpret_cast<Bundle*>(own + layout.settled) : nullptr};
  }

  /// The same where a demand rule may decide what columns use.
  MOECARLO_HOST_DEVICE LayerCaches<Words, Lanes, AskedColumns<Words>> asking_caches(std::uint32_t first_layer,
                                                                                    std::uint32_t index) const {
    const auto plain = caches(first_layer, index);
    AskedColumns<Words> asked{plain.columns, plain.columns, block(index) + layout.used};
    if (plan.asks()) asked.of_use = {RowMasks<Words, 1>::of(asked.masks, 1, 0), path_in(layout, path_block).slots};
    return plain.with(asked);
  }
};

}  // namespace moecarlo
