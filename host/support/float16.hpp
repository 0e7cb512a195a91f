#pragma once

#include <bit>
#include <cstdint>

namespace moecarlo {

// IEEE 754 binary16 in its 16 bits: sign, 5 exponent bits (bias 15), 10 mantissa bits.

/// False for NaN and the infinities.
constexpr bool float16_is_finite(std::uint16_t bits) {
  return (bits & 0x7C00U) != 0x7C00U;
}

/// Exact for every finite value. Shifting exponent and mantissa into place leaves the exponent too small by 127 - 15,
/// which one multiplication mends, for subnormal values too; a loop over it vectorises on any x86-64.
constexpr float float16_to_float(std::uint16_t bits) {
  const float magnitude = std::bit_cast<float>((bits & 0x7FFFU) << 13) * 0x1p112F;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | ((bits & 0x8000U) << 16));
}

/// The nearest float16, ties to even; what is too large becomes infinite, NaN stays NaN.
constexpr std::uint16_t float_to_float16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = (bits >> 16) & 0x8000U;
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) return static_cast<std::uint16_t>(sign | 0x7E00U);
  if (magnitude >= 0x477FF000U) return static_cast<std::uint16_t>(sign | 0x7C00U);  // from 65520 on
  if (magnitude < 0x38800000U) {
    // Below 2^-14 the result is subnormal, a multiple of 2^-24: adding 0.5, whose last place is 2^-24, rounds to one.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t rounded = magnitude + 0xFFFU + ((magnitude >> 13) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13));
}

}  // namespace moecarlo
