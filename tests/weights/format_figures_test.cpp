#include "host/weights/format_figures.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/support/float16.hpp"
#include "host/weights/format_counter.hpp"
#include "host/weights/format_json.hpp"
#include "host/weights/huffman.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

FormatSums sums_of_original(std::uint64_t rows, std::uint64_t columns, const std::vector<float>& original) {
  WeightMatrix stored = gaussian_matrix(rows, columns, 3);
  return sums_of(make_cpu_format_counter(1)->count(formats_of(stored, original)));
}

template <class Distribution>
FormatFigures drawn(Distribution distribution, std::uint32_t seed) {
  constexpr std::uint64_t rows = 256, columns = 4096;
  std::mt19937 random(seed);
  std::vector<float> original;
  for (std::uint64_t i = 0; i < rows * columns; ++i) original.push_back(static_cast<float>(distribution(random)));
  return figures_of(sums_of_original(rows, columns, original), {4});
}

/// Counts 8, 4, 2, 1, 1: lengths 1, 2, 3, 4, 4; 30 bits, which is the entropy of 1.875 bits each.
TEST(Huffman, by_hand) {
  const std::vector<std::uint64_t> counts{8, 4, 2, 1, 1};
  EXPECT_EQ(huffman_lengths(counts, 32), (std::vector{1, 2, 3, 4, 4}));
  EXPECT_EQ(huffman_lengths(std::vector<std::uint64_t>{0, 5, 0}, 32), (std::vector{0, 1, 0}));
  EXPECT_EQ(huffman_lengths({}, 32), std::vector<int>{});
}

/// Fibonacci numbers make the longest codes; those that are cut off still leave a prefix code.
TEST(Huffman, no_code_is_longer_than_it_may_be) {
  std::vector<std::uint64_t> counts{1, 1};
  while (counts.size() < 50) counts.push_back(counts[counts.size() - 1] + counts[counts.size() - 2]);
  const auto free = huffman_lengths(counts, 64), limited = huffman_lengths(counts, 32);
  EXPECT_EQ(*std::max_element(free.begin(), free.end()), 49);
  EXPECT_LE(*std::max_element(limited.begin(), limited.end()), 32);
  double kraft = 0;
  for (const int length : limited) kraft += std::ldexp(1.0, -length);
  EXPECT_DOUBLE_EQ(kraft, 1);
}

/// Sixteen weights of those exponents: 16 bytes and 30 bits are 158 bits, 9.875 each; the decoder's data come on top.
TEST(FormatFigures, dfloat11_by_hand) {
  std::vector<float> original;
  for (const auto& [weight, times] : {std::pair{1.0F, 8}, {0.5F, 4}, {0.25F, 2}, {0.125F, 1}, {4.0F, 1}}) {
    original.insert(original.end(), static_cast<std::size_t>(times), weight);
  }
  const FormatFigures figures = figures_of(sums_of_original(1, 16, original), {});
  ASSERT_TRUE(figures.lossless);
  EXPECT_DOUBLE_EQ(figures.lossless->entropy_bits, 1.875);
  EXPECT_DOUBLE_EQ(figures.lossless->code_bits, 1.875);
  EXPECT_DOUBLE_EQ(16 * (8 + figures.lossless->code_bits), 158);
  EXPECT_DOUBLE_EQ(figures.lossless->bits_per_weight, 8 + 1.875 * (1 + 5.0 / 64 + 32.0 / 32768));
  EXPECT_DOUBLE_EQ(figures.lossless->bfloat16[127], 8);
  // FP16 exponents of 1 and of 4 are 15 and 17: the first bit of one in sixteen is not free.
  EXPECT_DOUBLE_EQ(figures.lossless->float16_free_bit_share, 15 / 16.0);
  EXPECT_EQ(figures.lossless->float16[17], 1U);
}

/// The published entropy gives the published sizes: 16.1 GB become 10.9, 141 become 95.4.
TEST(FormatFigures, dfloat11_size_of_published_models) {
  const double share = dfloat11_bits(2.6) / 16;
  EXPECT_NEAR(16.1 * share / 10.9, 1, 0.01);
  EXPECT_NEAR(141 * share / 95.4, 1, 0.01);
}

/// q = 45, z = 20, three of six bits: (5 - 2) x 8 = 24 for 25; with the zero point whole 5 x 8 - 20 = 20.
TEST(FormatFigures, slices_with_a_zero_point_by_hand) {
  EXPECT_EQ(shifted_zero(45, 20, 3), 24);
  EXPECT_EQ(whole_zero(45, 20, 3), 20);
  for (int q = 0; q < 256; q += 7) EXPECT_EQ(shifted_zero(q, 20, 0), q - 20);
}

/// A group from -1 to 4: range 5 in 255 steps; by hand through the errors.
TEST(FormatFigures, errors_of_slices_with_a_zero_point) {
  const std::vector<float> original{-1, 0, 2, 4};
  const UnsignedWeights own = quantised_with_zero_point(original, 4);
  EXPECT_EQ(own.zero_points, (std::vector<std::uint8_t>{51}));
  EXPECT_EQ(own.weights, (std::vector<std::uint8_t>{0, 51, 153, 255}));
  const FormatFigures figures = figures_of(sums_of_original(1, 4, original), {4});
  // Lower halves of 0 51 153 255 are 0 3 9 15, of the zero point 3.
  const ZeroPointFigures& errors = figures.zero_point.at(4);
  EXPECT_DOUBLE_EQ(errors.shifted.mse, (9 + 0 + 36 + 144) / 4.0);
  EXPECT_DOUBLE_EQ(errors.whole.mse, (0 + 9 + 81 + 225) / 4.0);
  EXPECT_NEAR(errors.shifted.sqnr_db, 10 * std::log10((51. * 51 + 102 * 102 + 204 * 204) / 189), 1e-9);
}

/// Expected additions of four rows in a tile of 256 columns whose bits are set independently.
double expected_additions(double set) {
  const auto occurs = [](double share) { return 1 - std::pow(1 - share, 256); };
  double additions = 256 * (1 - std::pow(1 - set, 4)) - 4 * occurs(set);
  for (int pattern = 1; pattern < 16; ++pattern) {
    const int rows = __builtin_popcount(static_cast<unsigned>(pattern));
    additions += (rows - 1) * occurs(std::pow(set, rows) * std::pow(1 - set, 4 - rows));
  }
  return additions;
}

/// Gaussian weights scaled by rows: planes are set as often as computed elsewhere, LSB first, from which sizes follow
/// and additions. In rows without end a dense sum would take 5.0 times the merged additions; tiles reconstruct anew.
TEST(FormatFigures, gaussian_weights_scaled_by_rows) {
  const FormatFigures figures = drawn(std::normal_distribution<double>(0, 0.02), 1);
  ASSERT_TRUE(figures.by_channel);
  const double sparsity[] = {.50, .505, .517, .543, .593, .709, .941};
  for (std::size_t bit = 0; bit < 7; ++bit) EXPECT_NEAR(1 - figures.by_channel->one_share[bit], sparsity[bit], 0.005);
  const MergedFigures& four = figures.by_channel->by_rows[3];
  double additions = 0, columns = 0;
  for (const double share : figures.by_channel->one_share) {
    additions += expected_additions(share);
    columns += 1 - std::pow(1 - share, 4);
  }
  EXPECT_NEAR(7 * 4 / columns, 5.0, 0.1);
  EXPECT_NEAR(four.dense_over_merged, 7 * 4 * 255 / additions, 0.01);
  EXPECT_NEAR(four.coded_bits / 8, .992, 0.005);
  EXPECT_NEAR(four.paying_bits / 8, .933, 0.005);
  EXPECT_LT(four.dense_over_signed_merged, four.dense_over_merged);
}

/// What an exponent of a normal variable holds, by its distribution function.
TEST(FormatFigures, entropy_of_exponents_of_gaussian_weights) {
  const FormatFigures figures = drawn(std::normal_distribution<double>(0, 1), 2);
  double bits = 0;
  for (int exponent = -40; exponent < 10; ++exponent) {
    const double share =
        std::erf(std::ldexp(1, exponent + 1) / std::sqrt(2)) - std::erf(std::ldexp(1, exponent) / std::sqrt(2));
    if (share > 0) bits -= share * std::log2(share);
  }
  EXPECT_NEAR(figures.lossless->entropy_bits, bits, 0.01);
  EXPECT_GE(figures.lossless->code_bits, figures.lossless->entropy_bits);
  EXPECT_LT(figures.lossless->code_bits, figures.lossless->entropy_bits + 0.1);
}

TEST(FormatFigures, zeros_divide_nothing) {
  const FormatFigures figures = figures_of(sums_of_original(4, 64, std::vector<float>(256)), {4});
  EXPECT_EQ(figures.by_channel->zero_share, 1);
  EXPECT_TRUE(std::isnan(figures.by_channel->by_rows[3].dense_over_merged));
  EXPECT_TRUE(std::isnan(figures.zero_point.at(4).shifted.sqnr_db));
  EXPECT_EQ(figures.lossless->entropy_bits, 0);
}

TEST(FormatFigures, json_keeps_them) {
  FormatFigures figures = drawn(std::normal_distribution<double>(0, 0.02), 3);
  const auto again = [](const FormatFigures& one) {
    return to_json(format_figures_from_json(nlohmann::ordered_json::parse(to_json(one).dump()))).dump();
  };
  EXPECT_EQ(again(figures), to_json(figures).dump());
  figures.lossless.reset();
  figures.by_channel.reset();
  EXPECT_EQ(again(figures), to_json(figures).dump());
}

}  // namespace
}  // namespace moecarlo
