#include "host/weights/format_figures.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "cuda/core/bit_slice.hpp"
#include "host/weights/huffman.hpp"

namespace moecarlo {
namespace {

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Not a number where nothing is added.
double ratio(std::uint64_t dense, std::uint64_t merged) {
  return merged == 0 ? std::numeric_limits<double>::quiet_NaN() : share(dense, merged);
}

std::uint64_t sum(std::span<const std::uint64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

LosslessFigures lossless_figures(const ExponentCounts& counts) {
  LosslessFigures figures;
  figures.bfloat16 = counts.bfloat16;
  figures.float16 = counts.float16;
  figures.entropy_bits = entropy_bits(counts.bfloat16);
  figures.float16_entropy_bits = entropy_bits(counts.float16);
  const std::vector<int> lengths = huffman_lengths(counts.bfloat16, kLongestCode);
  std::uint64_t coded = 0;
  for (std::size_t i = 0; i < lengths.size(); ++i) coded += counts.bfloat16[i] * static_cast<std::uint64_t>(lengths[i]);
  figures.code_bits = share(coded, sum(counts.bfloat16));
  figures.bits_per_weight = dfloat11_bits(figures.code_bits);
  constexpr std::size_t half = kFloat16Exponents / 2;
  figures.float16_free_bit_share = share(sum(std::span(counts.float16).first(half)), sum(counts.float16));
  return figures;
}

MergedFigures merged_figures(const MagnitudeCounts& counts, std::size_t rows) {
  constexpr std::size_t first_coded = 2;  // planes are numbered from 1 in the paper
  MergedFigures figures;
  figures.coded_bits = figures.paying_bits = 1;  // the sign
  std::uint64_t merged = 0, signed_merged = 0, set = 0;
  for (std::size_t bit = 0; bit < kMagnitudeBits; ++bit) {
    const MagnitudePlaneCounts& plane = counts.planes[rows - 1][bit];
    const double coded = share(counts.group_columns[rows - 1] + plane.spelled_bits, counts.weights);
    figures.plane_bits[bit] = coded;
    figures.coded_bits += bit < first_coded ? 1 : coded;
    figures.paying_bits += std::min(1.0, coded);
    merged += plane.additions;
    signed_merged += plane.signed_additions;
    set += counts.planes[0][bit].additions;
  }
  figures.dense_over_merged = ratio(kMagnitudeBits * counts.dense_additions, merged);
  figures.dense_over_signed_merged = ratio(kMagnitudeBits * counts.dense_additions, signed_merged);
  figures.set_over_merged = ratio(set, merged);
  return figures;
}

MagnitudeFigures magnitude_figures(const MagnitudeCounts& counts) {
  MagnitudeFigures figures;
  figures.weights = counts.weights;
  figures.zero_share = share(counts.zero_weights, counts.weights);
  for (std::size_t bit = 0; bit < kMagnitudeBits; ++bit) {
    figures.one_share[bit] = share(counts.planes[0][bit].spelled_bits, counts.weights);
  }
  for (std::size_t rows = 1; rows <= kMostMergedRows; ++rows) figures.by_rows[rows - 1] = merged_figures(counts, rows);
  return figures;
}

SliceError slice_error(std::uint64_t squares, double noise, const ZeroPointSums& sums) {
  SliceError error;
  error.mse = share(squares, sums.weights);
  if (sums.signal > 0 && noise > 0) error.sqnr_db = 10 * std::log10(sums.signal / noise);
  return error;
}

ZeroPointSums zero_point_sums(const ZeroPointCounts& counts) {
  ZeroPointSums sums;
  sums.weights = sum(counts.counts);
  if (sums.weights == 0) return sums;
  const double unit = std::ldexp(1.0, 2 * (kSmallestScaleExponent + counts.scale_shift));
  for (int d = 0; d < kDifferences; ++d) {
    const double difference = d - kLargestUnsigned;
    sums.signal +=
        unit * static_cast<double>(counts.difference_squares[static_cast<std::size_t>(d)]) * difference * difference;
  }
  for (int shift = 1; shift <= kMostShiftedBits; ++shift) {
    const auto at = static_cast<std::size_t>(shift);
    for (int q = 0; q < kRemainders; ++q) {
      for (int z = 0; z < kRemainders; ++z) {
        const auto bin = static_cast<std::size_t>(q) * kRemainders + static_cast<std::size_t>(z);
        const int shifted = q - z - shifted_zero(q, z, shift), whole = q - z - whole_zero(q, z, shift);
        const double squares = unit * static_cast<double>(counts.squared_scales[bin]);
        sums.shifted_squares[at] += counts.counts[bin] * static_cast<std::uint64_t>(shifted * shifted);
        sums.whole_squares[at] += counts.counts[bin] * static_cast<std::uint64_t>(whole * whole);
        sums.shifted_noise[at] += squares * shifted * shifted;
        sums.whole_noise[at] += squares * whole * whole;
      }
    }
  }
  return sums;
}

}  // namespace

double dfloat11_bits(double code_bits) {
  constexpr double gap_bits = 5.0 / 64, block_bits = 32.0 / 32768;  // of each coded bit
  return 8 + code_bits * (1 + gap_bits + block_bits);
}

FormatSums& FormatSums::operator+=(const FormatSums& other) {
  by_group += other.by_group;
  by_channel += other.by_channel;
  exponents += other.exponents;
  zero_point.weights += other.zero_point.weights;
  zero_point.signal += other.zero_point.signal;
  for (std::size_t i = 0; i <= kMostShiftedBits; ++i) {
    zero_point.shifted_squares[i] += other.zero_point.shifted_squares[i];
    zero_point.whole_squares[i] += other.zero_point.whole_squares[i];
    zero_point.shifted_noise[i] += other.zero_point.shifted_noise[i];
    zero_point.whole_noise[i] += other.zero_point.whole_noise[i];
  }
  return *this;
}

FormatSums sums_of(const FormatCounts& counts) {
  return {counts.by_group, counts.by_channel, counts.exponents, zero_point_sums(counts.zero_point)};
}

FormatFigures figures_of(const FormatSums& sums, const std::vector<int>& kept) {
  FormatFigures figures;
  figures.by_group = magnitude_figures(sums.by_group);
  if (sums.by_channel.weights == 0) return figures;
  figures.by_channel = magnitude_figures(sums.by_channel);
  figures.lossless = lossless_figures(sums.exponents);
  for (const int bits : kept) {
    const auto shift = static_cast<std::size_t>(kWeightBits - bits);
    figures.zero_point[bits] = {
        slice_error(sums.zero_point.shifted_squares[shift], sums.zero_point.shifted_noise[shift], sums.zero_point),
        slice_error(sums.zero_point.whole_squares[shift], sums.zero_point.whole_noise[shift], sums.zero_point)};
  }
  return figures;
}

}  // namespace moecarlo
