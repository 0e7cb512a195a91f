#pragma once

#include "cuda/core/layer_bundle.hpp"

namespace moecarlo {

/// The chosen experts of every verify column of an episode, in a bundle of layers. A column's slot names a row of
/// masks: a token of the trace, the empty row (a column that was never drafted), a recorded column, or, where routing
/// is drawn, a row of the trajectory's own scratch.
template <int Words, int Lanes>
struct ColumnMasks {
  const std::uint64_t* masks = nullptr;  ///< [rows][layers][Words]
  const std::uint32_t* rows = nullptr;   ///< [slots] row of each column
  std::uint32_t layers = 0;
  std::uint32_t layer = 0;  ///< the bundle's first, among `layers`

  MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> operator[](std::size_t slot) const {
    return LayerBundle<Words, Lanes>::gather(at(slot, 0));
  }
  MOECARLO_HOST_DEVICE ExpertMask<Words> mask(std::size_t slot, int lane) const {
    return ExpertMask<Words>::load(at(slot, lane));
  }
  MOECARLO_HOST_DEVICE const std::uint64_t* at(std::size_t slot, int lane) const {
    return masks + (std::size_t{rows[slot]} * layers + layer + static_cast<std::uint32_t>(lane)) * Words;
  }

  MOECARLO_HOST_DEVICE static ColumnMasks of_trace(const RoutingView& routing, std::uint32_t first_layer,
                                                   const std::uint32_t* rows) {
    return {routing.masks, rows, routing.stride, first_layer};
  }
};

}  // namespace moecarlo
