#include "hw/reproduce/routing_law.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace moecarlo::hw {
namespace {

TEST(RoutingLaw, UniformUnionsFollowTheClosedForm) {
  const RoutingLaw law{128, 8, 0, 1};
  for (const double tokens : {0.0, 0.5, 1.0, 4.0, 16.0}) {
    EXPECT_NEAR(law.distinct(tokens), 128 * (1 - std::pow(1 - 8.0 / 128, tokens)), 1e-9) << tokens;
  }
}

TEST(RoutingLaw, OneTokenTakesTopKHoweverUnequalTheExperts) {
  for (const double popularity : {0.0, 0.78, 1.5}) {
    const RoutingLaw law{32, 4, popularity, 1};
    EXPECT_NEAR(law.distinct(1), 4, 1e-9);
    EXPECT_LT(law.distinct(8), RoutingLaw({32, 4, popularity / 2 - 0.01, 1}).distinct(8) + (popularity == 0 ? 1 : 0));
    EXPECT_LT(law.distinct(1e9), 32 + 1e-9);
  }
  EXPECT_EQ(RoutingLaw({8, 8, 0, 1}).distinct(0.5), 8);
}

TEST(RoutingLaw, HitsAreAPowerOfTheCachedShareAndNeverMoreThanFit) {
  const RoutingLaw law{64, 4, 0, 0.5};
  EXPECT_DOUBLE_EQ(law.hit_share(16), 0.5);
  EXPECT_EQ(law.hit_share(64), 1);
  EXPECT_EQ(law.hit_share(0.9), 0);
  EXPECT_DOUBLE_EQ(law.held_share(16, 24), 0.5);
  EXPECT_DOUBLE_EQ(law.held_share(16, 48), 16.0 / 48);
  EXPECT_EQ(law.held_share(16, 0), 0);
}

TEST(RoutingLaw, DraftsTouchTopKResidentsOfOneTokenAndAllOfManyTokens) {
  const RoutingLaw law{64, 4, 0, 0.5};
  EXPECT_DOUBLE_EQ(law.residents_touched(16, 1), 4);
  EXPECT_DOUBLE_EQ(law.residents_touched(16, 2), 16 * (1 - 0.75 * 0.75));
  EXPECT_NEAR(law.residents_touched(16, 200), 16, 1e-9);
  EXPECT_EQ(law.residents_touched(3, 1), 3);
}

TEST(EffectiveTokens, AreTheTokensWithoutOverlapAndSaturateWithIt) {
  EXPECT_DOUBLE_EQ(effective_tokens(60, 0), 60);
  EXPECT_DOUBLE_EQ(effective_tokens(1, 0.3), 1);
  EXPECT_DOUBLE_EQ(effective_tokens(10, 1), 1);
  EXPECT_NEAR(effective_tokens(1e9, 0.25), 4, 1e-6);
}

TEST(RoutingLaw, TheMostPopularExpertsAreTouchedMoreOftenThanTheirShareOfAll) {
  const RoutingLaw uniform{64, 4, 0, 1}, skewed{64, 4, 1, 1};
  EXPECT_NEAR(uniform.distinct_among(16, 3), uniform.distinct(3) / 4, 1e-12);
  EXPECT_GT(skewed.distinct_among(16, 3), skewed.distinct(3) / 2);
  for (const RoutingLaw& law : {uniform, skewed}) {
    EXPECT_DOUBLE_EQ(law.distinct_among(64, 3), law.distinct(3));
    EXPECT_EQ(law.distinct_among(0, 3), 0);
    EXPECT_NEAR(law.distinct_among(10.5, 3), (law.distinct_among(10, 3) + law.distinct_among(11, 3)) / 2, 1e-12);
  }
}

}  // namespace
}  // namespace moecarlo::hw
