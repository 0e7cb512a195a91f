#include <fmt/format.h>

#include <numeric>

#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"
#include "host/statistics/loss.hpp"

namespace moecarlo {
namespace {

std::string cell_of(const PointResult& point, const std::string& metric, double factor = 1) {
  const MetricResult* found = find_metric(&point, metric);
  return found ? estimate_cell(scaled(found->estimate, factor)) : "n/a";
}

}  // namespace

Table demand_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  Table table{fmt::format("What columns ask of memory at batch {}, depth {}, policy {}, {} experts per layer{}: means "
                          "per layer and pass. Value ± simulation ± trace. A rule that drops gate mass is lossy: the "
                          "model computes something else, and accepted lengths that were measured without it make a "
                          "speed under it an upper bound",
                          typical->batch, typical->depth, typical->policy, number_text(typical->capacity),
                          bits_text(typical->bits)),
              {"demand", "gate mass dropped or cut, %", "pairs chosen", "pairs kept", "distinct experts",
               "expert equivalents", "hit rate", "misses", "tokens per round"},
              1,
              {}};
  for (const PointResult& point : results.points) {
    if (!is_beside(point, *typical) || !find_metric(&point, "demands")) continue;
    const std::string yields = cell_of(point, "tokens_per_round");
    const char* lost = cuts_bits(point.demand) ? "upper_mass" : "dropped_mass";
    table.rows.push_back({point.demand, cell_of(point, lost, 100), cell_of(point, "demands"),
                          cell_of(point, "demands_kept"), cell_of(point, "distinct_experts"),
                          cell_of(point, "expert_equivalents"), cell_of(point, "hit_rate"), cell_of(point, "misses"),
                          loss_of(point) ? yields + " (at most)" : yields});
  }
  return table;
}

Table theta_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical || typical->demand != "all") return {};
  const auto products = typical->histograms.find("gate_products");
  const MetricResult* chosen = find_metric(typical, "distinct_experts");
  if (products == typical->histograms.end() || !chosen) return {};
  const std::vector<double>& shares = products->second.all;
  Table table{fmt::format("What the demand rule threshold would load over a pass at batch {}, depth {}, by theta: "
                          "experts whose product of gate and path probability reaches it, and first choices. Read off "
                          "the run that loads all",
                          typical->batch, typical->depth),
              {"theta", "experts per layer and pass", "of those chosen, %"},
              3,
              {}};
  for (std::size_t step : {0, 1, 2, 4, 8, 16, 32, 64, 128, 256}) {
    const double share = std::accumulate(shares.begin() + static_cast<std::ptrdiff_t>(step), shares.end(), 0.0);
    table.rows.push_back({number_text(static_cast<double>(step) / 256, 3), three_digits(share * chosen->estimate.value),
                          three_digits(100 * share)});
  }
  return table;
}

std::string what_is_dropped(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return "";
  std::string text;
  for (const PointResult& point : results.points) {
    if (!is_beside(point, *typical)) continue;
    const std::optional<Loss> loss = placed_on(results.measured_loss, point.demand, loss_of(point));
    if (!loss) continue;
    text += fmt::format("{}{} is {}", text.empty() ? "" : "; ", point.demand, loss_text(loss, point.demand));
    if (loss->perplexity_ratio) text += " on " + results.measured_loss->model;
  }
  if (text.empty()) return "";
  return fmt::format(
      "Not every expert that was chosen is asked for: at batch {}, depth {}, {}. Its numbers hold for another model "
      "than "
      "the trace's; accepted lengths were measured without the rule, so that speeds under it are upper bounds.",
      typical->batch, typical->depth, text);
}

Table prefill_table(const StudyResults& results) {
  Table table{
      "Prefill, one request: the tokens before the decode tokens, in chunks through caches that begin as the study's "
      "do, sequence after sequence; means per layer and chunk. Partial sums of an expert order that completes as many "
      "as it can: how many are open at a time, and how many find no slot. Value ± simulation ± trace",
      {"policy", "experts per layer", "demand", "distinct experts", "hit rate", "misses", "cache writes",
       "open partial sums", "spills"},
      2,
      {}};
  for (const PointResult& point : results.prefill) {
    if (point.implied) continue;
    table.rows.push_back({point.policy, number_text(point.capacity), point.demand, cell_of(point, "distinct_experts"),
                          cell_of(point, "hit_rate"), cell_of(point, "misses"), cell_of(point, "cache_writes"),
                          cell_of(point, "psum_high_water"), cell_of(point, "psum_spills")});
  }
  return table;
}

Table prefetch_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  Table table{"", {"layers ahead", "recall", "precision", "useful", "wasted", "residents displaced"}, 0, {}};
  if (!typical) return table;
  const std::string stem = "prefetch_recall.";
  for (const auto& [name, metric] : typical->metrics) {
    if (!name.starts_with(stem)) continue;
    const std::string lead = name.substr(stem.size());
    table.rows.push_back({lead, estimate_cell(metric.estimate), cell_of(*typical, "prefetch_precision." + lead),
                          cell_of(*typical, "prefetch_useful." + lead), cell_of(*typical, "prefetch_wasted." + lead),
                          cell_of(*typical, "prefetch_displaced." + lead)});
  }
  table.caption = fmt::format(
      "What a predictor would fetch ahead at batch {}, depth {}, policy {}, {} experts per layer, "
      "demand {}: experts per layer and pass. It is counted and not done. Value ± simulation ± "
      "trace",
      typical->batch, typical->depth, typical->policy, number_text(typical->capacity), typical->demand);
  return table;
}

Table depths_of_draft_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical || !find_metric(typical, "distinct_by_depth.0")) return {};
  Table table{
      fmt::format("Different experts that the columns of one depth of a draft of {} use at batch {}, demand {}: "
                  "means per layer and pass. Value ± simulation ± trace",
                  typical->depth, typical->batch, typical->demand),
      {"depth", "distinct experts"},
      0,
      {}};
  for (std::uint32_t level = 0; level <= typical->depth; ++level) {
    table.rows.push_back({std::to_string(level), cell_of(*typical, fmt::format("distinct_by_depth.{}", level))});
  }
  return table;
}

}  // namespace moecarlo
