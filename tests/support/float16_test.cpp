#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

// The definition of binary16, by ldexp.
double slow_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(Float16, EveryFiniteValueIsExactAndComesBack) {
  for (std::uint32_t i = 0; i < 65536; ++i) {
    const auto bits = static_cast<std::uint16_t>(i);
    const bool finite = ((bits >> 10) & 31) != 31;
    ASSERT_EQ(float16_is_finite(bits), finite);
    if (!finite) continue;
    ASSERT_EQ(float16_to_float(bits), slow_value(bits)) << i;
    ASSERT_EQ(float_to_float16(float16_to_float(bits)), bits) << i;
  }
}

TEST(Float16, RoundsToTheNearestAndTiesToEven) {
  for (std::uint32_t i = 0; i < 0x7BFF; ++i) {  // neighbours i and i + 1 of the same sign
    const double low = slow_value(static_cast<std::uint16_t>(i));
    const double high = slow_value(static_cast<std::uint16_t>(i + 1));
    const auto middle = static_cast<float>((low + high) / 2);  // exact: 12 bits
    const std::uint32_t even = i + (i & 1U);
    ASSERT_EQ(float_to_float16(middle), even);
    ASSERT_EQ(float_to_float16(std::nextafter(middle, -1.0F)), i);
    ASSERT_EQ(float_to_float16(std::nextafter(middle, 1e9F)), i + 1);
    ASSERT_EQ(float_to_float16(-middle), 0x8000U + even);
  }
}

TEST(Float16, TooLargeBecomesInfiniteAndNanStaysNan) {
  EXPECT_EQ(float_to_float16(65519.996F), 0x7BFFU);
  EXPECT_EQ(float_to_float16(65520.0F), 0x7C00U);
  EXPECT_EQ(float_to_float16(-1e30F), 0xFC00U);
  EXPECT_EQ(float_to_float16(std::numeric_limits<float>::infinity()), 0x7C00U);
  EXPECT_FALSE(float16_is_finite(float_to_float16(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_NE(float_to_float16(std::numeric_limits<float>::quiet_NaN()) & 0x3FFU, 0U);
}

}  // namespace
}  // namespace moecarlo
