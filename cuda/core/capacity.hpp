#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// Experts resident per layer: `base` everywhere, one more in the first `extra_layers` layers. That is how a fractional
/// number of experts per layer is realised.
struct Capacity {
  std::uint32_t base = 0;
  std::uint32_t extra_layers = 0;

  MOECARLO_HOST_DEVICE constexpr std::uint32_t at(std::uint32_t layer) const {
    return base + (layer < extra_layers ? 1U : 0U);
  }
  /// Experts of all layers together: the slots of a pool.
  MOECARLO_HOST_DEVICE constexpr std::uint32_t total(std::uint32_t layers) const {
    return base * layers + (extra_layers < layers ? extra_layers : layers);
  }
  constexpr double mean(std::uint32_t layers) const { return base + static_cast<double>(extra_layers) / layers; }

  friend constexpr bool operator==(const Capacity& a, const Capacity& b) {
    return a.base == b.base && a.extra_layers == b.extra_layers;
  }
  friend constexpr bool operator<(const Capacity& a, const Capacity& b) {
    return a.base != b.base ? a.base < b.base : a.extra_layers < b.extra_layers;
  }
};

}  // namespace moecarlo
