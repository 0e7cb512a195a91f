#pragma once

#include "cuda/core/layer_bundle.hpp"

namespace moecarlo {

/// Masks of a bundle of layers, by row: a token of the trace, the empty row (a column that was never drafted), a
/// recorded column, or, where routing is drawn, a row of the trajectory's own scratch. A row is read in two ways, which
/// are the same unless something stands between router and memory: what the router chose (a draft, its coverage and
/// hotness look at that), and what a pass uses (unions, hits and what caches keep).
template <int Words, int Lanes>
struct RowMasks {
  const std::uint64_t* masks = nullptr;  ///< [rows][layers][Words], from the bundle's first layer on
  std::uint32_t stride = 0;              ///< words from one row to the next

  MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> routed(std::uint32_t row) const {
    return LayerBundle<Words, Lanes>::gather(at(row, 0));
  }
  MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> used(std::uint32_t row) const { return routed(row); }
  MOECARLO_HOST_DEVICE ExpertMask<Words> routed(std::uint32_t row, int lane) const {
    return ExpertMask<Words>::load(at(row, lane));
  }
  MOECARLO_HOST_DEVICE ExpertMask<Words> used(std::uint32_t row, int lane) const { return routed(row, lane); }

  /// `masks` are those of `layers` layers, the bundle begins with the one numbered `first_layer` among them.
  MOECARLO_HOST_DEVICE static RowMasks of(const std::uint64_t* masks, std::uint32_t layers, std::uint32_t first_layer) {
    return {masks + std::size_t{first_layer} * Words, layers * Words};
  }
  MOECARLO_HOST_DEVICE static RowMasks of(const RoutingView& routing, std::uint32_t first_layer) {
    return of(routing.masks, routing.stride, first_layer);
  }

 private:
  MOECARLO_HOST_DEVICE const std::uint64_t* at(std::uint32_t row, int lane) const {
    return masks + std::size_t{row} * stride + static_cast<std::size_t>(lane) * Words;
  }
};

/// The masks of columns: of the slots of an episode, of a request's tokens, of whatever has a list of rows.
template <int Words, int Lanes>
struct ColumnMasks {
  RowMasks<Words, Lanes> masks;
  const std::uint32_t* rows = nullptr;  ///< [slots] row of each column

  MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> routed(std::size_t slot) const { return masks.routed(rows[slot]); }
  MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> used(std::size_t slot) const { return masks.used(rows[slot]); }
  MOECARLO_HOST_DEVICE ExpertMask<Words> routed(std::size_t slot, int lane) const {
    return masks.routed(rows[slot], lane);
  }
  MOECARLO_HOST_DEVICE ExpertMask<Words> used(std::size_t slot, int lane) const { return masks.used(rows[slot], lane); }
  MOECARLO_HOST_DEVICE const ColumnMasks& all_used() const { return *this; }
};

/// The same where a demand rule may stand between router and memory, of one layer: what a column uses lies apart.
template <int Words>
struct AskedColumns {
  ColumnMasks<Words, 1> from_router;
  ColumnMasks<Words, 1> of_use;    ///< the same where there is no rule
  std::uint64_t* masks = nullptr;  ///< [slots][Words] those of_use, where there is one

  MOECARLO_HOST_DEVICE LayerBundle<Words, 1> routed(std::size_t slot) const { return from_router.routed(slot); }
  MOECARLO_HOST_DEVICE LayerBundle<Words, 1> used(std::size_t slot) const { return of_use.used(slot); }
  MOECARLO_HOST_DEVICE ExpertMask<Words> routed(std::size_t slot, int lane) const {
    return from_router.routed(slot, lane);
  }
  MOECARLO_HOST_DEVICE ExpertMask<Words> used(std::size_t slot, int lane) const { return of_use.used(slot, lane); }
  MOECARLO_HOST_DEVICE const ColumnMasks<Words, 1>& all_used() const { return of_use; }
  MOECARLO_HOST_DEVICE void use(std::size_t slot, const ExpertMask<Words>& experts) const {
    for (int w = 0; w < Words; ++w) masks[slot * Words + static_cast<std::size_t>(w)] = experts.word[w];
  }
};

}  // namespace moecarlo
