#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "host/report/narrative/acceptance_odds.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

std::string metric_cell(const PointResult* point, const std::string& metric) {
  const MetricResult* found = find_metric(point, metric);
  return found ? estimate_cell(found->estimate) : "n/a";
}

/// A bound that is stated as one number has no intervals to show.
std::string oracle_cell(const PointResult* point) {
  const MetricResult* oracle = find_metric(point, "oracle_hit_rate");
  if (!oracle) return "n/a";
  const bool estimated = oracle->estimate.mc_half_width || oracle->estimate.trace_half_width;
  return estimated ? estimate_cell(oracle->estimate) : three_digits(oracle->estimate.value);
}

std::string avoidable_cell(const PointResult& point) {
  const MetricResult* oracle = find_metric(&point, "oracle_hit_rate");
  const double rate = point.metrics.at("hit_rate").estimate.value;
  if (!oracle || !(rate < 1)) return "n/a";
  return three_digits(100 * (oracle->estimate.value - rate) / (1 - rate));
}

/// The distributions with a draft that hold for a point's policy, capacity and bits, of its batch at each depth.
std::vector<const Distribution*> shallow_to_deep(const StudyResults& results, const PointResult& point) {
  std::map<std::uint32_t, const Distribution*> by_depth;
  for (const Distribution* distribution : distributions_at(results, point)) {
    if (distribution->accepted_length.size() < 2 || distribution->batch != point.batch) continue;
    by_depth[distribution->depth] = distribution;
  }
  std::vector<const Distribution*> distributions;
  for (const auto& [depth, distribution] : by_depth) distributions.push_back(distribution);
  return distributions;
}

std::string json_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const Json& item : value) text += (text.empty() ? "" : ", ") + json_text(item);
  return text;
}

/// "grid.batch" | "1, 4, 8": the leaves of nested tables.
void add_leaves(Table& table, const Json& object, const std::string& prefix) {
  for (const auto& [key, value] : object.items()) {
    if (value.is_object()) {
      add_leaves(table, value, prefix + key + '.');
    } else {
      table.rows.push_back({prefix + key, json_text(value)});
    }
  }
}

void add_fact(Table& table, const std::string& name, const std::string& value) {
  if (!value.empty()) table.rows.push_back({name, value});
}

}  // namespace

Table acceptance_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  Table table{
      fmt::format(
          "Acceptance by draft position at batch {}, {}. Marginal, P(a >= i): of all rounds, how many accept draft "
          "token i. Conditional, P(a >= i | a >= i - 1): of the rounds that accepted all before it",
          typical->batch, cache_text(*typical)),
      {"acceptance", "depth"},
      1,
      {}};
  for (const Distribution* distribution : shallow_to_deep(results, *typical)) {
    std::vector<std::string> marginal{"marginal", std::to_string(distribution->depth)};
    std::vector<std::string> conditional{"conditional", std::to_string(distribution->depth)};
    for (const AcceptanceOdds& odds : acceptance_odds(distribution->accepted_length)) {
      marginal.push_back(three_digits(odds.marginal));
      conditional.push_back(three_digits(odds.conditional));
    }
    table.rows.push_back(marginal);
    table.rows.push_back(conditional);
  }
  std::size_t columns = 2;
  for (const auto& row : table.rows) columns = std::max(columns, row.size());
  for (auto& row : table.rows) row.resize(columns);
  while (table.header.size() < columns) table.header.push_back(fmt::format("token {}", table.header.size() - 1));
  return table;
}

Table workload_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  Table table{
      fmt::format(
          "Workload by batch and depth: {} in fast memory; experts are means per layer and pass. Value ± simulation ± "
          "trace",
          cache_text(*typical)),
      {"batch", "depth", "tokens per round", "distinct experts", "of accepted tokens", "hit rate", "oracle hit rate",
       "misses", "only for rejected"},
      0,
      {}};
  for (const std::uint32_t batch : batches_of(results)) {
    for (const std::uint32_t depth : depths_of(results)) {
      const PointResult* point = find_beside(results, *typical, batch, depth);
      if (!point) continue;
      table.rows.push_back({std::to_string(batch), std::to_string(depth), metric_cell(point, "tokens_per_round"),
                            metric_cell(point, "distinct_experts"), metric_cell(point, "distinct_experts_accepted"),
                            metric_cell(point, "hit_rate"), oracle_cell(point), metric_cell(point, "misses"),
                            metric_cell(point, "rejected_only")});
    }
  }
  return table;
}

Table hit_rate_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical || !find_metric(typical, "hit_rate")) return {};
  Table table{
      fmt::format(
          "Hit rate by policy, capacity and batch at draft depth {}{}, beside the oracle's; the last column is the "
          "share of a policy's misses that the oracle would avoid. Value ± simulation ± trace",
          typical->depth, bits_text(typical->bits)),
      {"policy", "experts per layer", "batch", "hit rate", "oracle hit rate", "avoidable misses, %"},
      1,
      {}};
  for (const std::string& policy : policies_of(results)) {
    for (const double capacity : capacities_of(results, typical->batch, typical->depth, policy)) {
      for (const std::uint32_t batch : batches_of(results)) {
        const PointResult* point =
            find_point(results, batch, typical->depth, policy, capacity, typical->bits, typical->demand);
        if (!find_metric(point, "hit_rate")) continue;
        table.rows.push_back({policy, number_text(capacity), std::to_string(batch), metric_cell(point, "hit_rate"),
                              oracle_cell(point), avoidable_cell(*point)});
      }
    }
  }
  return table;
}

Table difference_table(const StudyResults& results) {
  constexpr std::size_t shown = 40;
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  Table table{"", {"metric", "first", "second", "first - second"}, 3, {}};
  for (const DifferenceResult& difference : results.differences) {
    const PointResult& first = results.points.at(difference.first);
    if (first.batch != typical->batch || first.depth != typical->depth || table.rows.size() == shown) continue;
    table.rows.push_back({difference.metric, design_text(first), design_text(results.points.at(difference.second)),
                          estimate_cell(difference.estimate)});
  }
  table.caption = fmt::format(
      "Paired differences at batch {} and depth {} ({} of {}; all are in summary.json). Both designs saw the "
      "same trajectories, so a difference is known better than either level",
      typical->batch, typical->depth, table.rows.size(), results.differences.size());
  return table;
}

Table trace_table(const StudyResults& results) {
  Table table{"Trace", {"", ""}, 2, {}};
  if (results.trace_model.empty() && results.tokens == 0) return table;
  add_fact(table, "model", results.trace_model);
  add_fact(table, "file", results.trace_path);
  add_fact(table, "source", results.trace_source);
  add_fact(table, "tokens", count_text(results.tokens));
  add_fact(table, "MoE layers", count_text(results.layers));
  add_fact(table, "experts per layer", fmt::format("{}, top-{}", results.experts, results.top_k));
  add_fact(table, "sequences",
           fmt::format("{}: {} calibrate (popularity and fits), {} are evaluated", results.sequences,
                       results.calibration_sequences, results.evaluation_sequences));
  return table;
}

Table study_table(const StudyResults& results) {
  Table table{"Study, defaults filled in", {"key", "value"}, 2, {}};
  if (!results.study_json.empty()) add_leaves(table, Json::parse(results.study_json), "");
  return table;
}

Table run_table(const StudyResults& results) {
  Table table{"Run", {"", ""}, 2, {}};
  if (results.backend.empty()) return table;
  add_fact(table, "trajectories", count_text(results.trajectories));
  add_fact(table, "further trajectories in replicates, at the largest batch",
           count_text(results.replicate_trajectories));
  add_fact(table, "seed", std::to_string(results.seed));
  add_fact(table, "backend", results.backend);
  add_fact(table, "wall time", number_text(results.seconds, 3) + " s");
  add_fact(table, "version", results.version);
  return table;
}

}  // namespace moecarlo
