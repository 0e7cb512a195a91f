#include "host/report/narrative/format_blocks.hpp"

#include <fmt/format.h>

#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

Table magnitude_table(const FormatFigures& formats) {
  Table table{
      "Planes of sign and magnitude (MCBP). BSTC: bits per weight with planes 3 to 7 two-state coded; with every plane "
      "coded that is shorter so. BRCR: additions of every bit, or of every set bit, over those with equal columns "
      "merged in tiles of 256; and where columns merge only if their signs agree, or all differ.",
      {"a scale", "rows", "BSTC, bits", "if it pays, bits", "dense / merged", "set / merged", "dense / merged, signed"},
      2,
      {}};
  const auto add = [&](const char* scale, const MagnitudeFigures& figures) {
    for (std::size_t rows = 1; rows <= kMostMergedRows; ++rows) {
      const MergedFigures& merged = figures.by_rows[rows - 1];
      table.rows.push_back({scale, std::to_string(rows), three_digits(merged.coded_bits),
                            three_digits(merged.paying_bits), three_digits(merged.dense_over_merged),
                            three_digits(merged.set_over_merged), three_digits(merged.dense_over_signed_merged)});
    }
  };
  add("32 inputs", formats.by_group);
  if (formats.by_channel) add("a row", *formats.by_channel);
  return table;
}

Paragraph exponents(const LosslessFigures& figures) {
  return {fmt::format(
      "As BF16, exponents hold {} bits of information; Huffman-coded they take {}, so that DFloat11 stores a weight in "
      "{} "
      "of 16 bits, without loss. As FP16, {} % of the exponents are below 16: their first bit is free (SPEQ).",
      number_text(figures.entropy_bits, 3), number_text(figures.code_bits, 3), number_text(figures.bits_per_weight, 4),
      number_text(100 * figures.float16_free_bit_share, 6))};
}

Table zero_point_table(const FormatFigures& formats) {
  Table table{
      "Upper slices of unsigned weights with a zero point, in groups of 32, against all their 8 bits: the zero "
      "point shifted as the weights are (AMAT, SliceMoE), or whole",
      {"kept bits", "shifted: SQNR, dB", "MSE", "whole: SQNR, dB", "MSE"},
      0,
      {}};
  for (const auto& [kept, errors] : formats.zero_point) {
    table.rows.push_back({std::to_string(kept), fmt::format("{:.2f}", errors.shifted.sqnr_db),
                          number_text(errors.shifted.mse), fmt::format("{:.2f}", errors.whole.sqnr_db),
                          number_text(errors.whole.mse)});
  }
  return table;
}

}  // namespace

std::vector<Block> format_blocks(const FormatFigures& formats) {
  std::vector<Block> blocks;
  blocks.emplace_back(magnitude_table(formats));
  if (formats.lossless) blocks.emplace_back(exponents(*formats.lossless));
  if (!formats.zero_point.empty()) blocks.emplace_back(zero_point_table(formats));
  return blocks;
}

}  // namespace moecarlo
