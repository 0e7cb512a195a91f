#include "cuda/core/demand/channels.hpp"
#include "cuda/core/demand/demands.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

// The hand cases of each rule, worked out on paper: a few columns, experts A, B, C, ... as ranks 0, 1, 2, ...

namespace moecarlo {
namespace {

using ::testing::ElementsAre;

using Gates = std::map<char, double>;

/// A verify pass in one layer, as rules see it.
class HandPass {
 public:
  using Mask = ExpertMask<1>;
  static constexpr int kWords = 1;

  HandPass& hold(const std::string& experts) {
    for (const char expert : experts) residents_.insert(static_cast<std::uint32_t>(expert - 'A'));
    return *this;
  }
  HandPass& add(double confidence, const Gates& gates, std::uint32_t level = 0) {
    auto& column = columns_.emplace_back();
    column.level = level;
    column.confidence = static_cast<std::uint32_t>(std::lround(confidence * kGateOne));
    for (const auto& [expert, gate] : gates) {
      column.gates[static_cast<std::uint32_t>(expert - 'A')] = static_cast<std::uint32_t>(std::lround(gate * kGateOne));
    }
    return *this;
  }

  std::uint32_t columns() const { return static_cast<std::uint32_t>(columns_.size()); }
  bool knows_gates() const { return true; }
  std::uint32_t confidence(std::uint32_t i) const { return columns_[i].confidence; }
  Mask chosen(std::uint32_t i) const {
    Mask mask;
    for (const auto& [expert, gate] : columns_[i].gates) mask.insert(expert);
    return mask;
  }
  template <class Use>
  void each_choice(std::uint32_t i, const Use& use) const {
    for (const auto& [expert, gate] : columns_[i].gates) use(expert, gate);
  }
  std::uint32_t request(std::uint32_t) const { return 0; }
  std::uint32_t level(std::uint32_t i) const { return columns_[i].level; }
  Mask residents() const { return residents_; }
  HandPass& control(const MissRateTarget& target) {
    controller_ = MissRateController(target);
    return *this;
  }
  const MissRateController& controller() const { return controller_; }
  std::uint32_t entropy_term(std::uint32_t gate) const {
    const double share = gate / static_cast<double>(kGateOne);
    return gate == 0 ? 0 : static_cast<std::uint32_t>(std::lround(-share * std::log(share) / std::log(4) * kGateOne));
  }
  void use(std::uint32_t i, const Mask& experts) const { use(i, experts, experts); }
  void use(std::uint32_t i, const Mask& experts, const Mask& whole) const {
    columns_[i].used = experts;
    columns_[i].whole = whole;
  }

  /// The letters of what each column uses.
  std::vector<std::string> used() const {
    std::vector<std::string> all;
    for (const Column& column : columns_) all.push_back(letters(column.used));
    return all;
  }
  std::string loaded() const {
    Mask all;
    for (const Column& column : columns_) all |= column.used;
    return letters(all);
  }
  /// The letters of experts of which a column asks for both slices.
  std::string whole(std::uint32_t i) const { return letters(columns_[i].whole); }
  /// Share of the gates of pairs that are not used, in percent.
  double dropped() const {
    double mass = 0, dropped = 0;
    for (const Column& column : columns_) {
      for (const auto& [expert, gate] : column.gates) {
        mass += gate;
        if (!column.used.contains(expert)) dropped += gate;
      }
    }
    return 100 * dropped / mass;
  }

 private:
  struct Column {
    std::uint32_t confidence = 0;
    std::map<std::uint32_t, std::uint32_t> gates;
    mutable Mask used, whole;
    std::uint32_t level = 0;
  };

  static std::string letters(const Mask& mask) {
    std::string text;
    each_member(mask, [&](std::uint32_t expert) { text += static_cast<char>('A' + expert); });
    return text;
  }

  std::vector<Column> columns_;
  Mask residents_;
  MissRateController controller_;
};

/// SMoLPU's three candidates, with the path probabilities 1, 0.6, 0.3.
HandPass candidates() {
  HandPass pass;
  pass.add(1, {{'A', 0.7}, {'B', 0.3}}).add(0.6, {{'A', 0.6}, {'C', 0.4}}).add(0.3, {{'D', 0.9}, {'B', 0.1}});
  return pass;
}

TEST(ThresholdDemand, OfAPassLoadsThreeOfFourExpertsAndDropsTwoFifteenthsOfTheMass) {
  const HandPass pass = candidates();
  ThresholdDemand::ask(pass, {{gate_product(0.29), 0}});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "A", "BD"));
  EXPECT_EQ(pass.loaded(), "ABD");
  EXPECT_NEAR(pass.dropped(), 13.333, 0.001);
}

TEST(ThresholdDemand, OfATokenDropsASixthOfTheMassAndLoadsTheSameThree) {
  const HandPass pass = candidates();
  ThresholdDemand::ask(pass, {{gate_product(0.29), 1}});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "A", "D"));
  EXPECT_EQ(pass.loaded(), "ABD");
  EXPECT_NEAR(pass.dropped(), 16.667, 0.001);
}

TEST(ThresholdDemand, KeepsTheLowerOfTwoFirstChoicesAndAllAtThetaZero) {
  HandPass pass;
  pass.add(0.5, {{'B', 0.5}, {'C', 0.5}}).add(0, {{'A', 1}, {'D', 0}});
  ThresholdDemand::ask(pass, {{gate_product(1), 0}});
  EXPECT_THAT(pass.used(), ElementsAre("B", "A"));
  ThresholdDemand::ask(pass, {{gate_product(0), 1}});
  EXPECT_THAT(pass.used(), ElementsAre("BC", "AD"));
}

TEST(BudgetDemand, TakesFirstChoicesThenTheLargestSums) {
  // Sums of c g: A .7 + .36, B .3 + .03, C .24, D .27; first choices A and D.
  const HandPass pass = candidates();
  BudgetDemand::ask(pass, {{3, 0}});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "A", "BD"));
  BudgetDemand::ask(pass, {{1, 0}});  // first choices alone need more
  EXPECT_EQ(pass.loaded(), "AD");
  BudgetDemand::ask(pass, {{4, 0}});
  EXPECT_EQ(pass.loaded(), "ABCD");
}

TEST(BudgetDemand, KeepsHitsBeforeLargerSums) {
  const HandPass pass = candidates().hold("CE");
  BudgetDemand::ask(pass, {{3, 1}});
  EXPECT_EQ(pass.loaded(), "ACD");
}

/// MoBiLE's tokens of four choices.
HandPass two_tokens() {
  HandPass pass;
  pass.add(0.9, {{'A', 0.5}, {'B', 0.3}, {'C', 0.15}, {'D', 0.05}});
  pass.add(0.4, {{'A', 0.3}, {'B', 0.28}, {'C', 0.22}, {'D', 0.2}});
  return pass;
}

TEST(HalfDemand, TakesTwoExpertsWhereHalfTheMassIsFourFifthsAndFourWhereItIsLess) {
  const HandPass pass = two_tokens();
  HalfDemand::ask(pass, {{in_gates(0.75), 0, HalfDemand::mass}});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "ABCD"));
}

TEST(HalfDemand, ByEntropyHalvesTheTokenThatIsSure) {
  const HandPass pass = two_tokens();  // entropies over log 4: 0.82 and 0.99
  HalfDemand::ask(pass, {{in_gates(0.9), 0, HalfDemand::entropy}});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "ABCD"));
}

TEST(HalfDemand, ByAcceptanceHalvesWhatIsNotLikelyToStay) {
  const HandPass pass = two_tokens();
  HalfDemand::ask(pass, {{in_gates(0.5), 0, HalfDemand::acceptance}});
  EXPECT_THAT(pass.used(), ElementsAre("ABCD", "AB"));
}

TEST(HalfDemand, OfAnOddNumberKeepsTheLargerHalf) {
  HandPass pass;
  pass.add(1, {{'A', 0.2}, {'B', 0.5}, {'C', 0.3}});
  HalfDemand::ask(pass, {{0, 0, HalfDemand::mass}});
  EXPECT_THAT(pass.used(), ElementsAre("BC"));
}

TEST(HalfDemand, IsCalibratedToTheShareThatIsAskedFor) {
  const std::uint64_t measures[] = {10, 20, 30, 40};
  DemandNumbers own{{0, in_millionths(0.5), HalfDemand::mass}};
  HalfDemand::calibrate(own, measures, 4);
  EXPECT_EQ(own.of[0], 30U);  // half of them hold 30 or more
  own = {{0, in_millionths(0.5), HalfDemand::entropy}};
  HalfDemand::calibrate(own, measures, 4);
  EXPECT_EQ(own.of[0], 21U);  // half of them are below 21
  own = {{0, 0, HalfDemand::mass}};
  HalfDemand::calibrate(own, measures, 4);
  EXPECT_EQ(own.of[0], ~std::uint64_t{0});
}

TEST(SalientDemand, LeavesSiblingsTheExpertsOfTheOneThatDecides) {
  HandPass pass;
  pass.add(0.6, {{'A', 0.5}, {'B', 0.5}}, 1).add(0.4, {{'A', 0.5}, {'C', 0.5}}, 1).add(0.1, {{'D', 1}}, 2);
  SalientDemand::ask(pass, {});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "A", "D"));
  HandPass equal;
  equal.add(0.5, {{'A', 0.5}, {'B', 0.5}}, 1).add(0.5, {{'A', 0.5}, {'C', 0.5}}, 1);
  SalientDemand::ask(equal, {});
  EXPECT_EQ(equal.loaded(), "AB");  // 3 experts become 2
}

/// EdgeXpert's siblings: the one that decides loads channels 0 and 2 of A and 0 of B; the other is computed on these,
/// though it would have loaded 1 and 3 of A.
TEST(SalientDemand, ItsChannelsAreThoseOfTheOneThatDecides) {
  HandPass pass;
  pass.add(0.6, {{'A', 0.6}, {'B', 0.4}}, 1).add(0.4, {{'A', 0.5}, {'C', 0.5}}, 1);
  SalientDemand::ask(pass, {});
  const std::uint8_t magnitudes[2][4] = {{4, 1, 2, 0}, {0, 4, 0, 4}};
  const auto channels = [&](std::uint32_t expert, auto rule) {
    ChannelMask loaded;
    for (std::uint32_t i = 0; i < 2; ++i) {
      const bool uses = pass.used()[i].find(static_cast<char>('A' + expert)) != std::string::npos;
      if (uses && decltype(rule)::chooses_channels(pass, i)) loaded.add(magnitudes[i], 4, expert == 0 ? 2 : 3);
    }
    return loaded.count(4);
  };
  EXPECT_EQ(channels(0, SalientDemand{}) + channels(1, SalientDemand{}), 3U);
  EXPECT_EQ(channels(0, AllDemand{}), 4U);
}

TEST(ChannelMask, CountsWhatTwoHaveInCommon) {
  const std::uint8_t decides[] = {4, 1, 2, 0}, sibling[] = {0, 4, 3, 4};
  ChannelMask loaded, wanted;
  loaded.add(decides, 4, 2);
  wanted.add(sibling, 4, 2);
  EXPECT_EQ(wanted.count(4), 3U);
  EXPECT_EQ(wanted.count_in(loaded, 4), 1U);
}

TEST(SlicesDemand, AsksForTheLowerSliceOfTheTwoLargeGates) {
  HandPass pass;
  pass.add(1, {{'A', 0.55}, {'B', 0.30}, {'C', 0.08}, {'D', 0.07}});
  SlicesDemand::ask(pass, {{in_gates(0.1), MissRateTarget::kNone}});
  EXPECT_THAT(pass.used(), ElementsAre("ABCD"));
  EXPECT_EQ(pass.whole(0), "AB");  // 4 upper and 2 lower slices: 3 experts' weights
}

TEST(SlicesDemand, WithAMissRateAsksByTheGateOfTheController) {
  HandPass pass;
  pass.add(1, {{'A', 0.55}, {'B', 0.30}, {'C', 0.08}, {'D', 0.07}});
  SlicesDemand::ask(pass.control({0, in_gates(0.4)}), {{in_gates(0.1), in_millionths(0.05)}});
  EXPECT_EQ(pass.whole(0), "A");
}

TEST(MissRateController, RaisesTheGateWhileTheRateIsAboveItsTarget) {
  MissRateController controller({in_millionths(0.25), 100});
  EXPECT_EQ(controller.least_gate(), 100U);
  controller.add(8, 2);  // at the target
  controller.end_pass();
  EXPECT_EQ(controller.least_gate(), 100U);
  controller.add(3, 1), controller.add(5, 2);  // 0.875 x 2 + 3 of 0.875 x 8 + 8
  controller.end_pass();
  EXPECT_EQ(controller.least_gate(), 100U + (65436 + 15) / 16);
  controller.add(15, 0);  // 0.875 x 4.75 of 0.875 x 15 + 15
  controller.end_pass();
  EXPECT_EQ(controller.least_gate(), 4190U - (4090 + 15) / 16);
}

TEST(MissRateController, EndsWhereNoChoiceHasALowerSliceAndComesBackToItsOwnGate) {
  MissRateController controller({in_millionths(0), 100});
  for (int pass = 0; pass < 300; ++pass) {
    controller.add(1, 1);
    controller.end_pass();
  }
  EXPECT_EQ(controller.least_gate(), kGateOne + 1);
  MissRateController easy({in_millionths(1), 100});
  for (int pass = 0; pass < 300; ++pass) {
    easy.add(1, 1);
    easy.end_pass();
    EXPECT_EQ(easy.least_gate(), 100U);
  }
}

TEST(TopPDemand, TakesTheLargestChoicesUntilTheyHoldTheMass) {
  const HandPass pass = two_tokens();
  TopPDemand::ask(pass, {{in_gates_or_all(0.75)}});
  EXPECT_THAT(pass.used(), ElementsAre("AB", "ABC"));
  TopPDemand::ask(pass, {{in_gates_or_all(0.5)}});
  EXPECT_THAT(pass.used(), ElementsAre("A", "AB"));
  TopPDemand::ask(pass, {{in_gates_or_all(0)}});
  EXPECT_THAT(pass.used(), ElementsAre("A", "A"));
  TopPDemand::ask(pass, {{in_gates_or_all(1)}});
  EXPECT_THAT(pass.used(), ElementsAre("ABCD", "ABCD"));
}

TEST(TopPDemand, TakesTheLowerOfTwoEqualChoices) {
  HandPass pass;
  pass.add(1, {{'B', 0.4}, {'A', 0.2}, {'D', 0.2}, {'C', 0.2}});
  TopPDemand::ask(pass, {{in_gates_or_all(0.5)}});
  EXPECT_THAT(pass.used(), ElementsAre("AB"));
}

TEST(NearestDemand, ReplacesAnAbsentExpertByTheNearestResident) {
  // Distances of expert 2: 0.9 to 1, 0.4 to 3.
  const std::uint16_t nearest[4][4] = {{0, 1, 2, 3}, {1, 0, 2, 3}, {2, 3, 1, 0}, {3, 2, 1, 0}};
  const auto with = [](std::initializer_list<std::uint32_t> experts) {
    ExpertMask<1> mask;
    for (const std::uint32_t expert : experts) mask.insert(expert);
    return mask;
  };
  const auto used = [&](const ExpertMask<1>& chosen, const ExpertMask<1>& pinned) {
    return nearest_routing(nearest[0], 4, chosen, pinned).word[0];
  };
  EXPECT_EQ(used(with({2}), with({1, 3})), with({3}).word[0]);
  EXPECT_EQ(used(with({2, 3}), with({1, 3})), with({3}).word[0]);  // whatever else the token uses
  EXPECT_EQ(used(with({0, 1}), with({1, 3})), with({1}).word[0]);
  EXPECT_EQ(used(with({0, 1}), {}), 0U);
}

TEST(GateProduct, IsTheLeastIntegerThatReachesTheta) {
  EXPECT_EQ(gate_product(0), 0U);
  EXPECT_EQ(gate_product(1), std::uint64_t{65535} * 65535);
  EXPECT_EQ(gate_product(0.5), 2147418113U);  // of 2147418112.5
}

}  // namespace
}  // namespace moecarlo
