#include "host/report/narrative/speculation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/report/narrative/answer.hpp"
#include "host/report/narrative/controls.hpp"
#include "host/report/narrative/document.hpp"
#include "host/report/narrative/explanations.hpp"
#include "host/report/narrative/markdown.hpp"
#include "host/report/narrative/tables.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
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

HardwareResult& add_hardware(StudyResults& results, const std::string& system, std::uint32_t batch, std::uint32_t depth,
                             double gain, double needed) {
  HardwareResult& row = results.hardware.emplace_back();
  row.system = system;
  row.scheme = "elastic";
  row.policy = "lru";
  row.batch = batch;
  row.depth = depth;
  row.capacity = 12;
  row.speedup_over_autoregressive = Estimate{gain, 0.01, 0.02};
  row.break_even_acceptance = needed;
  return row;
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

TEST(Speculation, AnswerIsTheRowsOwnSpeedAndNamesItsDesign) {
  StudyResults results = two_batches();
  add_hardware(results, "elmoe3d-8gb", 1, 4, 1.5, 0.4);
  add_hardware(results, "elmoe3d-8gb", 1, 2, 1.25, 0.31);
  add_hardware(results, "elmoe3d-8gb", 4, 2, 0.75, 0.8);
  add_hardware(results, "xpu", 1, 2, 0.5, 1.25);
  const std::string text = whether_speculation_pays(results);
  EXPECT_EQ(text,
            "Speculation pays on elmoe3d-8gb at batch 1, depth 2 (scheme elastic, policy lru, 12 experts per layer), "
            "the shallowest draft that does: it is 1.25 ± 0.01 (simulation) ± 0.02 (trace) times as fast as its "
            "autoregressive mode; it needs an acceptance of 0.310 and has 0.500. No design pays at batch 4. No design "
            "of the study pays on xpu: at its best, batch 1, depth 2 (scheme elastic, policy lru, 12 experts per "
            "layer), it is 0.50 ± 0.01 (simulation) ± 0.02 (trace) times as fast as its autoregressive mode; it needs "
            "an acceptance of 1.25, more than there can be, and has 0.500.");
  EXPECT_THAT(report_of(results), HasSubstr("Speculation pays on elmoe3d"));
}

TEST(Speculation, AnswerTakesNoOtherPointsAcceptance) {
  StudyResults results = two_batches();
  // The first point of batch 1 and depth 2 accepts half; the row stands at a larger capacity and accepts more.
  add_point(results, 1, 2, 1.8);
  results.points.back().capacity = 20;
  HardwareResult& row = add_hardware(results, "elmoe3d-8gb", 1, 2, 1.42, 0.6);
  row.capacity = 20;
  EXPECT_THAT(whether_speculation_pays(results), HasSubstr("it needs an acceptance of 0.600 and has 0.900"));
  const auto cells = hardware_break_even_table(results).rows.at(0);
  EXPECT_EQ(cells.back(), "pays");
  EXPECT_EQ(cells[9], "0.900 ± 0.005 ± 0.005");
}

TEST(Speculation, AVariantDoesNotPassForItsSystem) {
  StudyResults results = two_batches();
  add_hardware(results, "elmoe3d-8gb", 1, 2, 0.9, 0.55);
  add_hardware(results, "elmoe3d-8gb[hb.bandwidth x2]", 1, 2, 1.2, 0.4).variant_of = "elmoe3d-8gb";
  add_hardware(results, "elmoe3d-8gb[hb.bandwidth x0.5]", 1, 2, 0.8, 0.7).variant_of = "elmoe3d-8gb";
  const std::string text = whether_speculation_pays(results);
  EXPECT_THAT(text, HasSubstr("No design of the study pays on elmoe3d-8gb: at its best"));
  EXPECT_THAT(text, HasSubstr("Variants: it pays on elmoe3d-8gb[hb.bandwidth x2] at batch 1, depth 2 (scheme elastic, "
                              "policy lru, 12 experts per layer); no design pays on elmoe3d-8gb[hb.bandwidth x0.5]."));
}

TEST(Speculation, ABestWithinItsIntervalIsNotCalledTheFastest) {
  StudyResults results = sample_results();
  const auto worth = [](const StudyResults& of) { return answer(of).at(3); };
  EXPECT_THAT(worth(results), HasSubstr("At batch 1 the fastest design is elmoe3d-8gb with scheme ar (depth 0"));
  EXPECT_THAT(worth(results), HasSubstr("times as fast as the next, "));
  for (LeadResult& lead : results.leads) lead.ratio = {1.002, 0.001, 0.002};
  EXPECT_THAT(worth(results), Not(HasSubstr("fastest design is")));
  EXPECT_THAT(worth(results), HasSubstr("At batch 1 the two fastest designs cannot be told apart (ratio 1.002 ± 0.001 "
                                        "(simulation) ± 0.002 (trace)): elmoe3d-8gb with scheme ar (depth 0"));
  EXPECT_THAT(key_figures(results).back().condition, HasSubstr("; cannot be told apart from elmoe3d-"));
}

TEST(Speculation, AnswerFallsBackToExpertsFetched) {
  StudyResults results = two_batches();
  add_utility(results, 1, 1.25, 0.3);
  add_utility(results, 2, 1.5, 0.1);
  add_utility(results, 5, 1.0, 0.1);
  EXPECT_EQ(whether_speculation_pays(results),
            "Speculation pays in experts fetched at batch 1, depth 4 (policy lru, 12 experts per layer), the "
            "shallowest draft that does: it is 1.5 ± 0.1 (simulation) ± 0 (trace) times the tokens for what is "
            "fetched; it needs an acceptance of 0.250 and has 0.500. It cannot be told apart at batch 4.");
}

TEST(Speculation, OpenCaseIsNotANo) {
  StudyResults results = two_batches();
  add_utility(results, 1, 1.02, 0.3);
  EXPECT_THAT(whether_speculation_pays(results),
              HasSubstr("It cannot be told apart whether speculation pays in experts fetched: at its best, batch 1"));
}

TEST(Speculation, TablesSayWhatADesignNeeds) {
  StudyResults results = two_batches();
  add_utility(results, 1, 1.25, 0.3);
  add_utility(results, 2, 1.5, 0.1);
  add_utility(results, 5, 0.75, 0.1);
  const Table fetching = fetching_break_even_table(results);
  ASSERT_EQ(fetching.rows.size(), 3U);
  EXPECT_THAT(fetching.rows[1], ElementsAre("lru", "12", "1", "4", "1.5 ± 0.1 ± 0", "2.0 ± 0.1 ± 0",
                                            "3.00 ± 0.01 ± 0.01", "0.250", "0.500", "pays"));
  EXPECT_EQ(fetching.rows[0].back(), "cannot be told apart");
  EXPECT_EQ(fetching.rows[2].back(), "does not pay");
  const Table depths = depth_table(results);
  ASSERT_EQ(depths.rows.size(), 2U);
  EXPECT_THAT(depths.rows[0], ElementsAre("experts fetched", "lru", "12", "1", "4 or 2", "1.5 ± 0.1 ± 0", "4"));
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
  add_hardware(results, "elmoe3d-8gb", 1, 2, 1.25, 0.31);
  EXPECT_THAT(hardware_break_even_table(results).rows,
              ElementsAre(ElementsAre("elmoe3d-8gb", "elastic", "lru", "12", "8", "1", "2", "1.25 ± 0.01 ± 0.02",
                                      "0.310", "0.500 ± 0.005 ± 0.005", "pays")));
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
  EXPECT_THAT(in_time.svg, HasSubstr(">elmoe3d-8gb elastic, 20.25 experts<"));
  EXPECT_THAT(in_time.svg, HasSubstr(">neither gain nor loss<"));
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
  EXPECT_THAT(simulation_figures(results), IsEmpty()) << "one capacity and one depth make no line";
  results.points.push_back(results.points[0]);
  results.points[1].capacity = 16;
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
