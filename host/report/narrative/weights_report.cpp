#include "host/report/narrative/weights_report.hpp"

#include <fmt/format.h>

#include "host/report/narrative/bit_slice_blocks.hpp"
#include "host/report/narrative/format_blocks.hpp"
#include "host/report/narrative/write_document.hpp"
#include "host/report/results/number_text.hpp"
#include "host/support/atomic_file.hpp"
#include "host/weights/counts_file.hpp"

namespace moecarlo {
namespace {

std::string similarity_text(const LayerMeasure& layer) {
  std::string text;
  for (const auto& [projection, similarity] : layer.similarity) {
    text += fmt::format("{}{} {:.4f} ({} and {})", text.empty() ? "" : ", ", to_string(projection), similarity.largest,
                        similarity.first, similarity.second);
  }
  return text.empty() ? "-" : text;
}

/// The figures of four bits where they were asked for, else of the first number of bits.
const KeptFigures& shown(const WeightFigures& figures) {
  for (const KeptFigures& kept : figures.kept) {
    if (kept.kept == 4) return kept;
  }
  return figures.kept.front();
}

Table layer_table(const WeightsMeasure& measure) {
  const int kept = shown(measure.total).kept;
  Table table{
      fmt::format("Layers: the upper slice of {} bits, LSB-augmented, and the experts that are most alike (cosine)",
                  kept),
      {"layer", "weights", "entropy, bits", "upper, coded", "zero slices, %", "SQNR, dB", "most alike"},
      0,
      {}};
  for (const LayerMeasure& layer : measure.layers) {
    const KeptFigures& figures = shown(layer.figures);
    const DraftError& draft = figures.drafts[static_cast<std::size_t>(DraftReading::lsb_augmented)];
    table.rows.push_back({std::to_string(layer.layer), count_text(layer.figures.weights),
                          three_digits(layer.figures.entropy_bits), three_digits(figures.upper.coded_bits),
                          three_digits(100 * figures.upper.zero_share), fmt::format("{:.2f}", draft.sqnr_db),
                          similarity_text(layer)});
  }
  return table;
}

}  // namespace

void write_weights_report(const WeightsMeasure& measure, const std::string& version,
                          const std::filesystem::path& directory) {
  const std::vector<Figure> figures = bit_slice_figures(measure.total);
  Document document;
  document.title = "Bit slices of " + measure.model;
  document.subtitle = fmt::format("{} matrices, {} weights ({})", count_text(measure.matrices.size()),
                                  count_text(measure.total.weights), measure.source);
  document.blocks.emplace_back(Heading{"What the bits of the weights hold"});
  for (Block& block : bit_slice_blocks(measure.total, figures)) document.blocks.push_back(std::move(block));
  document.blocks.emplace_back(Heading{"The same weights in other formats"});
  for (Block& block : format_blocks(measure.total_formats)) document.blocks.push_back(std::move(block));
  document.blocks.emplace_back(Heading{"Layers"});
  document.blocks.emplace_back(layer_table(measure));
  document.blocks.emplace_back(Paragraph{fmt::format(
      "{}, from {}. All figures of layers, experts and matrices: bitslice.json and bitslice.csv; every count: "
      "counts.h5.",
      version, measure.path)});
  write_document(std::move(document), figures, directory);
  write_atomically(directory / "bitslice.csv", bitslice_csv(measure));
  write_counts(measure, directory / "counts.h5");
  write_atomically(directory / "bitslice.json", bitslice_json(measure, version));
}

}  // namespace moecarlo
