#include "host/statistics/loss_curve.hpp"

#include <gtest/gtest.h>

#include "host/statistics/loss.hpp"

namespace moecarlo {
namespace {

MeasuredLoss measured(const std::string& demand, double dropped, double ratio) {
  MeasuredLoss one;
  one.demand = demand;
  one.dropped_mass = dropped;
  one.perplexity_ratio = ratio;
  one.perplexity_ratio_low = ratio - 0.01;
  one.perplexity_ratio_high = ratio + 0.01;
  return one;
}

LossCurve curve() {
  LossCurve curve;
  curve.model = "small";
  curve.rules = {measured("all", 0, 1), measured("threshold(0.1)", 0.2, 1.1), measured("threshold(0.05)", 0.1, 1.02),
                 measured("threshold(0.1, token)", 0.3, 2), measured("budget(8)", 0.1, 1.5)};
  return curve;
}

TEST(RuleFamily, IsADemandWithoutItsNumbers) {
  EXPECT_EQ(rule_family("all"), "all");
  EXPECT_EQ(rule_family("threshold(0.05)"), "threshold");
  EXPECT_EQ(rule_family("threshold(1e-05)"), "threshold");
  EXPECT_EQ(rule_family("threshold(0.05, token)"), "threshold(token)");
  EXPECT_EQ(rule_family("budget(16, keep_hits)"), "budget(keep_hits)");
  EXPECT_EQ(rule_family("threshold(0.05, channels 0.1)"), "threshold(channels)");
  EXPECT_EQ(rule_family("half(unimportant 0.5, entropy)"), "half(entropy)");
  EXPECT_EQ(rule_family("half(unimportant 0.5)"), rule_family("half(0.75)"));
}

TEST(LossCurve, IsReadBetweenTheNeighboursOfADroppedMass) {
  EXPECT_DOUBLE_EQ(curve().at("threshold(0.07)", 0.15)->perplexity_ratio, 1.06);
  EXPECT_DOUBLE_EQ(curve().at("threshold(0.07)", 0.15)->perplexity_ratio_high, 1.07);
  EXPECT_DOUBLE_EQ(curve().at("threshold(0.01)", 0.05)->perplexity_ratio, 1.01);  // from `all` on
  EXPECT_DOUBLE_EQ(curve().at("threshold(0.1)", 0.2)->perplexity_ratio, 1.1);
  EXPECT_DOUBLE_EQ(curve().at("threshold(0)", 0)->perplexity_ratio, 1);
}

TEST(LossCurve, SaysNothingOfWhatWasNotMeasured) {
  EXPECT_FALSE(curve().at("half(0.5)", 0.1).has_value());        // another rule
  EXPECT_FALSE(curve().at("threshold(0.5)", 0.21).has_value());  // further than any
  EXPECT_TRUE(curve().at("threshold(0.5, token)", 0.21).has_value());
}

TEST(LossCurve, GivesALossItsPerplexity) {
  const std::optional<Loss> loss = placed_on(curve(), "budget(4)", Loss{0.05, true});
  EXPECT_DOUBLE_EQ(*loss->perplexity_ratio, 1.25);
  EXPECT_EQ(loss_text(loss, "budget(4)"), "lossy: drops 5 % of the gate mass, perplexity x 1.25");
  EXPECT_EQ(loss_text(loss, "slices(0.1)"),
            "lossy: computes 5 % of the gate mass from upper slices, perplexity x 1.25");
  EXPECT_FALSE(placed_on(std::nullopt, "budget(4)", Loss{0.05, true})->perplexity_ratio.has_value());
  EXPECT_FALSE(placed_on(curve(), "all", std::nullopt).has_value());
}

}  // namespace
}  // namespace moecarlo
