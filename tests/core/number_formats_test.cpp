#include "cuda/core/number_formats.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <random>

#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

void expect_fields(std::uint32_t bits) {
  const auto value = std::bit_cast<float>(bits);
  ASSERT_EQ(float16_exponent(bits), float_to_float16(value) >> 10 & 31U) << bits;
  // Above and below a bfloat16 there are floats 2^15 last places away that round to it.
  const std::uint32_t magnitude = bits & 0x7fffffffU, below = magnitude >> 16, rest = magnitude & 0xffffU;
  const std::uint32_t nearest = below + (rest > 0x8000U || (rest == 0x8000U && below % 2 == 1) ? 1 : 0);
  ASSERT_EQ(bfloat16_exponent(bits), nearest >> 7) << bits;
}

TEST(NumberFormats, exponents_are_those_of_the_nearest_number) {
  std::mt19937 random(1);
  for (int i = 0; i < 1'000'000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random());
    if ((bits & 0x7f800000U) != 0x7f800000U) expect_fields(bits);
  }
  // Around every power of two that a float16 has, where rounding changes the exponent.
  for (std::uint32_t exponent = 90; exponent < 145; ++exponent) {
    for (std::uint32_t away = 0; away < 1U << 15; ++away) {
      expect_fields((exponent << 23) + away);
      expect_fields((exponent << 23) - away - 1);
      expect_fields(0x80000000U | ((exponent << 23) - away - 1));
    }
  }
}

TEST(NumberFormats, a_pattern_and_its_negative_are_one_up_to_sign) {
  for (std::uint32_t ones = 1; ones < 64; ++ones) {
    for (std::uint32_t negative = 0; negative < 64; ++negative) {
      if ((negative & ~ones) != 0) continue;
      const SignedPattern one = up_to_sign({ones, negative}), other = up_to_sign({ones, negative ^ ones});
      EXPECT_EQ(one.negative, other.negative);
      EXPECT_TRUE(one.negative == negative || one.negative == (negative ^ ones));
      EXPECT_EQ(one.negative & (ones & (0U - ones)), 0U);
    }
  }
}

}  // namespace
}  // namespace moecarlo
