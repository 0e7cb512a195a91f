#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>

#include "host/trace/scoring.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::FloatEq;
using ::testing::FloatNear;
using ::testing::Pointwise;

std::vector<std::uint16_t> select(const ScoringRule& rule, const std::vector<float>& logits,
                                  const std::vector<float>& bias = {}) {
  std::vector<std::uint16_t> ids(rule.top_k);
  select_experts(rule, logits, bias, ids);
  return ids;
}

std::vector<float> weigh(const ScoringRule& rule, const std::vector<float>& logits,
                         const std::vector<std::uint16_t>& ids) {
  std::vector<float> weights(ids.size());
  gate_weights(rule, logits, ids, weights);
  return weights;
}

// The rules written down as plainly as possible, with whole sorts.
std::vector<float> slow_scores(const ScoringRule& rule, const std::vector<float>& logits) {
  std::vector<float> scores(logits);
  if (rule.scoring == Scoring::sigmoid) {
    for (float& s : scores) s = 1.0F / (1.0F + std::exp(-s));
  } else if (rule.scoring == Scoring::softmax) {
    const float largest = *std::max_element(logits.begin(), logits.end());
    float sum = 0;
    for (float& s : scores) sum += s = std::exp(s - largest);
    for (float& s : scores) s /= sum;
  }
  return scores;
}

std::vector<std::uint16_t> slow_select(const ScoringRule& rule, const std::vector<float>& logits,
                                       const std::vector<float>& bias) {
  std::vector<float> scores = bias.empty() ? logits : slow_scores(rule, logits);
  for (std::size_t e = 0; e < bias.size(); ++e) scores[e] += bias[e];
  const std::size_t size = rule.experts / rule.num_groups;
  std::vector<std::pair<float, int>> groups;  // sorted by descending score, then ascending index
  for (std::uint32_t g = 0; g < rule.num_groups; ++g) {
    std::vector<float> members(scores.begin() + g * size, scores.begin() + (g + 1) * size);
    std::sort(members.rbegin(), members.rend());
    const float score = bias.empty() || size == 1 ? members[0] : members[0] + members[1];
    groups.emplace_back(-score, g);
  }
  std::sort(groups.begin(), groups.end());
  std::vector<std::pair<float, int>> candidates;
  for (std::uint32_t i = 0; i < rule.top_k_groups; ++i) {
    for (std::size_t e = groups[i].second * size; e < (groups[i].second + 1) * size; ++e) {
      candidates.emplace_back(-scores[e], e);
    }
  }
  std::sort(candidates.begin(), candidates.end());
  std::vector<std::uint16_t> ids;
  for (std::uint32_t i = 0; i < rule.top_k; ++i) ids.push_back(static_cast<std::uint16_t>(candidates[i].second));
  return ids;
}

TEST(SelectExperts, DescendingLogitsLowerIndexFirstOnTies) {
  const ScoringRule rule{.experts = 6, .top_k = 4};
  EXPECT_THAT(select(rule, {1, 3, -2, 3, 0, 1}), ElementsAre(1, 3, 0, 5));
}

TEST(SelectExperts, PlusAndMinusZeroTie) {
  const ScoringRule rule{.experts = 3, .top_k = 2};
  EXPECT_THAT(select(rule, {-0.0F, 0.0F, -1}), ElementsAre(0, 1));
}

TEST(SelectExperts, AllExpertsWhenTopKIsAll) {
  const ScoringRule rule{.experts = 3, .top_k = 3};
  EXPECT_THAT(select(rule, {-1e38F, 2, -3e38F}), ElementsAre(1, 0, 2));
}

TEST(SelectExperts, BiasMovesTheChoiceAndNotTheWeight) {
  const ScoringRule rule{.scoring = Scoring::sigmoid, .experts = 3, .top_k = 1};
  const std::vector<float> logits{0, 2, -1};  // scores 0.5, 0.881, 0.269
  EXPECT_THAT(select(rule, logits, {0, 0, 0}), ElementsAre(1));
  EXPECT_THAT(select(rule, logits, {0, 0, 0.7F}), ElementsAre(2));
  EXPECT_THAT(weigh(rule, logits, {2}), ElementsAre(FloatEq(0.26894143F)));
}

TEST(SelectExperts, BiasIsAddedToProbabilitiesUnderSoftmax) {
  const ScoringRule rule{.scoring = Scoring::softmax, .experts = 2, .top_k = 1};
  const std::vector<float> logits{0, std::log(3.0F)};  // probabilities 1/4, 3/4
  EXPECT_THAT(select(rule, logits, {0.45F, 0}), ElementsAre(1));
  EXPECT_THAT(select(rule, logits, {0.55F, 0}), ElementsAre(0));
}

// Groups {0, 1}, {2, 3}, {4, 5}: the best single score is in the last, the best pair in the first.
TEST(SelectExperts, GroupsCountByTheirBestWithoutBiasAndByTheirTwoBestWithOne) {
  const ScoringRule rule{.scoring = Scoring::sigmoid, .experts = 6, .top_k = 2, .num_groups = 3, .top_k_groups = 1};
  const std::vector<float> logits{1.0F, 1.1F, 0.9F, 0.8F, 1.2F, -5.0F};
  EXPECT_THAT(select(rule, logits), ElementsAre(4, 5));
  EXPECT_THAT(select(rule, logits, std::vector<float>(6)), ElementsAre(1, 0));
}

TEST(SelectExperts, EqualGroupsGoToTheLowerIndex) {
  const ScoringRule rule{.experts = 4, .top_k = 1, .num_groups = 2, .top_k_groups = 1};
  EXPECT_THAT(select(rule, {1, 2, 2, 1}), ElementsAre(1));
}

struct Shape {
  std::uint32_t experts, top_k, groups, top_k_groups;
};

TEST(SelectExperts, AgreesWithWholeSortsOnRandomLogits) {
  std::mt19937 random(1);
  for (const Shape shape : {Shape{1, 1, 1, 1}, Shape{8, 2, 1, 1}, Shape{17, 5, 1, 1}, Shape{32, 4, 1, 1},
                            Shape{60, 6, 1, 1}, Shape{128, 8, 1, 1}, Shape{160, 6, 8, 3}, Shape{256, 8, 8, 4},
                            Shape{64, 64, 4, 4}, Shape{96, 3, 96, 5}, Shape{1024, 37, 16, 7}}) {
    for (const Scoring scoring : {Scoring::softmax, Scoring::sigmoid, Scoring::topk_softmax}) {
      const ScoringRule rule{scoring, false, shape.experts, shape.top_k, shape.groups, shape.top_k_groups};
      for (int round = 0; round < 50; ++round) {
        // Coarse values, so that ties are frequent; every other round has finer ones.
        const float step = round % 2 == 0 ? 0.5F : 1.0F / 1024;
        std::normal_distribution<float> normal(0, 2);
        std::vector<float> logits(shape.experts);
        std::vector<float> bias(round % 3 == 0 ? shape.experts : 0);
        for (float& logit : logits) logit = std::round(normal(random) / step) * step;
        for (float& value : bias) value = 0.125F * std::round(normal(random));
        ASSERT_EQ(select(rule, logits, bias), slow_select(rule, logits, bias))
            << to_string(scoring) << " top " << shape.top_k << " of " << shape.experts << ", round " << round;
      }
    }
  }
}

TEST(GateWeights, SoftmaxIsOverAllExperts) {
  const std::vector<float> logits{std::log(1.0F), std::log(2.0F), std::log(5.0F)};
  ScoringRule rule{.scoring = Scoring::softmax, .experts = 3, .top_k = 2};
  EXPECT_THAT(weigh(rule, logits, {2, 1}), ElementsAre(FloatEq(0.625F), FloatEq(0.25F)));
  rule.renormalize = true;
  EXPECT_THAT(weigh(rule, logits, {2, 1}), ElementsAre(FloatEq(5.0F / 7), FloatEq(2.0F / 7)));
}

TEST(GateWeights, TopKSoftmaxIsOverTheChosen) {
  const std::vector<float> logits{std::log(1.0F), std::log(2.0F), std::log(5.0F)};
  for (const bool renormalize : {false, true}) {
    const ScoringRule rule{Scoring::topk_softmax, renormalize, 3, 2};
    EXPECT_THAT(weigh(rule, logits, {2, 1}), ElementsAre(FloatEq(5.0F / 7), FloatEq(2.0F / 7)));
  }
}

TEST(GateWeights, SigmoidIsOfEachExpertAlone) {
  const std::vector<float> logits{std::log(3.0F), 0, -4};  // 3/4, 1/2
  ScoringRule rule{.scoring = Scoring::sigmoid, .experts = 3, .top_k = 2};
  EXPECT_THAT(weigh(rule, logits, {0, 1}), ElementsAre(FloatEq(0.75F), FloatEq(0.5F)));
  rule.renormalize = true;
  EXPECT_THAT(weigh(rule, logits, {0, 1}), ElementsAre(FloatEq(0.6F), FloatEq(0.4F)));
}

TEST(GateWeights, LargeLogitsDoNotOverflow) {
  for (const Scoring scoring : {Scoring::softmax, Scoring::topk_softmax}) {
    const ScoringRule rule{scoring, true, 2, 2};
    EXPECT_THAT(weigh(rule, {60000, 60000}, {0, 1}), ElementsAre(0.5F, 0.5F));
  }
}

TEST(GateWeights, SigmoidsThatUnderflowStayZero) {
  const ScoringRule rule{Scoring::sigmoid, true, 2, 1};
  EXPECT_THAT(weigh(rule, {-1000, -1000}, {0}), ElementsAre(0.0F));
}

TEST(GateWeights, SoftmaxRenormalizedEqualsTopKSoftmax) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal(0, 2);
  const ScoringRule softmax{Scoring::softmax, true, 64, 6};
  const ScoringRule topk{Scoring::topk_softmax, false, 64, 6};
  for (int round = 0; round < 100; ++round) {
    std::vector<float> logits(64);
    for (float& logit : logits) logit = normal(random);
    const auto ids = select(softmax, logits);
    EXPECT_THAT(weigh(softmax, logits, ids), Pointwise(FloatNear(1e-6F), weigh(topk, logits, ids)));
  }
}

}  // namespace
}  // namespace moecarlo
