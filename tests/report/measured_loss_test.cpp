#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/loss_json.hpp"
#include "host/report/results/summary.hpp"
#include "host/support/error.hpp"
#include "tests/report/markup.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// As measure_loss.py writes it; the error of a single text is not known.
std::string rule(const std::string& demand, double dropped, double ratio) {
  return fmt::format(
      R"({{"demand": "{}", "dropped_mass": {}, "bits_per_token": 4, "bits_per_token_error": 0.1, "perplexity": 16,
          "perplexity_ratio": {}, "perplexity_ratio_low": {}, "perplexity_ratio_high": {}, "acceptance": 0.8,
          "acceptance_error": null, "accepted_length": 2.5, "accepted_length_error": 0.02}})",
      demand, dropped, ratio, ratio - 0.01, ratio + 0.01);
}
std::string loss_file(const std::string& rules) {
  return R"({"schema": "moecarlo-loss", "schema_version": 1, "model": "small", "texts": 6, "tokens": 96, "depth": 4,
             "batch": 2, "rules": [)" +
         rules + "]}";
}
std::string usual_file() {
  return loss_file(rule("all", 0, 1) + "," + rule("threshold(0.1)", 0.2, 1.1));
}

LossCurve read(const std::string& text) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("moecarlo-loss-{}.json", getpid());
  std::ofstream(path) << text;
  try {
    LossCurve curve = read_loss_curve(path);
    std::filesystem::remove(path);
    return curve;
  } catch (...) {
    std::filesystem::remove(path);
    throw;
  }
}
std::string refusal_of(const std::string& text) {
  try {
    read(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    return error.what();
  }
  return "not refused";
}

TEST(LossFile, IsRead) {
  const LossCurve curve = read(usual_file());
  EXPECT_EQ(curve.model, "small");
  EXPECT_EQ(curve.tokens, 96U);
  ASSERT_EQ(curve.rules.size(), 2U);
  EXPECT_EQ(curve.rules[1].demand, "threshold(0.1)");
  EXPECT_EQ(curve.rules[1].perplexity_ratio, 1.1);
  EXPECT_TRUE(std::isnan(curve.rules[1].acceptance_error));
}

TEST(LossFile, IsRefusedWhereItIsNone) {
  EXPECT_THAT(refusal_of(R"({"schema": "moecarlo-bitslice", "schema_version": 1})"),
              HasSubstr("wrong schema (expected moecarlo-loss version 1"));
  EXPECT_THAT(refusal_of(loss_file(R"({"demand": "all"})")), HasSubstr("dropped_mass"));
  EXPECT_THAT(refusal_of(loss_file(rule("all", 0, 1) + "," + rule("budget(4)", 2, 1.1))),
              HasSubstr("impossible loss of budget(4) (expected a dropped_mass from 0 to 1"));
  EXPECT_THAT(refusal_of(loss_file(rule("budget(4)", 0.1, 1.1))), HasSubstr("expected the rule all, found none"));
  std::string more = usual_file();
  more.replace(more.find("\"batch\""), 7, "\"depths\": 1, \"batch\"");
  EXPECT_THAT(refusal_of(more), HasSubstr("depths"));
}

/// The sample study with two rules at its typical point.
StudyResults lossy_results() {
  StudyResults results = sample_results();
  const PointResult typical = *typical_point(results);
  for (const auto& [demand, dropped] : {std::pair{"threshold(0.05)", 0.1}, std::pair{"half(0.75)", 0.3}}) {
    PointResult lossy = typical;
    lossy.demand = demand;
    lossy.metrics["dropped_mass"] = {{dropped, 0.001, 0.002}, {}};
    results.points.push_back(lossy);
  }
  results.measured_loss = read(usual_file());
  return results;
}

TEST(LossInReport, PlacesDesignsBetweenMeasuredPointsOfTheirRule) {
  const Table table = loss_table(lossy_results());
  ASSERT_EQ(table.rows.size(), 2U);
  EXPECT_THAT(table.rows[0], ElementsAre("threshold(0.05)", "10.0", "1.05 (1.04 to 1.06)", "0.800", "2.500 ± 0.020"));
  EXPECT_THAT(table.rows[1], ElementsAre("half(0.75)", "30.0", "not measured", "not measured", "not measured"));
  EXPECT_THAT(what_is_dropped(lossy_results()), HasSubstr("drops 10 % of the gate mass, perplexity x 1.05 on small"));
  EXPECT_TRUE(loss_table(sample_results()).rows.empty());
}

TEST(LossInReport, IsDrawnByRuleWithTheDesignsAsMarks) {
  const std::optional<Figure> figure = loss_figure(lossy_results());
  ASSERT_TRUE(figure.has_value());
  EXPECT_NO_THROW(tags_of(figure->svg));
  EXPECT_THAT(figure->svg, Not(HasSubstr("nan")));
  const auto& chart = std::get<LineChart>(figure->chart);
  ASSERT_EQ(chart.series.size(), 2U);  // the rule that was measured, and the design that it places
  EXPECT_EQ(chart.series[0].points.size(), 2U);
  EXPECT_EQ(chart.series[1].points[0].x, 10);
  EXPECT_FALSE(loss_figure(sample_results()).has_value());
}

TEST(LossInSummary, IsReadBack) {
  StudyResults results = lossy_results();
  results.hardware.front().lossy = Loss{0.1, true, 1.05};
  std::string text;
  write_summary(results, [&](std::string_view piece) { text += piece; });
  const StudyResults again = parse_summary(text, "summary.json");
  EXPECT_EQ(to_json(*again.measured_loss).dump(), to_json(*results.measured_loss).dump());
  EXPECT_EQ(again.hardware.front().lossy, results.hardware.front().lossy);
}

}  // namespace
}  // namespace moecarlo
