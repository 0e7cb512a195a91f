#include "host/report/speculation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/report/controls.hpp"
#include "host/report/document.hpp"
#include "host/report/explanations.hpp"
#include "host/report/markdown.hpp"
#include "host/report/tables.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string report_of(const StudyResults& results) {
  return markdown(build_document(results, speculation_figures(results)));
}

void add_point(StudyResults& results, std::uint32_t batch, std::uint32_t depth, double accepted) {
  PointResult& point = results.points.emplace_back();
  point.batch = batch;
  point.depth = depth;
  point.policy = "lru";
  point.capacity = 12;
  point.metrics["accepted_length"] = {{accepted, 0.01, 0.01}, {}};
  point.metrics["tokens_per_round"] = {{accepted + 1, 0.01, 0.01}, {}};
}

/// Batches 1 and 4 at depths 0, 2 and 4; half of the drafted tokens are accepted.
StudyResults two_batches() {
  StudyResults results = empty_results();
  for (const std::uint32_t batch : {1U, 4U}) {
    for (const std::uint32_t depth : {0U, 2U, 4U}) add_point(results, batch, depth, 0.5 * depth);
  }
  return results;
}

void add_utility(StudyResults& results, std::size_t point, double utility, double half_width) {
  const double tokens = results.points[point].metrics.at("tokens_per_round").estimate.value;
  const double needed = tokens / utility;
  results.break_even.push_back({"misses",
                                point,
                                {utility, half_width, 0.0},
                                {needed, half_width, 0.0},
                                (needed - 1) / results.points[point].depth});
}

void add_hardware(StudyResults& results, const std::string& system, std::uint32_t batch, std::uint32_t depth,
                  double needed) {
  HardwareResult& row = results.hardware.emplace_back();
  row.system = system;
  row.scheme = "elastic";
  row.policy = "lru";
  row.batch = batch;
  row.depth = depth;
  row.break_even_acceptance = needed;
}

TEST(Speculation, VerdictRespectsBothIntervals) {
  EXPECT_EQ(is_above({1.2, 0.05, 0.1}, 1), Verdict::yes);
  EXPECT_EQ(is_above({1.2, 0.1, 0.15}, 1), Verdict::undecided);
  EXPECT_EQ(is_above({0.8, 0.1, 0.05}, 1), Verdict::no);
  EXPECT_EQ(is_above({0.8, 0.1, 0.15}, 1), Verdict::undecided);
  EXPECT_EQ(is_above({1.2, 0.1, std::nullopt}, 1), Verdict::yes);
  EXPECT_EQ(is_above({1.2, std::nullopt, std::nullopt}, 1), Verdict::undecided);
  EXPECT_EQ(is_above({NAN, 0.0, 0.0}, 1), Verdict::undecided);
  EXPECT_EQ(is_above({1, 0.0, 0.0}, 1), Verdict::no);
}

TEST(Speculation, AnswerNamesSystemDepthAndBothAcceptances) {
  StudyResults results = two_batches();
  add_hardware(results, "elmoe3d-8gb", 1, 4, 0.4);
  add_hardware(results, "elmoe3d-8gb", 1, 2, 0.31);
  add_hardware(results, "elmoe3d-8gb", 4, 2, 0.8);
  add_hardware(results, "xpu", 1, 2, 1.25);
  const std::string text = whether_speculation_pays(results);
  EXPECT_EQ(
      text,
      "Speculation pays on elmoe3d-8gb from depth 2 at batch 1 (scheme elastic, policy lru): it needs an acceptance "
      "of 0.310, the study has 0.500. It does not pay at batch 4. Speculation does not pay on xpu at any batch and "
      "depth of the study: at its best, batch 1 and depth 2 (scheme elastic, policy lru), it needs an acceptance of "
      "1.25, more than there can be, the study has 0.500.");
  EXPECT_THAT(report_of(results), HasSubstr("Speculation pays on elmoe3d"));
}

TEST(Speculation, AnswerFallsBackToExpertsFetched) {
  StudyResults results = two_batches();
  add_utility(results, 1, 1.25, 0.3);
  add_utility(results, 2, 1.5, 0.1);
  add_utility(results, 5, 1.0, 0.1);
  EXPECT_EQ(
      whether_speculation_pays(results),
      "Speculation pays in experts fetched from depth 4 at batch 1 (policy lru, 12 experts per layer): it needs an "
      "acceptance of 0.250, the study has 0.500. It is not decided at batch 4.");
}

TEST(Speculation, OpenCaseIsNotANo) {
  StudyResults results = two_batches();
  add_utility(results, 1, 1.02, 0.3);
  EXPECT_THAT(whether_speculation_pays(results),
              HasSubstr("It is not decided whether speculation pays in experts fetched: at its best, batch 1"));
}

TEST(Speculation, TablesSayWhatADesignNeeds) {
  StudyResults results = two_batches();
  add_utility(results, 1, 1.25, 0.3);
  add_utility(results, 2, 1.5, 0.1);
  add_utility(results, 5, 0.75, 0.1);
  const Table fetching = fetching_break_even_table(results);
  ASSERT_EQ(fetching.rows.size(), 3U);
  EXPECT_THAT(fetching.rows[1], ElementsAre("lru", "12", "1", "4", "1.5 ± 0.1 ± 0", "2.0 ± 0.1 ± 0",
                                            "3.00 ± 0.01 ± 0.01", "0.250", "0.500", "yes"));
  EXPECT_EQ(fetching.rows[0].back(), "not decided");
  EXPECT_EQ(fetching.rows[2].back(), "no");
  const Table depths = depth_table(results);
  ASSERT_EQ(depths.rows.size(), 2U);
  EXPECT_THAT(depths.rows[0], ElementsAre("experts fetched", "lru", "12", "1", "4", "1.5 ± 0.1 ± 0", "4"));
  EXPECT_EQ(depths.rows[1].back(), "none");
}

TEST(Speculation, TablesStayShortAndSayHowMuchTheyShow) {
  const StudyResults results = sample_results();
  const Table fetching = fetching_break_even_table(results);
  EXPECT_EQ(fetching.rows.size(), 40U);  // of five capacities the typical one
  EXPECT_THAT(fetching.caption, HasSubstr("(40 of 200 rows; all are in summary.json)"));
  EXPECT_EQ(touching_break_even_table(results).rows.size(), 20U);
  EXPECT_EQ(hardware_break_even_table(results).rows.size(), 40U);  // of two policies the better one
  EXPECT_EQ(depth_table(results).rows.size(), 40 + 4U);            // fetched by policy and capacity; touched by batch
}

TEST(Speculation, HardwareTableComparesWithTheStudy) {
  StudyResults results = two_batches();
  add_hardware(results, "elmoe3d-8gb", 1, 2, 0.31);
  EXPECT_THAT(
      hardware_break_even_table(results).rows,
      ElementsAre(ElementsAre("elmoe3d-8gb", "elastic", "lru", "1", "2", "0.310", "0.500 ± 0.005 ± 0.005", "yes")));
}

TEST(Speculation, SectionIsThereWheneverTheStudyDrafts) {
  EXPECT_THAT(report_of(sample_results()), HasSubstr("Does speculation pay?"));
  EXPECT_THAT(report_of(two_batches()), HasSubstr("compare no depth with depth 0"));
  StudyResults drafts_only = empty_results();
  add_point(drafts_only, 1, 2, 1);
  EXPECT_THAT(report_of(drafts_only), HasSubstr("has no depth 0 to compare with"));
  StudyResults plain = empty_results();
  add_point(plain, 1, 0, 0);
  EXPECT_THAT(report_of(plain), Not(HasSubstr("Does speculation pay")));
}

TEST(Speculation, FigureHasALineForEachSystemElsePolicy) {
  StudyResults results = sample_results();
  const Figure in_time = speculation_figures(results).at(0);
  EXPECT_THAT(in_time.svg, HasSubstr(">elmoe3d-8gb<"));
  EXPECT_THAT(in_time.svg, HasSubstr("study&#39;s acceptance<"));
  results.hardware.clear();
  const Figure fetched = speculation_figures(results).at(0);
  EXPECT_THAT(fetched.svg, HasSubstr(">static<"));
  EXPECT_THAT(fetched.svg, HasSubstr(">lru<"));
  results.break_even.clear();
  EXPECT_TRUE(speculation_figures(results).empty());
}

TEST(Oracle, StandsBesideEachHitRate) {
  StudyResults results = empty_results();
  add_point(results, 1, 2, 1);
  results.points[0].metrics["hit_rate"] = {{0.5, 0.01, 0.02}, {}};
  results.points[0].metrics["oracle_hit_rate"] = {{0.75, std::nullopt, std::nullopt}, {}};
  EXPECT_THAT(hit_rate_table(results).rows,
              ElementsAre(ElementsAre("lru", "12", "1", "0.50 ± 0.01 ± 0.02", "0.750", "50.0")));
  EXPECT_THAT(oracle_explanation(results), HasSubstr("foresees the next pass"));
  results.points[0].metrics["oracle_hit_rate"].estimate = {0.75, 0.01, 0.02};
  EXPECT_THAT(oracle_explanation(results), HasSubstr("Belady's optimal replacement with bypass"));
  EXPECT_EQ(hit_rate_table(results).rows[0][4], "0.75 ± 0.01 ± 0.02");
  EXPECT_THAT(simulation_figures(results).back().svg, HasSubstr(">oracle<"));
}

TEST(Controls, HeadlineIsTheLargestErrorBeyondItsInterval) {
  StudyResults results = two_batches();
  for (PointResult& point : results.points) point.metrics["misses"] = {{10, 0.1, 0.1}, {}};
  results.controls = {{"misses", 1, {12, 0.1, 0.1}, {2, 0.1, 0.1}},
                      {"misses", 2, {13, 0.1, 0.1}, {3, 2.0, 2.0}},
                      {"tokens_per_round", 2, {3.0, 0.01, 0.01}, {0, 0, 0}}};
  ASSERT_EQ(largest_error(results), results.controls.data());
  const std::string text = report_of(results);
  EXPECT_THAT(text, HasSubstr("What independence would get wrong"));
  EXPECT_THAT(independence_explanation(results),
              HasSubstr("\"misses\" would be too high by 20 %, 12 instead of 10, at batch 1, depth 2, lru"));
  EXPECT_THAT(control_table(results, 1).rows, ElementsAre(ElementsAre("misses", "12.0 ± 0.1 ± 0.1", "10.0 ± 0.1 ± 0.1",
                                                                      "2.0 ± 0.1 ± 0.1", "20 ± 1 ± 1")));
  EXPECT_EQ(control_table(results, 2).rows[1][0], "tokens per round");
}

TEST(Controls, WithoutThemThereIsNoSection) {
  StudyResults results = sample_results();
  EXPECT_THAT(report_of(results), HasSubstr("\"rejected only\" would be too high by 24 %"));
  results.controls.clear();
  EXPECT_THAT(report_of(results), Not(HasSubstr("What independence")));
}

}  // namespace
}  // namespace moecarlo
