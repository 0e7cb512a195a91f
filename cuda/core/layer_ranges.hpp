#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// Ranges of neighbouring layers, such as devices hold: joint histograms are kept apart for each.
struct LayerRanges {
  static constexpr std::uint32_t kMost = 8;

  std::uint32_t count = 1;
  std::uint32_t first[kMost] = {};  ///< [count] first layers, ascending from 0 on

  MOECARLO_HOST_DEVICE std::uint32_t of(std::uint32_t layer) const {
    std::uint32_t range = 0;
    while (range + 1 < count && layer >= first[range + 1]) ++range;
    return range;
  }

  friend bool operator==(const LayerRanges& a, const LayerRanges& b) {
    if (a.count != b.count) return false;
    for (std::uint32_t range = 0; range < a.count; ++range) {
      if (a.first[range] != b.first[range]) return false;
    }
    return true;
  }
};

}  // namespace moecarlo
