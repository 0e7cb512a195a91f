#include "cuda/core/bit_slice.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

/// Every weight there is.
std::vector<int> weights() {
  std::vector<int> all;
  for (int w = -127; w <= 127; ++w) all.push_back(w);
  return all;
}

template <class Draft>
double mean_squared_error(const Draft& draft) {
  double sum = 0;
  for (const int w : weights()) sum += (w - draft(w)) * (w - draft(w));
  return sum / 255;
}

TEST(BitSlice, lsb_augmented_examples) {
  EXPECT_EQ(lsb_augmented(93, 4), 88);
  EXPECT_EQ(lsb_augmented(-37, 4), -40);
  EXPECT_EQ(lsb_augmented(0, 4), 8);
  EXPECT_EQ(lsb_augmented(-1, 4), -8);
  EXPECT_EQ(lsb_augmented(127, 4), 120);
}

TEST(BitSlice, the_slices_make_up_the_weight) {
  for (int kept = 1; kept <= 8; ++kept) {
    for (const int w : weights()) {
      EXPECT_EQ(upper_slice(w, kept) * (1 << (8 - kept)) + lower_slice(w, kept), w);
      EXPECT_GE(upper_slice(w, kept), -(1 << (kept - 1)));
      EXPECT_LT(upper_slice(w, kept), 1 << (kept - 1));
      EXPECT_GE(lower_slice(w, kept), 0);
      EXPECT_LT(lower_slice(w, kept), 1 << (8 - kept));
    }
  }
}

TEST(BitSlice, weight_fields_of_the_multipliers_give_draft_and_exact_weight) {
  for (const int w : weights()) {
    EXPECT_EQ(8 * draft_field(w), lsb_augmented(w, 4));
    EXPECT_EQ(8 * verify_field(w) + lower_slice(w, 4), w);
    EXPECT_GE(draft_field(w), -16);  // five bits
    EXPECT_LE(draft_field(w), 15);
    const int error = lsb_augmented(w, 4) - w;
    EXPECT_GE(-error, -8);
    EXPECT_LE(-error, 7);
  }
}

TEST(BitSlice, rounding_takes_the_nearest_that_there_is) {
  for (int kept = 1; kept <= 8; ++kept) {
    const int step = 1 << (8 - kept);
    for (const int w : weights()) {
      const int found = rounded(w, kept);
      EXPECT_EQ(found % step, 0);
      for (int other = -128; other < 128; other += step) EXPECT_LE(std::abs(w - found), std::abs(w - other)) << w;
    }
  }
}

/// The table of the LSB-augmented slices for weights that are equally frequent.
TEST(BitSlice, mean_squared_errors_over_all_weights) {
  const double truncation[] = {1338.7, 326.8, 77.8, 17.6}, rounding[] = {591.8, 116.0, 25.1, 5.9},
               augmented[] = {338.8, 84.8, 21.3, 5.5};
  for (int kept = 2; kept <= 5; ++kept) {
    EXPECT_NEAR(mean_squared_error([&](int w) { return truncated(w, kept); }), truncation[kept - 2], 0.05);
    EXPECT_NEAR(mean_squared_error([&](int w) { return rounded(w, kept); }), rounding[kept - 2], 0.05);
    EXPECT_NEAR(mean_squared_error([&](int w) { return lsb_augmented(w, kept); }), augmented[kept - 2], 0.05);
  }
}

TEST(BitSlice, a_dedicated_copy_rounds_as_rint_does) {
  for (int bits = 2; bits <= 8; ++bits) {
    for (int peak = 1; peak <= 127; ++peak) {
      for (int w = -peak; w <= peak; ++w) {
        // A quotient that lies between two halves is nowhere near them, so that a double rounds it as it is.
        const double exact = static_cast<double>(w * largest_of(bits)) / peak;
        ASSERT_EQ(dedicated(w, peak, bits), static_cast<int>(std::nearbyint(exact))) << w << " of " << peak;
      }
    }
  }
  EXPECT_EQ(dedicated(0, 0, 4), 0);
}

TEST(BitSlice, sign_extension_is_what_a_shorter_number_would_not_need) {
  for (const int w : weights()) {
    int shortest = 8;
    while (shortest > 1 && w >= -(1 << (shortest - 2)) && w < 1 << (shortest - 2)) --shortest;
    EXPECT_EQ(sign_extension(w), 8 - shortest) << w;
  }
}

TEST(BitSlice, scale_units_are_the_scales_rounded_to_sixteen_bits) {
  for (const std::uint16_t largest : {0x0001, 0x03ff, 0x1bff, 0x1c00, 0x2000, 0x3c00, 0x7bff}) {
    const int shift = scale_shift(largest);
    const double unit = std::ldexp(1.0, kSmallestScaleExponent + shift);
    EXPECT_LT(float16_to_float(largest), 65536 * unit);
    EXPECT_TRUE(shift == 0 || float16_to_float(largest) >= 32768 * unit);
    for (std::uint32_t bits = 0; bits <= largest; ++bits) {
      const auto scale = static_cast<std::uint16_t>(bits);
      EXPECT_EQ(scale_units(scale, shift), std::nearbyint(float16_to_float(scale) / unit)) << bits;
    }
  }
  EXPECT_EQ(scale_shift(float_to_float16(0.0039F)), 0);
}

TEST(BitSlice, a_bin_holds_as_many_of_the_largest_increments_as_it_says) {
  const std::uint64_t largest = bin_increment(0x7bff, scale_shift(0x7bff));
  EXPECT_EQ(count_in(largest), 1U);
  EXPECT_EQ(squares_in(largest), scale_units(0x7bff, scale_shift(0x7bff)) * scale_units(0x7bff, scale_shift(0x7bff)));
  const std::uint64_t full = kMostInBin * largest;
  EXPECT_EQ(count_in(full), kMostInBin);
  EXPECT_EQ(squares_in(full), kMostInBin * squares_in(largest));
}

}  // namespace
}  // namespace moecarlo
