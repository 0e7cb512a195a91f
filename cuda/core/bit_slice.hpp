#pragma once

#include <cstdint>

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

// Slices of one INT8 weight w in [-127, 127], two's complement. The upper slice is its first `kept` bits, 1 .. 8, the
// sign among them; the lower slice is the rest, and w = (upper << (8 - kept)) + lower. A draft that has only the upper
// slice stands for w by one of the values below, in units of w. Source: ELMoE-3D, arXiv 2604.14626 (LSB-augmented
// slices); MCBP, arXiv 2509.10372 (bit planes of a group of rows).

constexpr int kWeightBits = 8;
constexpr int kLargestWeight = 127;

/// The first `kept` bits as a signed number: in [-2^(kept - 1), 2^(kept - 1) - 1].
MOECARLO_HOST_DEVICE constexpr int upper_slice(int weight, int kept) {
  return weight >> (kWeightBits - kept);
}

/// The other bits as an unsigned number.
MOECARLO_HOST_DEVICE constexpr int lower_slice(int weight, int kept) {
  return weight & ((1 << (kWeightBits - kept)) - 1);
}

/// The upper slice, zeros behind it.
MOECARLO_HOST_DEVICE constexpr int truncated(int weight, int kept) {
  return upper_slice(weight, kept) * (1 << (kWeightBits - kept));
}

/// The nearest number that has zeros behind `kept` bits, halves upwards; what is too large takes the largest.
MOECARLO_HOST_DEVICE constexpr int rounded(int weight, int kept) {
  const int step = 1 << (kWeightBits - kept), largest = (1 << (kept - 1)) - 1;
  const int nearest = (weight + step / 2) >> (kWeightBits - kept);
  return (nearest > largest ? largest : nearest) * step;
}

/// The upper slice, a one and zeros behind it: the middle of all weights that share the slice.
MOECARLO_HOST_DEVICE constexpr int lsb_augmented(int weight, int kept) {
  return truncated(weight, kept) + (1 << (kWeightBits - kept)) / 2;
}

/// The 5-bit weight field of the multipliers: a 4-bit slice in front of a bit that is one while drafting.
MOECARLO_HOST_DEVICE constexpr int draft_field(int weight) {
  return upper_slice(weight, 4) * 2 + 1;
}
MOECARLO_HOST_DEVICE constexpr int verify_field(int weight) {
  return upper_slice(weight, 4) * 2;
}

/// The largest number of a symmetric integer format of `bits` bits, 2 or more.
MOECARLO_HOST_DEVICE constexpr int largest_of(int bits) {
  return (1 << (bits - 1)) - 1;
}

/// A weight in a separate copy of `bits` bits (2 or more), scaled by the largest magnitude `peak` of its group:
/// weight * largest_of(bits) / peak, rounded to the nearest integer, halves to even. The copy's value, in units of w,
/// is this times peak / largest_of(bits).
MOECARLO_HOST_DEVICE constexpr int dedicated(int weight, int peak, int bits) {
  if (peak == 0) return 0;
  const int twice = 2 * (weight < 0 ? -weight : weight) * largest_of(bits) + peak;
  int nearest = twice / (2 * peak);
  if (twice % (2 * peak) == 0 && nearest % 2 != 0) --nearest;
  return weight < 0 ? -nearest : nearest;
}

/// Leading bits behind the sign that only repeat it, 0 .. 7.
MOECARLO_HOST_DEVICE constexpr int sign_extension(int weight) {
  const auto magnitude = static_cast<std::uint64_t>(weight < 0 ? ~weight : weight);
  return magnitude == 0 ? kWeightBits - 1 : kWeightBits - 2 - static_cast<int>(highest_bit(magnitude));
}

// ---- scales --------------------------------------------------------------------------------------------------------

/// Squared errors are weighted by the squares of the scales. To sum them in integers, a matrix counts its scales
/// (float16, at least 0) in units of 2^(shift - 24), fewer than 2^16 of them; `shift` depends on its largest scale
/// and is 0 up to 0.0039, where the units are exact.
constexpr int kScaleUnitBits = 16;
constexpr int kSmallestScaleExponent = -24;

/// A finite float16, at least 0, in multiples of the smallest one, 2^-24.
MOECARLO_HOST_DEVICE constexpr std::uint64_t smallest_multiples(std::uint16_t scale) {
  const std::uint32_t exponent = scale >> 10, mantissa = scale & 0x3ffU;
  return exponent == 0 ? mantissa : std::uint64_t{mantissa | 0x400U} << (exponent - 1);
}

MOECARLO_HOST_DEVICE constexpr int scale_shift(std::uint16_t largest) {
  const std::uint64_t multiples = smallest_multiples(largest);
  const int bits = multiples == 0 ? 0 : 1 + static_cast<int>(highest_bit(multiples));
  return bits > kScaleUnitBits ? bits - kScaleUnitBits : 0;
}

/// A scale in the units of its matrix, halves to even.
MOECARLO_HOST_DEVICE constexpr std::uint64_t scale_units(std::uint16_t scale, int shift) {
  const std::uint64_t multiples = smallest_multiples(scale);
  if (shift == 0) return multiples;
  const std::uint64_t units = multiples >> shift;
  const std::uint64_t rest = multiples & ((std::uint64_t{1} << shift) - 1), half = std::uint64_t{1} << (shift - 1);
  return units + (rest > half || (rest == half && units % 2 != 0) ? 1 : 0);
}

// ---- counting ------------------------------------------------------------------------------------------------------

/// A histogram bin takes a weight and the squared scale of its group in one addition: the number of weights above
/// kBinCountShift, the squares below. It holds kMostInBin weights and is then to be emptied.
constexpr int kBinCountShift = 48;
constexpr std::uint32_t kMostInBin = 65535;
constexpr int kBins = 256;  ///< by the weight's eight bits

MOECARLO_HOST_DEVICE constexpr std::uint64_t bin_increment(std::uint16_t scale, int shift) {
  const std::uint64_t units = scale_units(scale, shift);
  return (std::uint64_t{1} << kBinCountShift) | (units * units);
}
MOECARLO_HOST_DEVICE constexpr std::uint64_t count_in(std::uint64_t bin) {
  return bin >> kBinCountShift;
}
MOECARLO_HOST_DEVICE constexpr std::uint64_t squares_in(std::uint64_t bin) {
  return bin & ((std::uint64_t{1} << kBinCountShift) - 1);
}

constexpr int kScaleGroup = 32;  ///< consecutive weights of a row that share a scale

/// Rows whose bits, one column and plane at a time, form a pattern: bit r is that of row r. Rows that a matrix has not
/// count as zeros.
constexpr int kPatternRows = 4;
constexpr int kPatterns = 1 << kPatternRows;

}  // namespace moecarlo
