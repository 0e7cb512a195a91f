#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/report/charts/axis.hpp"
#include "host/report/results/csv.hpp"
#include "host/report/results/escape.hpp"
#include "host/report/results/number_text.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

/// Records of a CSV text, read character by character after RFC 4180.
std::vector<std::vector<std::string>> read_csv(const std::string& text) {
  std::vector<std::vector<std::string>> records{{""}};
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      records.back().back() += '"';
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      records.back().emplace_back();
    } else if (c == '\n' && !quoted) {
      records.push_back({""});
    } else {
      records.back().back() += c;
    }
  }
  records.pop_back();
  return records;
}

TEST(Escape, XmlKeepsNoMarkup) {
  EXPECT_EQ(escape_xml("<b a=\"1\" c='2'>&amp;\x01</b>"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp; &lt;/b&gt;");
}

TEST(Escape, MarkdownKeepsNoMarkup) {
  EXPECT_EQ(escape_markdown("a|b *c* [d](e) <f> `g`\nh_i"), "a\\|b \\*c\\* \\[d\\](e) \\<f\\> \\`g\\` h\\_i");
  EXPECT_EQ(escape_markdown("- a"), "\\- a");
  EXPECT_EQ(escape_markdown("12. a"), "12\\. a");
  EXPECT_EQ(escape_markdown("-0.5 and 2.134"), "-0.5 and 2.134");
  EXPECT_EQ(escape_markdown(""), "");
}

TEST(Escape, CsvQuotesOnlyWhereItMust) {
  EXPECT_EQ(escape_csv("static"), "static");
  EXPECT_EQ(escape_csv("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
}

TEST(Csv, PointsHaveARowForEachFigure) {
  const StudyResults results = sample_results();
  const auto records = read_csv(collected([&](const TextSink& sink) { write_points_csv(results, sink); }));
  ASSERT_EQ(records.size(), 1 + 240 * 10U);  // 4 batches, 6 depths, 2 policies, 5 capacities; 10 metrics
  for (const auto& record : records) EXPECT_EQ(record.size(), 12U);
  EXPECT_EQ(records[0].back(), "trace_half_width");
}

TEST(Csv, HardwareHasARowForEachFigure) {
  StudyResults results = empty_results();
  HardwareResult& row = results.hardware.emplace_back();
  row.system = "a,b";
  row.scheme = "say \"x\"";
  row.variant_of = "a";
  row.vary = {{"hb.capacity", 0.5}};
  row.policy = "lru";
  row.capacity = 11.4;
  row.alpha = 0.7;
  row.speedup = {2.5, 0.25, std::nullopt};
  row.speedup_over_autoregressive = Estimate{1.5, 0.125, 0};
  row.break_even_acceptance = 0.375;
  row.breakdown = Breakdown({{"verify.experts", 0.125}});
  results.hardware.emplace_back();  // of depth 0: without break-even acceptance
  const auto records = read_csv(collected([&](const TextSink& sink) { write_hardware_csv(results, sink); }));
  ASSERT_EQ(records.size(), 1 + 13 + 9U);
  const std::vector<std::string> speedup{"a,b", "a",   "say \"x\"", "1",     "0",   "lru",  "11.4", "8",
                                         "0.7", "all", "speedup",   "ratio", "2.5", "0.25", ""};
  const std::vector<std::string> part{
      "a,b", "a",     "say \"x\"", "1", "0", "lru", "11.4", "8", "0.7", "all", "breakdown.verify.experts",
      "s",   "0.125", "",          ""};
  EXPECT_EQ(records[2], speedup);
  const std::vector<std::string> break_even{
      "a,b",   "a",     "say \"x\"", "1", "0", "lru", "11.4", "8", "0.7", "all", "break_even_acceptance",
      "share", "0.375", "",          ""};
  EXPECT_EQ(records[5][10], "time_per_output_token");
  EXPECT_EQ(records[6][10], "speedup_over_autoregressive");
  EXPECT_EQ(records[6][12] + ' ' + records[6][13] + ' ' + records[6][14], "1.5 0.125 0");
  EXPECT_EQ(records[11][10], "operations_per_byte.verify.experts");
  EXPECT_EQ(records[12], break_even);
  EXPECT_EQ(records[13], part);
}

TEST(Csv, SensitivityHasARowForEachElasticityOfAConstant) {
  StudyResults results = empty_results();
  results.sensitivity.push_back({"ext.bandwidth", 0.5, "published", "1 % either way", "a, batch 1", 0.25, -0.125, 0.0});
  results.sensitivity.push_back({"static.hb", std::nullopt, "assumed", "not taken: 0", "a, batch 1", {}, {}, {}});
  const auto records = read_csv(collected([&](const TextSink& sink) { write_sensitivity_csv(results, sink); }));
  ASSERT_EQ(records.size(), 1 + 2 * 4U);
  const auto fields = [](const char* metric, const char* elasticity) {
    return std::vector<std::string>{"a, batch 1", "ext.bandwidth", "published", metric, elasticity, "1 % either way"};
  };
  EXPECT_EQ(records[1], fields("tokens_per_second", "0.25"));
  EXPECT_EQ(records[2], fields("speedup", "0.5"));
  EXPECT_EQ(records[3], fields("energy_mj_per_token", "-0.125"));
  EXPECT_EQ(records[4], fields("energy_gain", "0"));
  EXPECT_EQ(records[5],
            (std::vector<std::string>{"a, batch 1", "static.hb", "assumed", "tokens_per_second", "", "not taken: 0"}));
}

TEST(Csv, NumbersCarryEveryDigitAndNanIsEmpty) {
  StudyResults results = empty_results();
  results.points.emplace_back().metrics["hit_rate"] = {{1.0 / 3.0, 0.0, NAN}, {}};
  const auto records = read_csv(collected([&](const TextSink& sink) { write_points_csv(results, sink); }));
  EXPECT_EQ(std::stod(records[1][9]), 1.0 / 3.0);
  EXPECT_EQ(std::stod(records[1][10]), 0.0);
  EXPECT_EQ(records[1][11], "");
}

TEST(NumberText, IsRoundedForPeople) {
  EXPECT_EQ(number_text(0), "0");
  EXPECT_EQ(number_text(0.63249), "0.6325");
  EXPECT_EQ(number_text(12.5), "12.5");
  EXPECT_EQ(number_text(1048576), "1,048,576");
  EXPECT_EQ(number_text(-123456.7), "-123,457");
  EXPECT_EQ(number_text(4.5e-7), "4.500e-07");
  EXPECT_EQ(number_text(NAN), "n/a");
  EXPECT_EQ(count_text(1234567), "1,234,567");
  EXPECT_EQ(count_text(999), "999");
  EXPECT_EQ(three_digits(1.6), "1.60");
  EXPECT_EQ(three_digits(9.999), "10.0");
}

TEST(NumberText, DigitsOfAnEstimateFollowTheSmallerHalfWidth) {
  EXPECT_EQ(estimate_text({2.13412, 0.0041, 0.0512}), "2.134 ± 0.004 (simulation) ± 0.051 (trace)");
  EXPECT_EQ(estimate_text({1, 0, 0}), "1.000 ± 0 (simulation) ± 0 (trace)");
  EXPECT_EQ(estimate_cell({2.13412, 0.0, 0.051}), "2.13 ± 0 ± 0.05");
  EXPECT_EQ(estimate_cell({2345.6, 12.0, 130.0}), "2,346 ± 12 ± 130");
}

TEST(NumberText, HalfWidthsThatAreNotAvailableAreSaidSo) {
  EXPECT_EQ(estimate_text({0.5, std::nullopt, std::nullopt}), "0.5000 ± n/a (simulation) ± n/a (trace)");
  EXPECT_EQ(estimate_cell({0.5, 0.01, std::nullopt}), "0.50 ± 0.01 ± n/a");
  EXPECT_EQ(estimate_cell({NAN, 0.01, 0.1}), "n/a");
}

void expect_nice(double low, double high, int intervals, double smallest_step) {
  const Axis axis = nice_axis(low, high, intervals, smallest_step);
  ASSERT_GE(axis.ticks.size(), 2U);
  const double step = axis.ticks[1] - axis.ticks[0];
  const double mantissa = step / std::pow(10.0, std::floor(std::log10(step) + 1e-9));
  EXPECT_TRUE(std::abs(mantissa - 1) < 1e-6 || std::abs(mantissa - 2) < 1e-6 || std::abs(mantissa - 5) < 1e-6) << step;
  EXPECT_GE(step * (1 + 1e-9), smallest_step);
  EXPECT_LE(axis.low, low + 1e-9 * std::abs(low));
  EXPECT_GE(axis.high, high - 1e-9 * std::abs(high));
  EXPECT_LE(axis.ticks.size(), static_cast<std::size_t>(intervals) + 3);
  for (const double tick : axis.ticks) EXPECT_NEAR(std::stod(axis.label(tick)), tick, 1e-6 * step);
}

TEST(Axis, TicksAreNiceNumbersThatCoverTheData) {
  for (const double high : {1e-6, 0.03, 0.97, 1.0, 3.5, 7.0, 46.1, 99.9, 12345.0, 8e9}) {
    for (const double low : {0.0, -0.4 * high, 0.5 * high}) {
      for (const int intervals : {3, 5, 8}) expect_nice(low, high, intervals, 0);
    }
  }
  expect_nice(0, 3, 10, 1);
}

TEST(Axis, EqualLimitsStillMakeAnAxis) {
  const Axis axis = nice_axis(4, 4, 5);
  EXPECT_LT(axis.low, axis.high);
  EXPECT_EQ(nice_axis(NAN, NAN, 5).low, 0);
}

TEST(Axis, TightAxisEndsAtTheData) {
  const Axis axis = tight_axis(9, 32, 10, 1);
  EXPECT_EQ(axis.low, 9);
  EXPECT_EQ(axis.high, 32);
  EXPECT_EQ(axis.ticks.front(), 10);
  EXPECT_EQ(axis.ticks.back(), 30);
}

TEST(Axis, CategoriesAreCentredOnTheirNumbers) {
  const Axis few = category_axis(9);
  EXPECT_EQ(few.ticks.size(), 9U);
  EXPECT_EQ(few.low, -0.5);
  EXPECT_EQ(few.high, 8.5);
  const Axis many = category_axis(93);
  EXPECT_EQ(many.ticks[1], 5);
  EXPECT_EQ(many.ticks.back(), 90);
  EXPECT_EQ(category_axis(1).high, 0.5);
}

}  // namespace
}  // namespace moecarlo
