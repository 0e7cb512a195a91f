#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "host/report/charts/palette.hpp"
#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"
#include "host/statistics/loss.hpp"

namespace moecarlo {
namespace {

/// A lossy design beside what the model of the curve was measured to lose.
struct PlacedDesign {
  std::string demand;
  double dropped_mass = 0;
  std::optional<MeasuredLoss> loss;  ///< none where the rule was not measured, or not as far
};

/// Those at the typical point; none where the study names no curve.
std::vector<PlacedDesign> placed_designs(const StudyResults& results) {
  std::vector<PlacedDesign> placed;
  const PointResult* typical = typical_point(results);
  for (const PointResult& point : results.points) {
    if (!results.measured_loss || !typical || !is_beside(point, *typical)) continue;
    const std::optional<Loss> loss = loss_of(point);
    if (!loss || !loss->dropped_mass) continue;
    placed.push_back({point.demand, *loss->dropped_mass, results.measured_loss->at(point.demand, *loss->dropped_mass)});
  }
  return placed;
}

/// What was measured of each rule, from dropping nothing on.
std::map<std::string, std::vector<MeasuredLoss>> by_rule(const LossCurve& curve) {
  std::map<std::string, std::vector<MeasuredLoss>> rules;
  for (const MeasuredLoss& one : curve.rules) {
    if (one.demand != "all") rules[rule_family(one.demand)].push_back(one);
  }
  for (auto& [rule, measured] : rules) {
    std::copy_if(curve.rules.begin(), curve.rules.end(), std::back_inserter(measured),
                 [](const MeasuredLoss& one) { return one.demand == "all"; });
    std::sort(measured.begin(), measured.end(),
              [](const MeasuredLoss& a, const MeasuredLoss& b) { return a.dropped_mass < b.dropped_mass; });
  }
  return rules;
}

/// Of a single text the error is not known.
std::string with_error(double value, double error) {
  return std::isfinite(error) ? fmt::format("{:.3f} ± {:.3f}", value, error) : fmt::format("{:.3f}", value);
}

}  // namespace

Table loss_table(const StudyResults& results) {
  const std::vector<PlacedDesign> placed = placed_designs(results);
  if (placed.empty()) return {};
  const LossCurve& curve = *results.measured_loss;
  Table table{fmt::format("What such rules cost {}, measured with the rule in its forward pass ({} texts, {} tokens, "
                          "passes of depth {}, batch {}). A design is worth what its rule lost there where it dropped "
                          "as much gate mass, between two measured points by that mass. Perplexity over that of the "
                          "whole model with its 95 % interval; acceptance of a draft token and accepted length ± "
                          "standard error",
                          curve.model, curve.texts, curve.tokens, curve.depth, curve.batch),
              {"demand", "gate mass dropped or cut, %", "perplexity, times", "acceptance", "accepted length"},
              1,
              {}};
  for (const PlacedDesign& design : placed) {
    std::vector<std::string> row{design.demand, three_digits(100 * design.dropped_mass)};
    if (const auto& loss = design.loss) {
      row.push_back(fmt::format("{} ({} to {})", number_text(loss->perplexity_ratio, 4),
                                number_text(loss->perplexity_ratio_low, 4),
                                number_text(loss->perplexity_ratio_high, 4)));
      row.push_back(with_error(loss->acceptance, loss->acceptance_error));
      row.push_back(with_error(loss->accepted_length, loss->accepted_length_error));
    } else {
      row.insert(row.end(), 3, "not measured");
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

std::optional<Figure> loss_figure(const StudyResults& results) {
  const auto added = [](double ratio) { return 100 * (ratio - 1); };
  std::vector<LineSeries> marks;
  std::set<std::string> rules;
  for (const PlacedDesign& design : placed_designs(results)) {
    if (!design.loss) continue;
    rules.insert(rule_family(design.demand));
    const LinePoint at{100 * design.dropped_mass, added(design.loss->perplexity_ratio), 0, std::nullopt, std::nullopt};
    marks.push_back({design.demand, colours::ink, static_cast<int>(marks.size()), false, {at}});
  }
  if (marks.empty()) return std::nullopt;
  LineChart chart;
  for (const auto& [rule, measured] : by_rule(*results.measured_loss)) {
    if (rules.count(rule) == 0) continue;
    LineSeries series{rule, category_colour(chart.series.size()), -1, false, {}};
    for (const MeasuredLoss& one : measured) {
      const double half = 50 * (one.perplexity_ratio_high - one.perplexity_ratio_low);
      series.points.push_back({100 * one.dropped_mass, added(one.perplexity_ratio), half, std::nullopt, std::nullopt});
    }
    chart.series.push_back(std::move(series));
  }
  chart.series.insert(chart.series.end(), marks.begin(), marks.end());
  chart.text = {"What dropping experts costs a model",
                fmt::format("{}. Lines: measured by rule, error bars 95 %; marks: designs of this study.",
                            results.measured_loss->model),
                "gate mass dropped or cut, %", "perplexity above that of the whole model, %"};
  return figure_of("loss",
                   "Perplexity with the rule in the forward pass. A design stands where its rule drops as much gate "
                   "mass on the trace.",
                   chart);
}

}  // namespace moecarlo
