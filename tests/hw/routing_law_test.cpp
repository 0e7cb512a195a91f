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

TEST(RoutingLaw, TokensOfARequestAddWhatACacheOfTheirUnionWouldMiss) {
  const RoutingLaw law{64, 4, 0, 0.5};
  EXPECT_EQ(law.request_union(0, 0.8), 0);
  EXPECT_DOUBLE_EQ(law.request_union(1, 0.8), 4);
  EXPECT_DOUBLE_EQ(law.request_union(2, 0.8), 4 + 4 * (1 - std::pow(4.0 / 64, 0.4)));
  EXPECT_DOUBLE_EQ(law.request_union(5, 0), 4) << "all alike";
  EXPECT_NEAR(law.request_union(3, 1e9), 12, 1e-6) << "nothing is reused";
  EXPECT_LE(law.request_union(1000, 2), 64);
}

TEST(RoutingLaw, RequestsAreIndependentOfEachOther) {
  const RoutingLaw uniform{64, 4, 0, 1}, skewed{64, 4, 1, 1};
  // Each leaves out an expert with probability 1 - 12/64, whatever its own tokens have in common.
  EXPECT_NEAR(uniform.union_of_requests(12, 3), 64 * (1 - std::pow(1 - 12.0 / 64, 3)), 1e-9);
  EXPECT_NEAR(skewed.union_of_requests(4, 6), skewed.distinct(6), 1e-9) << "of one token each";
  EXPECT_NEAR(skewed.union_of_requests(20, 1), 20, 1e-9);
  EXPECT_NEAR(uniform.union_of_requests(64, 2), 64, 1e-6);
}

TEST(RoutingLaw, DegradedHitsGoFromTheLawOfOneTokenToWhatIsHeldOfAllExperts) {
  const RoutingLaw law{64, 4, 0, 0.5};
  EXPECT_DOUBLE_EQ(law.held_share(16, 4, 1.25), 0.5);
  EXPECT_DOUBLE_EQ(law.held_share(16, 64, 1.25), 0.25);
  EXPECT_DOUBLE_EQ(law.held_share(16, 34, 1), std::pow(0.25, 0.75)) << "half way";
  for (double distinct = 5; distinct < 64; ++distinct) {
    EXPECT_LT(law.held_share(16, distinct, 1.25), law.held_share(16, distinct - 1, 1.25));
    EXPECT_LE(law.held_share(16, distinct, 1.25), law.held_share(16, distinct));
    EXPECT_LE(law.held_share(16, distinct, 1.25) * distinct, 16);
  }
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
