#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace moecarlo {

/// A Poisson(1) count from a uniform 32-bit draw, by inversion: how often a bootstrap replicate takes a sequence.
inline std::uint32_t poisson_one(std::uint32_t draw) {
  static const std::array<std::uint64_t, 12> cumulative = [] {
    std::array<std::uint64_t, 12> table{};
    double probability = std::exp(-1.0);
    double sum = 0;
    for (std::size_t k = 0; k < table.size(); ++k) {
      sum += probability;
      probability /= static_cast<double>(k + 1);
      table[k] = static_cast<std::uint64_t>(std::llround(sum * 4294967296.0));
    }
    return table;
  }();
  std::uint32_t weight = 0;
  while (weight < cumulative.size() && draw >= cumulative[weight]) ++weight;
  return weight;
}

}  // namespace moecarlo
