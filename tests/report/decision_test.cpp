#include "host/report/narrative/decision.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// A row at batch 1 of so many tokens per second; with a draft so many times as fast as without.
HardwareResult row(const std::string& system, double speed, std::optional<double> gain, double half_width = 0.01) {
  HardwareResult result;
  result.system = system;
  result.scheme = "elastic";
  result.policy = "lru";
  result.capacity = 8;
  result.tokens_per_second = {speed, 0.1, 0.2};
  result.depth = gain ? 4 : 0;
  if (gain) result.speedup_over_autoregressive = Estimate{*gain, half_width, 0.0};
  result.breakdown = Breakdown({{"seconds", 1}, {"verify.experts", 0.75}, {"verify.experts.ext", 0.7}});
  return result;
}

StudyResults results_of(std::vector<HardwareResult> rows) {
  StudyResults results = empty_results();
  results.points.emplace_back();  // a batch of the study
  results.hardware = std::move(rows);
  return results;
}

TEST(Decision, IsTheFastestDesignAgainstItsOwnModeWithoutADraft) {
  const StudyResults results = results_of({row("slow", 10, 3.0), row("fast", 20, 1.5), row("plain", 15, {})});
  const std::vector<Decision> all = decisions(results);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_EQ(all[0].row->system, "fast");
  EXPECT_EQ(all[0].pays(results), Verdict::yes);
  EXPECT_EQ(verdict_line(results), "Speculation pays at batch 1 (1.5 times as fast as without a draft).");
}

TEST(Decision, OfAVariantIsNone) {
  StudyResults results = results_of({row("own", 10, 1.5), row("own[hb.bandwidth x2]", 20, 1.5)});
  results.hardware[1].variant_of = "own";
  EXPECT_EQ(decisions(results)[0].row->system, "own");
}

TEST(Decision, AFastestDesignWithoutADraftSaysNoUnlessOneWithADraftCannotBeToldFromIt) {
  StudyResults results = results_of({row("plain", 20, {}), row("drafts", 19, 1.2)});
  EXPECT_EQ(verdict_line(results), "Speculation does not pay at batch 1.");
  results.leads = {{"batch", 0, 1, {1.05, 0.1, 0.1}}};
  EXPECT_EQ(verdict_line(results), "Speculation cannot be told from none at batch 1.");
  results.leads = {{"batch", 0, 1, {1.05, 0.01, 0.01}}};
  EXPECT_EQ(verdict_line(results), "Speculation does not pay at batch 1.");
}

TEST(Decision, ABestOfManyThatCannotBeToldFromTheNextSaysSo) {
  StudyResults results = results_of({row("fast", 20, 1.5), row("next", 19.9, 1.5)});
  results.leads = {{"batch", 0, 1, {1.005, 0.01, 0.01}}};
  EXPECT_THAT(decision_table(results).rows[0][5], HasSubstr("cannot be told apart from next with scheme elastic"));
  EXPECT_THAT(short_answer(results)[1], HasSubstr("cannot be told apart from the next"));
  results.leads = {{"batch", 0, 1, {1.5, 0.01, 0.01}}};
  EXPECT_THAT(decision_table(results).rows[0][5], Not(HasSubstr("cannot be told apart")));
}

TEST(Decision, NamesThePartThatTakesLongestAndWhatItWaitsFor) {
  const StudyResults results = results_of({row("fast", 20, 1.5)});
  EXPECT_EQ(decision_table(results).rows[0][6], "verify: experts, 75 % of a round, waits for ext");
}

TEST(Decision, WhereNothingIsComparedSaysSo) {
  EXPECT_THAT(short_answer(results_of({})), ElementsAre(HasSubstr("cannot say whether speculation pays")));
}

TEST(Decision, AnswersATerminalInThreeLines) {
  EXPECT_LE(short_answer(sample_results()).size(), 3U);
  EXPECT_THAT(next_command(sample_results(), "out"), testing::StartsWith("moecarlo "));
}

}  // namespace
}  // namespace moecarlo
