#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

/// One line a batch: a metric of the typical policy, capacity and bits against depth.
LineChart against_depth(const StudyResults& results, const std::string& metric) {
  LineChart chart;
  chart.smallest_x_step = 1;
  const PointResult* typical = typical_point(results);
  if (!typical) return chart;
  const auto batches = batches_of(results);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    LineSeries series{fmt::format("batch {}", batches[i]), category_colour(i), static_cast<int>(i), false, {}};
    for (const std::uint32_t depth : depths_of(results)) {
      const MetricResult* found = find_metric(find_beside(results, *typical, batches[i], depth), metric);
      if (found) series.points.push_back(line_point(depth, found->estimate));
    }
    if (!series.points.empty()) chart.series.push_back(series);
  }
  return chart;
}

/// Whether there is a line to draw: points at one place along x are a row of a table.
bool has_a_line(const LineChart& chart) {
  return std::any_of(chart.series.begin(), chart.series.end(),
                     [](const LineSeries& series) { return series.points.size() > 1; });
}

void add(std::vector<Figure>& figures, const std::string& id, const LineChart& chart, const std::string& caption) {
  if (has_a_line(chart)) figures.push_back(figure_of(id, caption, chart));
}

/// "Policy lru, 12 experts per layer. Error bars ..."
std::string conditions(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  return typical ? fmt::format("At {}. {}", cache_text(*typical), intervals_note) : intervals_note;
}

/// Moves the series a little apart along x: lines that lie on each other stay apart, and the ticks say where they
/// belong.
void spread(LineChart& chart) {
  constexpr double share = 0.013;  // of the axis: the width of a marker
  double widest = 0;
  for (const LineSeries& series : chart.series) widest = std::max(widest, series.points.back().x);
  const double middle = (static_cast<double>(chart.series.size()) - 1) / 2;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    for (LinePoint& point : chart.series[i].points) point.x += share * widest * (static_cast<double>(i) - middle);
  }
}

void add_tokens_per_round(std::vector<Figure>& figures, const StudyResults& results) {
  LineChart chart = against_depth(results, "tokens_per_round");
  spread(chart);
  chart.text = {"Tokens emitted per round and request", conditions(results), "draft depth (tokens drafted per round)",
                "tokens per round"};
  add(figures, "tokens_per_round", chart,
      "Tokens that one request gains per round, the bonus token included; autoregressive decoding (depth 0) emits "
      "one.");
}

void add_distinct_experts(std::vector<Figure>& figures, const StudyResults& results) {
  LineChart chart = against_depth(results, "distinct_experts");
  LineChart accepted = against_depth(results, "distinct_experts_accepted");
  for (LineSeries& series : chart.series) {
    for (LineSeries& inner : accepted.series) {
      if (inner.label != series.label || inner.points.size() != series.points.size()) continue;
      for (std::size_t i = 0; i < series.points.size(); ++i) series.points[i].floor = inner.points[i].y;
      inner.dashed = true;
      inner.marker = -1;
      for (LinePoint& point : inner.points) point = {point.x, point.y, 0, std::nullopt, std::nullopt};
    }
  }
  for (LineSeries& inner : accepted.series) {
    inner.label.clear();
    chart.series.push_back(inner);
  }
  chart.text = {
      "Distinct experts that a verification pass touches",
      fmt::format("Mean per layer, of {} experts, top-{} routing. Solid: all columns; dashed: accepted tokens only. {}",
                  results.experts, results.top_k, conditions(results)),
      "draft depth", "experts per layer and pass"};
  add(figures, "distinct_experts", chart,
      "The shaded ground between a solid and a dashed line are experts that only rejected tokens asked for: work that "
      "speculation adds and nobody uses.");
}

/// A hit rate in per cent against capacity, at the typical batch and depth.
std::vector<LinePoint> against_capacity(const StudyResults& results, const PointResult& typical,
                                        const std::string& policy, const std::string& metric) {
  std::vector<LinePoint> points;
  for (const double capacity : capacities_of(results, typical.batch, typical.depth, policy)) {
    const PointResult* point =
        find_point(results, typical.batch, typical.depth, policy, capacity, typical.bits, typical.demand);
    const MetricResult* found = find_metric(point, metric);
    if (found && std::isfinite(capacity)) points.push_back(line_point(capacity, scaled(found->estimate, 100)));
  }
  return points;
}

void add_hit_rate(std::vector<Figure>& figures, const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return;
  LineChart chart;
  const auto policies = policies_of(results);
  for (std::size_t i = 0; i < policies.size(); ++i) {
    LineSeries series{policies[i], category_colour(i), static_cast<int>(i), false, {}};
    series.points = against_capacity(results, *typical, policies[i], "hit_rate");
    if (!series.points.empty()) chart.series.push_back(series);
  }
  LineSeries oracle{"oracle", colours::ink, -1, true, {}};
  oracle.points = against_capacity(results, *typical, typical->policy, "oracle_hit_rate");
  if (!chart.series.empty() && !oracle.points.empty()) chart.series.push_back(oracle);
  chart.text = {"Hit rate of the expert cache by capacity and policy",
                fmt::format("Batch {}, draft depth {}{}. {}", typical->batch, typical->depth, bits_text(typical->bits),
                            intervals_note),
                fmt::format("experts in fast memory per layer (of {})", results.experts),
                "hits, % of distinct experts"};
  add(figures, "hit_rate", chart,
      fmt::format(
          "Distinct experts of a verification pass that are already in fast memory, at batch {} and depth {}{}, the "
          "middle of the grid. Dashed: the best that any cache of that size could do.",
          typical->batch, typical->depth, bits_text(typical->bits)));
}

/// The part of a distribution that a picture can show: first .. last - 1, shares below 0.05 % cut off at both ends.
std::pair<std::size_t, std::size_t> visible_range(const std::vector<double>& shares) {
  const auto visible = [](double share) { return share >= 5e-4; };
  const auto first = std::find_if(shares.begin(), shares.end(), visible);
  const auto last = std::find_if(shares.rbegin(), shares.rend(), visible);
  if (first == shares.end()) return {0, shares.size()};
  return {first - shares.begin(), shares.rend() - last};
}

void add_expert_distribution(std::vector<Figure>& figures, const StudyResults& results) {
  LineChart chart;
  chart.smallest_x_step = 1;
  const PointResult* typical = typical_point(results);
  if (!typical) return;
  const auto distributions = deepest_distributions(results, *typical);
  for (std::size_t i = 0; i < distributions.size(); ++i) {
    const std::vector<double>& shares = distributions[i]->distinct_experts;
    LineSeries series{fmt::format("batch {}", distributions[i]->batch), category_colour(i), -1, false, {}};
    const auto [first, last] = visible_range(shares);
    for (std::size_t n = first; n < last; ++n) {
      series.points.push_back({static_cast<double>(n), 100 * shares[n], 0, std::nullopt, 0.0});
    }
    if (!shares.empty()) chart.series.push_back(series);
  }
  if (chart.series.empty()) return;
  chart.text = {
      "How many experts a verification pass touches: the whole distribution",
      fmt::format("Draft depth {}, {}, all layers together", distributions.front()->depth, cache_text(*typical)),
      "distinct experts in one layer and pass", "% of layer passes"};
  add(figures, "distinct_experts_distribution", chart,
      "Time and energy are not linear in the number of experts, so the hardware model integrates over the distribution "
      "of hits "
      "and misses and not over their means.");
}

void add_accepted_length(std::vector<Figure>& figures, const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return;
  const auto distributions = deepest_distributions(results, *typical);
  if (distributions.empty() || distributions.front()->accepted_length.empty()) return;
  const Distribution& shown = *distributions.front();
  ColumnChart chart;
  chart.text = {"Accepted length of a round",
                fmt::format("Draft depth {}, batch {}, {}", shown.depth, shown.batch, cache_text(*typical)),
                "draft tokens accepted", "% of rounds"};
  chart.series.push_back({"", category_colour(0), shown.accepted_length});
  for (double& share : chart.series.front().values) share *= 100;
  figures.push_back(figure_of(
      "accepted_length", "Draft tokens of one request that a round accepts; the bonus token comes on top.", chart));
}

/// The layers of the typical design: a row a capacity where the metric depends on it.
void add_layer_strip(std::vector<Figure>& figures, const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return;
  HeatStrip chart;
  for (const double capacity : capacities_of(results, typical->batch, typical->depth, typical->policy)) {
    const PointResult* point =
        find_point(results, typical->batch, typical->depth, typical->policy, capacity, typical->bits, typical->demand);
    const MetricResult* found = find_metric(point, "hit_rate");
    if (!found || found->per_layer.empty()) continue;
    chart.rows.push_back({fmt::format("{} experts", number_text(capacity)), found->per_layer});
    for (double& rate : chart.rows.back().values) rate *= 100;
  }
  if (chart.rows.empty()) return;
  chart.value_title = "hit rate, %";
  chart.text = {"Hit rate layer by layer",
                fmt::format("Batch {}, draft depth {}, policy {}{}; a row for each cache capacity per layer",
                            typical->batch, typical->depth, typical->policy, bits_text(typical->bits)),
                "MoE layer", ""};
  figures.push_back(
      figure_of("hit_rate_layers",
                "Layers differ in how concentrated their routing is: pale layers are where a larger share of the cache "
                "would help.",
                chart));
}

void add_layer_columns(std::vector<Figure>& figures, const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  const MetricResult* hits = find_metric(typical, "hits");
  const MetricResult* misses = find_metric(typical, "misses");
  const MetricResult* rejected = find_metric(typical, "rejected_only");
  if (!hits || !misses || !rejected || hits->per_layer.empty()) return;
  if (misses->per_layer.size() != hits->per_layer.size() || rejected->per_layer.size() != hits->per_layer.size())
    return;
  ColumnChart chart;
  chart.text = {"What a verification pass finds in each layer", "At " + design_text(*typical), "MoE layer",
                "experts per pass"};
  std::vector<double> useful = misses->per_layer;
  for (std::size_t layer = 0; layer < useful.size(); ++layer) useful[layer] -= rejected->per_layer[layer];
  chart.series = {{"hits", category_colour(0), hits->per_layer},
                  {"misses for accepted tokens", category_colour(4), useful},
                  {"misses for rejected tokens only", category_colour(1), rejected->per_layer}};
  figures.push_back(
      figure_of("experts_layers",
                "A column is the number of distinct experts in one layer: resident, fetched for an accepted token, and "
                "fetched only for tokens that were then rejected.",
                chart));
}

}  // namespace

std::vector<Figure> simulation_figures(const StudyResults& results) {
  std::vector<Figure> figures;
  add_tokens_per_round(figures, results);
  add_accepted_length(figures, results);
  add_distinct_experts(figures, results);
  add_expert_distribution(figures, results);
  add_hit_rate(figures, results);
  add_layer_strip(figures, results);
  add_layer_columns(figures, results);
  if (auto loss = loss_figure(results)) figures.push_back(*std::move(loss));
  return figures;
}

}  // namespace moecarlo
