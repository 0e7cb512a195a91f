#pragma once

#include <cstdint>
#include <cstring>

#include "cuda/core/bit_slice.hpp"

namespace moecarlo {

/// Columns whose bit planes are taken apart at once: words of 64 of them.
constexpr int kPlaneWords = 4;
constexpr std::uint64_t kPlaneColumns = 64 * kPlaneWords;
using PlaneWords = std::uint64_t[kPlaneWords];

/// Turns eight bytes a column into eight bits a plane: planes[b] holds bit b of kPlaneColumns weights, in an order of
/// its own, the same for every row.
__attribute__((always_inline)) inline void to_planes(const std::int8_t* weights, PlaneWords* planes) {
  std::memcpy(planes, weights, kPlaneColumns);
#pragma GCC unroll 3
  for (int distance = 4; distance > 0; distance /= 2) {
    const std::uint64_t mask = distance == 4   ? 0x0F0F0F0F0F0F0F0FU
                               : distance == 2 ? 0x3333333333333333U
                                               : 0x5555555555555555U;
#pragma GCC unroll 8
    for (int i = 0; i < kWeightBits; ++i) {
      if ((i & distance) != 0) continue;
      for (int w = 0; w < kPlaneWords; ++w) {
        std::uint64_t& low = planes[i][w];
        std::uint64_t& high = planes[i + distance][w];
        const std::uint64_t swapped = ((low >> distance) ^ high) & mask;
        high ^= swapped;
        low ^= swapped << distance;
      }
    }
  }
}

}  // namespace moecarlo
