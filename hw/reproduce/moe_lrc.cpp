#include <fmt/format.h>

#include "hw/reproduce/published_lines.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::hw {
namespace {

/// Which specialization goes with consistency: the paper ranks them and gives no number for all models.
ReproducedRow rank_row(const LocalityOfTrace& trace) {
  Claim claim{"correlation with SRP: domain less vocabulary, above", trace.name, "correlation", 0};
  if (!trace.domain_correlation || !trace.vocabulary_correlation)
    return leave_open(claim, std::nullopt, "the trace does not tell domains and token ids both");
  const double difference = *trace.domain_correlation - *trace.vocabulary_correlation;
  ReproducedRow row = leave_open(claim, difference, "");
  row.verdict = difference > 0 ? Verdict::met : Verdict::missed;
  if (difference <= 0)
    row.reason =
        fmt::format("domain {:.2f}, vocabulary {:.2f}", *trace.domain_correlation, *trace.vocabulary_correlation);
  return row;
}

}  // namespace

std::uint32_t segment_of_moe_lrc(const Preset& preset) {
  PresetReader reader(preset);
  const std::uint32_t segment = reader.count("segment.tokens");
  reader.share("knee.tolerance");
  reader.finish();
  return segment;
}

/// What the paper finds of many models, on each trace at hand.
std::vector<ReproducedRow> reproduce_moe_lrc(const Preset& preset, const PublishedTables& tables,
                                             const std::vector<LocalityOfTrace>& traces) {
  PresetReader reader(preset);
  reader.count("segment.tokens");
  const double tolerance = reader.share("knee.tolerance");
  reader.finish();
  std::vector<ReproducedRow> rows;
  for (const auto& table : tables) {
    for (const PublishedLine& line : read_published_lines(table, "quantity,published")) {
      for (const LocalityOfTrace& trace : traces) {
        rows.push_back(compare({line.fields[0], trace.name, "ratio", line.number(1, "published")}, trace.knee,
                               tolerance, assumed_of(preset), "its curve bends elsewhere"));
      }
    }
  }
  for (const LocalityOfTrace& trace : traces) rows.push_back(rank_row(trace));
  return rows;
}

}  // namespace moecarlo::hw
