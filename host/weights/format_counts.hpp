#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cuda/core/number_formats.hpp"

namespace moecarlo {

/// One magnitude plane in groups of some rows, over all groups and column tiles. A sum of n terms takes n - 1
/// additions.
struct MagnitudePlaneCounts {
  std::uint64_t spelled_bits = 0;  ///< bits of columns that are not all zeros
  /// Additions where inputs of equal columns are added up first, then each row adds the sums that it is part of; with
  /// groups of one row those of the set bits, nothing merged.
  std::uint64_t additions = 0;
  std::uint64_t signed_additions = 0;  ///< the same where columns are equal up to one sign

  bool operator==(const MagnitudePlaneCounts&) const = default;
};

/// INT8 weights as sign and magnitude.
struct MagnitudeCounts {
  std::uint64_t weights = 0, zero_weights = 0;
  std::uint64_t dense_additions = 0;                           ///< of one plane, every bit added up, set or not
  std::array<std::uint64_t, kMostMergedRows> group_columns{};  ///< [rows - 1]: columns of all groups
  /// [rows - 1][bit]
  std::array<std::array<MagnitudePlaneCounts, kMagnitudeBits>, kMostMergedRows> planes{};

  bool operator==(const MagnitudeCounts&) const = default;
  MagnitudeCounts& operator+=(const MagnitudeCounts& other);
};

/// Weights by the exponent field of their nearest BF16 and FP16.
struct ExponentCounts {
  std::array<std::uint64_t, kBfloat16Exponents> bfloat16{};
  std::array<std::uint64_t, kFloat16Exponents> float16{};

  bool operator==(const ExponentCounts&) const = default;
  ExponentCounts& operator+=(const ExponentCounts& other);
};

/// Weights with a zero point. What a slice that lacks lower bits errs by depends on the lower bits of weight and zero
/// point alone. Squares of scales are in the matrix's units, see cuda/core/bit_slice.hpp.
struct ZeroPointCounts {
  int scale_shift = 0;
  /// [q % kRemainders * kRemainders + z % kRemainders]
  std::vector<std::uint64_t> counts, squared_scales;
  std::vector<std::uint64_t> difference_squares;  ///< [q - z + kLargestUnsigned]: sum of squared scales

  bool operator==(const ZeroPointCounts&) const = default;
};

/// What is counted of one matrix in other formats, in integers, so that each backend gives the same. Without original
/// weights `by_channel` has no weights and `zero_point` no counts.
struct FormatCounts {
  MagnitudeCounts by_group, by_channel;
  ExponentCounts exponents;
  ZeroPointCounts zero_point;

  bool operator==(const FormatCounts&) const = default;
};

/// All of a MagnitudeCounts that follows from the shape.
MagnitudeCounts magnitude_shape(std::uint64_t rows, std::uint64_t columns);

}  // namespace moecarlo
