#pragma once

#include <array>
#include <cstdint>

#include "host/weights/slice_counts.hpp"

namespace moecarlo {

/// Errors of a separate copy of some bits, over all weights w that it reads as v.
struct CopySums {
  std::uint64_t squared_errors = 0;  ///< sum of ((w - v) * largest_of(bits))^2, in units of w: whole numbers
  double noise = 0;                  ///< sum of scale^2 (w - v)^2
  double product = 0;                ///< sum of scale^2 w v
  double energy = 0;                 ///< sum of scale^2 v^2
};

/// The counts of any number of matrices, ready to be added up. Those of weights alone stay integers; what the scales
/// weight becomes a double here, added in the order of the matrices, so that it is the same for every backend.
struct WeightSums {
  std::array<std::uint64_t, kBins> values{};        ///< weights by their eight bits
  std::array<double, kBins> squared_scales{};       ///< sum of scale^2 of the weights of each value
  std::array<CopySums, kWeightBits + 1> copies{};   ///< by bits, 2 .. 8
  std::array<PlaneCounts, kWeightBits> planes{};    ///< by bit, the sign is 7
  std::uint64_t row_groups = 0, group_columns = 0;  ///< as in SliceCounts
};

WeightSums sums_of(const SliceCounts& counts);
WeightSums& operator+=(WeightSums& a, const WeightSums& b);

}  // namespace moecarlo
