#pragma once

#include <array>
#include <cstdint>
#include <map>

#include "cuda/core/bit_slice.hpp"

namespace moecarlo {

/// Weights by value. Bin (w + 256) % 256 is that of weight w.
struct WeightBins {
  std::array<std::uint64_t, kBins> counts{};
  std::array<std::uint64_t, kBins> squared_scales{};  ///< sum of the squares of their scales, in the matrix's units

  bool operator==(const WeightBins&) const = default;
};

/// One bit plane: that of bit b, over groups of kPatternRows rows.
struct PlaneCounts {
  std::array<std::uint64_t, kPatterns> columns{};  ///< columns of row groups that show a pattern
  std::array<std::uint64_t, kPatterns> groups{};   ///< row groups in which it occurs at all
  /// Columns of row groups with any bit that differs from its weight's sign (for the sign itself: any that is set):
  /// those that a code with one short word for "all equal to the sign" has to spell out.
  std::uint64_t spelled_columns = 0;

  bool operator==(const PlaneCounts&) const = default;
};

/// Everything that is counted in a matrix, in integers, so that each backend gives the same. All that concerns single
/// weights follows from `peaks`, however many bits are kept and however the draft reads them: a draft value is a
/// function of the weight, and a dedicated copy's of the weight and its group's peak.
struct SliceCounts {
  int scale_shift = 0;                          ///< scales are counted in units of 2^(scale_shift - 24)
  std::map<int, WeightBins> peaks;              ///< by the largest magnitude in a weight's group; nearly always 127
  std::array<PlaneCounts, kWeightBits> planes;  ///< by bit, the sign is 7
  std::uint64_t row_groups = 0;
  std::uint64_t group_columns = 0;  ///< columns of all row groups

  bool operator==(const SliceCounts&) const = default;
};

PlaneCounts& operator+=(PlaneCounts& a, const PlaneCounts& b);

/// Adds counts of the same matrix.
SliceCounts& operator+=(SliceCounts& a, const SliceCounts& b);

}  // namespace moecarlo
