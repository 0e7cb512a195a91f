#pragma once

#include <cstdint>

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

// What other systems make of a weight: exponents of BF16 and FP16 (DFloat11, arXiv 2504.11651; SPEQ, 2510.18525),
// planes of sign and magnitude (MCBP, 2509.10372), slices of unsigned numbers with a zero point (SliceMoE, 2512.12990).

// ---- exponents -----------------------------------------------------------------------------------------------------

constexpr int kBfloat16Exponents = 256;
constexpr int kFloat16Exponents = 32;

/// The exponent field of the nearest bfloat16, ties to even, of a float's bits.
MOECARLO_HOST_DEVICE constexpr std::uint32_t bfloat16_exponent(std::uint32_t float_bits) {
  const std::uint32_t magnitude = float_bits & 0x7fffffffU;
  return (magnitude + 0x7fffU + ((magnitude >> 16) & 1U)) >> 23;
}

/// The exponent field of the nearest float16, ties to even: 0 below 2^-14, 31 from 65520 on.
MOECARLO_HOST_DEVICE constexpr std::uint32_t float16_exponent(std::uint32_t float_bits) {
  const std::uint32_t magnitude = float_bits & 0x7fffffffU;
  if (magnitude >= 0x477ff000U) return 31;
  if (magnitude < 0x38800000U) return magnitude >= 0x387fe000U ? 1 : 0;  // what rounds up to 2^-14
  return (magnitude + 0xfffU + ((magnitude >> 13) & 1U) - 0x38000000U) >> 23;
}

// ---- sign and magnitude --------------------------------------------------------------------------------------------

constexpr int kMagnitudeBits = 7;    ///< of an INT8 weight in [-127, 127], beside its sign
constexpr int kMostMergedRows = 6;   ///< patterns are counted in groups of 1 .. so many rows
constexpr int kMergedColumns = 256;  ///< equal columns are merged inside a tile of so many (MCBP: 64 x 256 x 32)

/// One column of a plane in a group of rows: bit r of `ones` is that of row r's magnitude, bit r of `negative` whether
/// a weight whose bit is set is negative.
struct SignedPattern {
  std::uint32_t ones = 0, negative = 0;
};

/// Of two patterns that differ in every sign the one whose lowest row is positive: an input that is added to one is
/// subtracted from the other.
MOECARLO_HOST_DEVICE constexpr SignedPattern up_to_sign(SignedPattern pattern) {
  const std::uint32_t lowest = pattern.ones & (0U - pattern.ones);
  return {pattern.ones, (pattern.negative & lowest) != 0 ? pattern.negative ^ pattern.ones : pattern.negative};
}

// ---- slices with a zero point --------------------------------------------------------------------------------------

constexpr int kLargestUnsigned = 255;  ///< weights q and zero points z have 8 bits; a weight stands for scale * (q - z)
constexpr int kMostShiftedBits = 6;    ///< lower bits that may be left out
constexpr int kRemainders = 1 << kMostShiftedBits;
constexpr int kDifferences = 2 * kLargestUnsigned + 1;

/// q - z as a slice without its lower `shift` bits reads it: the zero point is shifted, too.
MOECARLO_HOST_DEVICE constexpr int shifted_zero(int q, int z, int shift) {
  return ((q >> shift) - (z >> shift)) * (1 << shift);
}
/// The same where the zero point stays whole.
MOECARLO_HOST_DEVICE constexpr int whole_zero(int q, int z, int shift) {
  return (q >> shift) * (1 << shift) - z;
}

}  // namespace moecarlo
