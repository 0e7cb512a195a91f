#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace moecarlo {

constexpr std::size_t kPoissonThresholds = 12;

/// A Poisson(1) count is the number of these that a uniform 32-bit draw has reached.
inline const std::array<std::uint64_t, kPoissonThresholds>& poisson_thresholds() {
  static const std::array<std::uint64_t, kPoissonThresholds> cumulative = [] {
    std::array<std::uint64_t, kPoissonThresholds> table{};
    double probability = std::exp(-1.0);
    double sum = 0;
    for (std::size_t k = 0; k < table.size(); ++k) {
      sum += probability;
      probability /= static_cast<double>(k + 1);
      table[k] = static_cast<std::uint64_t>(std::llround(sum * 4294967296.0));
    }
    return table;
  }();
  return cumulative;
}

/// A Poisson(1) count from a uniform 32-bit draw, by inversion: how often a bootstrap replicate takes a sequence.
inline std::uint32_t poisson_one(std::uint32_t draw) {
  const auto& cumulative = poisson_thresholds();
  std::uint32_t weight = 0;
  while (weight < cumulative.size() && draw >= cumulative[weight]) ++weight;
  return weight;
}

}  // namespace moecarlo
