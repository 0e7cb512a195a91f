#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "host/weights/format_counts.hpp"

namespace moecarlo {

/// DFloat11 (arXiv 2504.11651): BF16 weights whose exponents have a Huffman code; sign and mantissa stay a byte.
struct LosslessFigures {
  double entropy_bits = 0;     ///< of an exponent: no code of single ones is shorter
  double code_bits = 0;        ///< of an exponent, Huffman-coded, at most kLongestCode each
  double bits_per_weight = 0;  ///< with the decoder's data; see dfloat11_bits
  double float16_entropy_bits = 0;
  /// Share of FP16 weights whose exponent is below 16, so that its first bit is free (SPEQ, arXiv 2510.18525).
  double float16_free_bit_share = 0;
  std::array<std::uint64_t, kBfloat16Exponents> bfloat16{};  ///< histograms
  std::array<std::uint64_t, kFloat16Exponents> float16{};
};
constexpr int kLongestCode = 32;

/// Bits of a BF16 weight whose exponent has so many: a byte, the code, and beside it 5 bits for every 8 coded bytes and
/// 4 bytes for every 4,096 (arXiv 2504.11651, its code). The decoder's tables are left out: a few kB a matrix.
double dfloat11_bits(double code_bits);

/// Sign-magnitude planes in groups of so many rows (MCBP, arXiv 2509.10372). Sizes in bits per weight, scales left out;
/// ratios of additions over all seven magnitude planes. The two hardware counts leave out what all of them share:
/// adding up tiles and planes.
struct MergedFigures {
  double coded_bits = 8;   ///< planes 3 to 7 two-state coded, planes 1 and 2 and the sign raw: MCBP's choice
  double paying_bits = 8;  ///< every plane coded where that is shorter
  double dense_over_merged = 1;
  double set_over_merged = 1;                       ///< additions of set bits alone, one by one, over merged ones
  double dense_over_signed_merged = 1;              ///< merged only where signs agree, or all differ
  std::array<double, kMagnitudeBits> plane_bits{};  ///< by bit, coded
};

/// INT8 weights as sign and magnitude.
struct MagnitudeFigures {
  std::uint64_t weights = 0;
  double zero_share = 0;                               ///< of the weights
  std::array<double, kMagnitudeBits> one_share{};      ///< by bit
  std::array<MergedFigures, kMostMergedRows> by_rows;  ///< [rows - 1]
};

/// Upper slices of weights with a zero point against all their 8 bits.
struct SliceError {
  double mse = std::numeric_limits<double>::quiet_NaN();      ///< in squares of a step, scales left out
  double sqnr_db = std::numeric_limits<double>::quiet_NaN();  ///< with scales
};
struct ZeroPointFigures {
  SliceError shifted;  ///< AMAT (SliceMoE, arXiv 2512.12990): the zero point is shifted with the weights
  SliceError whole;    ///< the zero point stays whole
};

/// What other formats make of the same weights. Without original weights only those stored are there.
struct FormatFigures {
  MagnitudeFigures by_group;
  std::optional<MagnitudeFigures> by_channel;
  std::optional<LosslessFigures> lossless;
  std::map<int, ZeroPointFigures> zero_point;  ///< by kept bits
};

/// Squared errors of weights with a zero point, by bits left out.
struct ZeroPointSums {
  std::uint64_t weights = 0;
  double signal = 0;
  std::array<std::uint64_t, kMostShiftedBits + 1> shifted_squares{}, whole_squares{};  ///< in squares of a step
  std::array<double, kMostShiftedBits + 1> shifted_noise{}, whole_noise{};             ///< with scales
};

/// Counts of any number of matrices, ready to be added up in the order of the matrices.
struct FormatSums {
  MagnitudeCounts by_group, by_channel;
  ExponentCounts exponents;
  ZeroPointSums zero_point;

  FormatSums& operator+=(const FormatSums& other);
};

FormatSums sums_of(const FormatCounts& counts);

/// `kept`: of 2 .. 7.
FormatFigures figures_of(const FormatSums& sums, const std::vector<int>& kept);

}  // namespace moecarlo
