#include "host/report/narrative/bit_slice_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr std::array<const char*, kDraftReadings.size()> reading_names{"truncate", "round", "LSB-augmented",
                                                                       "dedicated copy"};

std::string per_cent(double share) {
  return three_digits(100 * share);
}

void add_figure(std::vector<Block>& blocks, const std::vector<Figure>& figures, const char* id) {
  const auto found = std::find_if(figures.begin(), figures.end(), [&](const Figure& one) { return one.id == id; });
  if (found != figures.end()) blocks.emplace_back(*found);
}

}  // namespace

Table slice_table(const WeightFigures& weights) {
  Table table{
      "Slices, in bits per weight without scales. Coded: planes two-state coded where that is shorter. Zero "
      "slices can be skipped; sign bits only repeat the sign.",
      {"kept bits", "upper, coded", "upper, entropy", "zero slices, %", "zero bits, %", "sign bits, %", "lower, coded",
       "lower, entropy", "lower if upper is known", "zero lower slices, %"},
      0,
      {}};
  for (const KeptFigures& kept : weights.kept) {
    table.rows.push_back({std::to_string(kept.kept), three_digits(kept.upper.coded_bits),
                          three_digits(kept.upper.entropy_bits), per_cent(kept.upper.zero_share),
                          per_cent(kept.upper.zero_bit_share), per_cent(kept.sign_extension_share),
                          three_digits(kept.lower.coded_bits), three_digits(kept.lower.entropy_bits),
                          three_digits(kept.conditional_entropy_bits), per_cent(kept.lower.zero_share)});
  }
  return table;
}

Table draft_error_table(const WeightFigures& weights) {
  Table table{"Drafts against the INT8 weights. MSE in squares of an INT8 step; SQNR and cosine with scales.",
              {"draft", "kept bits", "SQNR, dB", "cosine", "MSE"},
              1,
              {}};
  for (std::size_t reading = 0; reading < kDraftReadings.size(); ++reading) {
    for (const KeptFigures& kept : weights.kept) {
      const DraftError& error = kept.drafts[reading];
      table.rows.push_back({reading_names[reading], std::to_string(kept.kept), fmt::format("{:.2f}", error.sqnr_db),
                            fmt::format("{:.5f}", error.cosine), number_text(error.mse)});
    }
  }
  return table;
}

Table plane_table(const WeightFigures& weights) {
  Table table{
      "Bit planes in groups of four rows. Merging adds up inputs of equal columns first; 100 % is one addition for "
      "every set bit.",
      {"bit", "set, %", "coded, bits", "distinct patterns of 16", "additions with merging, %"},
      0,
      {}};
  for (int bit = kWeightBits - 1; bit >= 0; --bit) {
    const PlaneFigures& plane = weights.planes[static_cast<std::size_t>(bit)];
    table.rows.push_back({bit == kWeightBits - 1 ? "7 (sign)" : std::to_string(bit), per_cent(plane.one_share),
                          three_digits(plane.coded_bits), three_digits(plane.distinct_patterns),
                          per_cent(plane.merged_additions)});
  }
  return table;
}

Table measured_table(const StudyResults& results) {
  Table table{"What the hardware model takes as given, and what these weights make of it",
              {"quantity", "unit", "nominal", "measured"},
              2,
              {}};
  if (!results.bit_slices) return table;
  for (const MeasuredQuantity& quantity : results.bit_slices->quantities) {
    table.rows.push_back({quantity.name, quantity.unit, number_text(quantity.nominal), number_text(quantity.measured)});
  }
  return table;
}

std::vector<Block> bit_slice_blocks(const WeightFigures& weights, const std::vector<Figure>& figures) {
  std::vector<Block> blocks;
  blocks.emplace_back(
      Paragraph{fmt::format("A weight of 8 bits holds {} bits of information; {} % of its bits only repeat its sign.",
                            number_text(weights.entropy_bits, 3), number_text(100 * weights.sign_extension_share, 3))});
  for (const char* id : {"weight_values", "slice_values"}) add_figure(blocks, figures, id);
  blocks.emplace_back(slice_table(weights));
  for (const char* id : {"draft_sqnr", "draft_cosine"}) add_figure(blocks, figures, id);
  blocks.emplace_back(draft_error_table(weights));
  add_figure(blocks, figures, "plane_sizes");
  blocks.emplace_back(plane_table(weights));
  return blocks;
}

}  // namespace moecarlo
