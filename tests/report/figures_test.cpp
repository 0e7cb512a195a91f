#include "host/report/narrative/figures.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/png.hpp"
#include "host/report/narrative/selection.hpp"
#include "tests/report/markup.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::ElementsAre;

std::vector<Figure> all_figures(const StudyResults& results) {
  std::vector<Figure> figures = simulation_figures(results);
  for (const Figure& figure : speculation_figures(results)) figures.push_back(figure);
  for (const Figure& figure : hardware_figures(results)) figures.push_back(figure);
  return figures;
}

std::vector<std::string> ids_of(const std::vector<Figure>& figures) {
  std::vector<std::string> ids;
  for (const Figure& figure : figures) ids.push_back(figure.id);
  return ids;
}

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
  bool holds(double x, double y) const {
    constexpr double rounding = 0.011;
    return x >= left - rounding && x <= right + rounding && y >= top - rounding && y <= bottom + rounding;
  }
};

/// One, or one for each panel.
std::vector<Box> plot_areas(const std::vector<Tag>& tags) {
  std::vector<Box> areas;
  for (const Tag& tag : tags_named(tags, "rect")) {
    if (!tag.attributes.count("class")) continue;
    const double left = std::stod(tag.attributes.at("x")), top = std::stod(tag.attributes.at("y"));
    areas.push_back(
        {left, top, left + std::stod(tag.attributes.at("width")), top + std::stod(tag.attributes.at("height"))});
  }
  return areas;
}

Box plot_area(const std::vector<Tag>& tags) {
  return plot_areas(tags).at(0);
}

std::vector<std::pair<double, double>> points_of(const Tag& tag) {
  std::vector<std::pair<double, double>> points;
  std::istringstream text(tag.attributes.at("points"));
  for (double x = 0, y = 0; text >> x && text.ignore() && text >> y;) points.emplace_back(x, y);
  return points;
}

TEST(Figures, EveryKindOfDataHasItsFigure) {
  EXPECT_THAT(ids_of(all_figures(sample_results())),
              ElementsAre("tokens_per_round", "accepted_length", "distinct_experts", "distinct_experts_distribution",
                          "hit_rate", "hit_rate_layers", "experts_layers", "break_even", "speedup", "round_time",
                          "energy", "use", "sensitivity", "sensitivity_energy"));
}

TEST(Figures, AreWellFormedXml) {
  for (const Figure& figure : all_figures(sample_results())) EXPECT_NO_THROW(tags_of(figure.svg)) << figure.id;
}

TEST(Figures, HostileNamesStayText) {
  StudyResults results = sample_results();
  for (HardwareResult& row : results.hardware) row.system = "</text><script>\"&'" + row.system;
  for (PointResult& point : results.points) point.policy += "<&>";
  for (const Figure& figure : all_figures(results)) {
    EXPECT_NO_THROW(tags_of(figure.svg)) << figure.id;
    EXPECT_THAT(figure.svg, testing::Not(testing::HasSubstr("<script"))) << figure.id;
  }
}

TEST(Figures, LinesAndBandsLieInsideThePlotArea) {
  std::size_t lines = 0;
  for (const Figure& figure : all_figures(sample_results())) {
    const std::vector<Tag> tags = tags_of(figure.svg);
    const std::vector<Box> areas = plot_areas(tags);
    for (const char* shape : {"polyline", "polygon"}) {
      for (const Tag& tag : tags_named(tags, shape)) {
        if (tag.attributes.count("stroke-width") && tag.name == "polygon") continue;  // a marker, or one in the legend
        ++lines;
        for (const auto& point : points_of(tag)) {
          const auto holds = [&](const Box& area) { return area.holds(point.first, point.second); };
          EXPECT_TRUE(std::any_of(areas.begin(), areas.end(), holds))
              << figure.id << ": " << point.first << ", " << point.second;
        }
      }
    }
  }
  EXPECT_GT(lines, 30U);
}

TEST(Figures, TextsDoNotLeaveThePicture) {
  for (const Figure& figure : all_figures(sample_results())) {
    const std::vector<Tag> tags = tags_of(figure.svg);
    const double width = std::stod(tags.front().attributes.at("width"));
    const double height = std::stod(tags.front().attributes.at("height"));
    for (const Tag& text : tags_named(tags, "text")) {
      const double x = std::stod(text.attributes.at("x")), y = std::stod(text.attributes.at("y"));
      EXPECT_TRUE(x >= 0 && x <= width && y >= 0 && y <= height) << figure.id;
    }
  }
}

TEST(Figures, LineHeightsAreProportionalToTheData) {
  LineChart chart;
  chart.text = {"t", "", "x", "y"};
  chart.series = {{"a", "#000000", -1, false, {{0, 0, 0, {}, {}}, {1, 3, 0, {}, {}}, {3, 10, 0, {}, {}}}}};
  const std::vector<Tag> tags = tags_of(draw(chart));
  const Box area = plot_area(tags);
  const auto points = points_of(tags_named(tags, "polyline").at(0));
  ASSERT_EQ(points.size(), 3U);
  EXPECT_NEAR(points[0].second, area.bottom, 0.02);
  EXPECT_NEAR(points[2].second, area.top, 0.02);  // 10 is a tick, so the axis ends there
  EXPECT_NEAR(points[1].second, area.bottom - 0.3 * (area.bottom - area.top), 0.02);
  EXPECT_NEAR(points[1].first, area.left + (area.right - area.left) / 3, 0.02);
}

TEST(Figures, IntervalsAreInsideTheAxis) {
  LineChart chart;
  chart.text = {"t", "", "x", "y"};
  chart.series = {{"a", "#000000", -1, false, {{0, 10, 0, 3, {}}, {1, 10, 0, 3, {}}}}};
  const std::vector<Tag> tags = tags_of(draw(chart));
  const Box area = plot_area(tags);
  const std::vector<Tag> bands = tags_named(tags, "polygon");
  ASSERT_EQ(bands.size(), 1U);
  for (const auto& [x, y] : points_of(bands[0])) EXPECT_TRUE(area.holds(x, y)) << x << ", " << y;
}

TEST(Figures, BandsBreakOffWhereTheTraceIntervalIsNotAvailable) {
  LineChart chart;
  chart.text = {"t", "", "x", "y"};
  chart.series = {
      {"a", "#000000", -1, false, {{0, 5, 0, 1, {}}, {1, 5, 0, 1, {}}, {2, 5, 0, {}, {}}, {3, 5, 0, 1, {}}}}};
  const std::vector<Tag> tags = tags_of(draw(chart));
  const Box area = plot_area(tags);
  const double from = area.left + (area.right - area.left) / 3, to = area.right - 10;
  const std::vector<Tag> bands = tags_named(tags, "polygon");
  EXPECT_EQ(bands.size(), 2U);  // one from 0 to 1, one alone at 3
  for (const Tag& band : bands) {
    for (const auto& [x, y] : points_of(band)) EXPECT_TRUE(x <= from + 0.02 || x >= to) << x;
  }
}

TEST(Figures, StackedSegmentsFollowEachOther) {
  BarChart chart;
  chart.text = {"t", "", "x", ""};
  chart.groups = {{"g", {{"b", {{2, "#111111", ""}, {6, "#222222", ""}}, 0, 0, ""}}}};
  const std::vector<Tag> tags = tags_of(draw(chart));
  const Box area = plot_area(tags);
  const double unit = (area.right - area.left) / 8;
  int seen = 0;
  for (const Tag& tag : tags_named(tags, "rect")) {
    const std::string fill = tag.attributes.at("fill");
    if (fill != "#111111" && fill != "#222222") continue;
    const bool first = fill == "#111111";
    EXPECT_NEAR(std::stod(tag.attributes.at("x")), area.left + (first ? 0 : 2) * unit, 0.02);
    EXPECT_NEAR(std::stod(tag.attributes.at("width")), (first ? 2 : 6) * unit, 0.02);
    ++seen;
  }
  EXPECT_EQ(seen, 2);
}

TEST(Figures, AreLeftOutWithoutTheirData) {
  EXPECT_TRUE(all_figures(empty_results()).empty());
  StudyResults results = sample_results();
  results.hardware.clear();
  results.sensitivity.clear();
  results.distributions.clear();
  results.break_even.clear();
  for (PointResult& point : results.points) point.metrics.erase("hit_rate");
  EXPECT_THAT(ids_of(all_figures(results)), ElementsAre("tokens_per_round", "distinct_experts", "experts_layers"));
}

TEST(Figures, ValuesThatAreNotFiniteAreNotDrawn) {
  StudyResults results = sample_results();
  for (PointResult& point : results.points) {
    if (point.batch == 4) point.metrics["hit_rate"].estimate.value = NAN;
    point.metrics["hits"].per_layer[3] = NAN;
  }
  for (HardwareResult& row : results.hardware) row.energy_mj_per_token.value = INFINITY;
  for (const Figure& figure : all_figures(results)) {
    EXPECT_THAT(figure.svg, testing::Not(testing::ContainsRegex("[\", ]-?(nan|inf)"))) << figure.id;
  }
}

TEST(Figures, OneDesignPointIsEnough) {
  StudyResults results = sample_results();
  results.points.resize(1);
  results.differences.clear();
  for (const Figure& figure : all_figures(results)) EXPECT_NO_THROW(tags_of(figure.svg)) << figure.id;
}

TEST(Figures, PngIsTwiceTheSizeOfTheSvg) {
  const Figure figure = simulation_figures(sample_results()).front();
  if (!draws_png()) GTEST_SKIP() << "built without librsvg";
  const std::string png = png_of(figure.svg, figure.id);
  ASSERT_GT(png.size(), 24U);
  EXPECT_EQ(png.substr(1, 3), "PNG");
  const auto big_endian = [&](std::size_t at) {
    std::uint32_t number = 0;
    for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(png[at + i]);
    return number;
  };
  EXPECT_EQ(big_endian(16), 2 * 760U);  // IHDR: width
}

TEST(Selection, TypicalPointIsTheMiddleOfTheGrid) {
  const StudyResults results = sample_results();
  const PointResult* point = typical_point(results);
  ASSERT_NE(point, nullptr);
  EXPECT_EQ(point->batch, 4U);
  EXPECT_EQ(point->depth, 4U);
  EXPECT_EQ(point->policy, "static");
  EXPECT_EQ(point->capacity, 12);
  EXPECT_EQ(typical_point(empty_results()), nullptr);
}

TEST(Selection, BestHardwareHasTheHighestSpeedup) {
  const StudyResults results = sample_results();
  const auto best = best_hardware(results);
  EXPECT_EQ(best.size(), 5 * 4U);  // five designs at four batches
  for (const HardwareResult& row : results.hardware) {
    for (const HardwareResult* chosen : best) {
      if (chosen->system != row.system || chosen->scheme != row.scheme || chosen->batch != row.batch) continue;
      EXPECT_GE(chosen->speedup.value, row.speedup.value);
    }
  }
}

TEST(Selection, SensitivityIsShownForTheFastestDesign) {
  const StudyResults results = sample_results();
  EXPECT_EQ(sensitivity_row(results), "elmoe3d-8gb ar, batch 1, depth 0, static, 8 bits");
  const auto ranked = ranked_sensitivity(results, sensitivity_row(results), {&SensitivityResult::elasticity});
  ASSERT_EQ(ranked.size(), 8U);  // of nine constants one moves nothing
  EXPECT_EQ(ranked.front().constant, "xpu.ext.bandwidth");
  const auto by_energy = ranked_sensitivity(results, sensitivity_row(results), {&SensitivityResult::energy_elasticity});
  EXPECT_EQ(by_energy.at(0).constant, "static.power");
  EXPECT_EQ(by_energy.at(1).constant, "ext.bandwidth");
  // The xPU's constants are of no account to the energy, but to the gain.
  const auto by_either =
      ranked_sensitivity(results, sensitivity_row(results),
                         {&SensitivityResult::energy_elasticity, &SensitivityResult::energy_gain_elasticity});
  EXPECT_EQ(by_either.front().constant, "xpu.ext.bandwidth");
  EXPECT_EQ(sensitivity_row(empty_results()), "");
}

TEST(Figures, ManyDesignsKeepThePictureOnAPage) {
  StudyResults results = sample_results();
  const std::vector<HardwareResult> rows = results.hardware;
  for (int copy = 0; copy < 6; ++copy) {
    for (HardwareResult row : rows) {
      row.system += std::to_string(copy);
      results.hardware.push_back(row);
    }
  }
  for (const Figure& figure : hardware_figures(results)) {
    EXPECT_LT(std::stod(tags_of(figure.svg).front().attributes.at("height")), 1800) << figure.id;
  }
}

}  // namespace
}  // namespace moecarlo
