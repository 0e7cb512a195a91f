#include "host/weights/weight_figures.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "host/support/float16.hpp"
#include "host/weights/count_slices.hpp"
#include "host/weights/figures_json.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

const std::vector<int> kKept{2, 3, 4, 5, 6};

WeightFigures figures(const WeightMatrix& matrix, const std::vector<int>& kept = kKept) {
  return figures_of(sums_of(count_slices(matrix, 0, matrix.row_groups())), kept);
}

const DraftError& error_of(const WeightFigures& figures, int kept, DraftReading reading) {
  for (const KeptFigures& one : figures.kept) {
    if (one.kept == kept) return one.drafts[static_cast<std::size_t>(reading)];
  }
  throw std::out_of_range("kept");
}

/// A matrix of one row with these weights and a scale of 1, all in one group.
WeightMatrix row_of(std::vector<std::int8_t> weights) {
  WeightMatrix matrix{1, weights.size(), std::move(weights), {}};
  matrix.scales.assign(matrix.groups(), float_to_float16(1));
  return matrix;
}

int reads(DraftReading reading, int weight, int kept) {
  if (reading == DraftReading::truncate) return truncated(weight, kept);
  return reading == DraftReading::round ? rounded(weight, kept) : lsb_augmented(weight, kept);
}

/// The published figures of Gaussian weights in groups of 32, dB at 2, 3 and 4 bits.
TEST(WeightFigures, gaussian_weights_have_the_published_sqnr) {
  const WeightFigures found = figures(gaussian_matrix(2048, 2048, 7));
  const std::map<DraftReading, std::vector<double>> published{{DraftReading::truncate, {3.2, 9.4, 15.6}},
                                                              {DraftReading::round, {8.1, 14.5, 20.6}},
                                                              {DraftReading::lsb_augmented, {8.9, 15.0, 21.0}},
                                                              {DraftReading::dedicated, {3.6, 12.9, 20.3}}};
  for (const auto& [reading, decibels] : published) {
    for (int kept = 2; kept <= 4; ++kept) {
      EXPECT_NEAR(error_of(found, kept, reading).sqnr_db, decibels[static_cast<std::size_t>(kept - 2)], 0.1)
          << to_string(reading) << " at " << kept;
    }
  }
}

TEST(WeightFigures, errors_are_those_of_weights_read_one_by_one) {
  std::mt19937 random(3);
  for (int i = 0; i < 20; ++i) {
    const WeightMatrix matrix = strange_matrix(random);
    const WeightFigures found = figures(matrix);
    const double unit = std::ldexp(1, kSmallestScaleExponent + scale_shift(matrix.largest_scale()));
    for (const int kept : kKept) {
      for (const DraftReading reading : kDraftReadings) {
        double squares = 0, signal = 0, noise = 0, product = 0, energy = 0;
        for (std::uint64_t row = 0; row < matrix.rows; ++row) {
          for (std::uint64_t column = 0; column < matrix.columns; ++column) {
            const std::uint64_t group = column / 32;
            const int weight = matrix.weights[row * matrix.columns + column];
            int peak = 0;
            for (std::uint64_t c = 32 * group; c < std::min(32 * group + 32, matrix.columns); ++c) {
              peak = std::max(peak, std::abs(int{matrix.weights[row * matrix.columns + c]}));
            }
            double value = reading == DraftReading::dedicated ? 0 : reads(reading, weight, kept);
            if (reading == DraftReading::dedicated && peak > 0) {
              value = std::nearbyint(static_cast<double>(weight * largest_of(kept)) / peak) * peak / largest_of(kept);
            }
            // The scale as it is counted: float16 rounded to 16 bits below the largest.
            const double scale =
                std::nearbyint(float16_to_float(matrix.scales[row * matrix.groups() + group]) / unit) * unit;
            squares += (weight - value) * (weight - value);
            signal += scale * scale * weight * weight;
            noise += scale * scale * (weight - value) * (weight - value);
            product += scale * scale * weight * value;
            energy += scale * scale * value * value;
          }
        }
        const DraftError& error = error_of(found, kept, reading);
        EXPECT_NEAR(error.mse, squares / static_cast<double>(matrix.weights.size()), 1e-9 * squares);
        ASSERT_GT(noise, 0);
        EXPECT_NEAR(error.sqnr_db, 10 * std::log10(signal / noise), 1e-7);
        EXPECT_TRUE(energy == 0 || std::abs(error.cosine - product / std::sqrt(signal * energy)) < 1e-9);
      }
    }
  }
}

TEST(WeightFigures, a_small_row_by_hand) {
  // 01111111 00000101 11111101 00000000: m = 7 0 -1 0, l = 15 5 13 0.
  const WeightFigures found = figures(row_of({127, 5, -3, 0}), {4});
  EXPECT_EQ(found.weights, 4U);
  EXPECT_DOUBLE_EQ(found.entropy_bits, 2);
  EXPECT_DOUBLE_EQ(found.sign_extension_share, (0 + 4 + 5 + 7) / 32.0);
  const KeptFigures& kept = found.kept.front();
  EXPECT_DOUBLE_EQ(kept.upper.zero_share, 0.5);
  EXPECT_DOUBLE_EQ(kept.upper.zero_bit_share, 9 / 16.0);
  EXPECT_DOUBLE_EQ(kept.upper.entropy_bits, 1.5);
  EXPECT_DOUBLE_EQ(kept.sign_extension_share, (0 + 3 + 3 + 3) / 16.0);
  EXPECT_DOUBLE_EQ(kept.lower.zero_share, 0.25);
  EXPECT_DOUBLE_EQ(kept.lower.entropy_bits, 2);
  EXPECT_DOUBLE_EQ(kept.conditional_entropy_bits, 0.5);  // one bit where m = 0, nothing elsewhere
  // Of the four columns, one has bits that differ from the sign in plane 6: 1 bit each, and 4 for that one.
  EXPECT_DOUBLE_EQ(found.planes[6].coded_bits, (4 + 4) / 4.0);
  EXPECT_DOUBLE_EQ(found.planes[6].one_share, 0.5);
  EXPECT_DOUBLE_EQ(found.planes[6].distinct_patterns, 2);       // 0000 and 0001
  EXPECT_DOUBLE_EQ(found.planes[6].merged_additions, 3 / 2.0);  // two inputs into one sum, that one into the row
}

TEST(WeightFigures, coding_pays_where_high_bits_are_those_of_the_sign) {
  std::vector<std::int8_t> weights(4096);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<std::int8_t>(i % 9) - 4;
  WeightMatrix matrix{32, 128, weights, {}};
  matrix.scales.assign(matrix.rows * matrix.groups(), float_to_float16(1));
  const WeightFigures found = figures(matrix, {4});
  // All but the lowest three bits are the sign's: a quarter bit for each column of four.
  EXPECT_DOUBLE_EQ(found.planes[6].coded_bits, 0.25);
  EXPECT_DOUBLE_EQ(coded_upper_bits(found, 4), 1 + 3 * 0.25);
  EXPECT_DOUBLE_EQ(found.kept.front().upper.coded_bits, 1.75);
  EXPECT_LT(found.kept.front().lower.coded_bits, 4);
}

TEST(WeightFigures, skipped_multiplications_are_those_by_zero_fields) {
  const WeightFigures found = figures(row_of({127, 5, -3, 16}));
  EXPECT_DOUBLE_EQ(skipped_share(found, 4, 4), 0.25);           // the upper half of 5
  EXPECT_DOUBLE_EQ(skipped_share(found, 8, 4), 2 / 8.0);        // and the lower half of 16
  EXPECT_DOUBLE_EQ(skipped_share(found, 8, 8), 0);              // no weight is 0
  EXPECT_DOUBLE_EQ(skipped_share(found, 6, 4), (1 + 1) / 8.0);  // bits 3 and 2 are 0 in 16
  EXPECT_DOUBLE_EQ(skipped_share(found, 2, 4), 0.5);            // bits 7 and 6 are 0 in 5 and 16
}

TEST(WeightFigures, sums_of_matrices_add_up) {
  const WeightMatrix a = gaussian_matrix(64, 256, 1, 0.02), b = gaussian_matrix(32, 512, 2, 0.5);
  WeightSums both = sums_of(count_slices(a, 0, 16));
  both += sums_of(count_slices(b, 0, 8));
  const WeightFigures found = figures_of(both, kKept), alone = figures(a), other = figures(b);
  EXPECT_EQ(found.weights, a.weights.size() + b.weights.size());
  const double mse = error_of(found, 4, DraftReading::dedicated).mse;
  EXPECT_NEAR(mse,
              (error_of(alone, 4, DraftReading::dedicated).mse + error_of(other, 4, DraftReading::dedicated).mse) / 2,
              1e-9);
  // The scales of b are 25 times larger: its errors are nearly all of the noise.
  EXPECT_NEAR(error_of(found, 4, DraftReading::round).sqnr_db, error_of(other, 4, DraftReading::round).sqnr_db, 0.01);
}

TEST(WeightFigures, zeros_have_no_sqnr_and_nothing_divides_by_zero) {
  WeightMatrix matrix{4, 64, std::vector<std::int8_t>(256), std::vector<std::uint16_t>(8)};
  const WeightFigures found = figures(matrix);
  EXPECT_TRUE(std::isnan(error_of(found, 4, DraftReading::truncate).sqnr_db));
  EXPECT_EQ(found.entropy_bits, 0);
  EXPECT_EQ(found.planes[7].merged_additions, 0);
  EXPECT_EQ(found.kept.front().upper.zero_share, 1);
}

TEST(WeightFigures, json_keeps_them) {
  const WeightFigures found = figures(gaussian_matrix(40, 96, 5));
  const std::string text = to_json(found).dump();
  EXPECT_EQ(to_json(figures_from_json(nlohmann::ordered_json::parse(text))).dump(), text);
  WeightMatrix zeros{4, 64, std::vector<std::int8_t>(256), std::vector<std::uint16_t>(8)};
  const std::string of_zeros = to_json(figures(zeros)).dump();
  EXPECT_EQ(to_json(figures_from_json(nlohmann::ordered_json::parse(of_zeros))).dump(), of_zeros);
}

}  // namespace
}  // namespace moecarlo
