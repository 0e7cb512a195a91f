// What domains and vocabulary say of experts.

#include "host/trace/specialization.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace moecarlo {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

std::vector<double> specialization(const std::vector<std::uint16_t>& ids, std::uint32_t top_k, std::uint32_t experts,
                                   const std::vector<std::uint32_t>& classes, const std::vector<std::uint32_t>& units) {
  return class_specialization({ids, top_k, experts, classes, units});
}

TEST(ClassSpecialization, ByHand) {
  // Classes a a a b b, each token a unit: of the two a that take 0 one other of two does, the b that takes it is alone.
  const std::vector<double> found = specialization({0, 0, 1, 0, 1}, 1, 3, {0, 0, 0, 1, 1}, {0, 1, 2, 3, 4});
  EXPECT_DOUBLE_EQ(found[0], (0.5 + 0.5 + 0) / 3);
  EXPECT_DOUBLE_EQ(found[1], 0);
  EXPECT_TRUE(std::isnan(found[2]));
}

TEST(ClassSpecialization, ATokenIsNotComparedWithItsOwnUnit) {
  // One class of two sequences that agree in expert 2 alone; a class of one sequence says nothing.
  const std::vector<double> found =
      specialization({0, 2, 0, 2, 1, 2, 1, 2, 3, 2}, 2, 4, {0, 0, 0, 0, 1}, {0, 0, 1, 1, 2});
  EXPECT_DOUBLE_EQ(found[0], 0);
  EXPECT_DOUBLE_EQ(found[1], 0);
  EXPECT_DOUBLE_EQ(found[2], 1);
  EXPECT_TRUE(std::isnan(found[3]));
}

TEST(ClassSpecialization, OfARouterThatDoesNotLookIsTheShareOfTokens) {
  std::mt19937 random(3);
  std::vector<std::uint16_t> ids;
  std::vector<std::uint32_t> classes, units;
  for (std::uint32_t token = 0; token < 40000; ++token) {
    ids.push_back(std::discrete_distribution<std::uint16_t>({5, 3, 2})(random));
    classes.push_back(random() % 15000);  // most of them small
    units.push_back(token);
  }
  EXPECT_THAT(specialization(ids, 1, 3, classes, units),
              ElementsAre(DoubleNear(0.5, 0.01), DoubleNear(0.3, 0.01), DoubleNear(0.2, 0.01)));
}

TEST(Correlation, IsPearsons) {
  EXPECT_DOUBLE_EQ(correlation(std::vector<double>{1, 2, 3}, std::vector<double>{2, 4, 6}), 1);
  EXPECT_DOUBLE_EQ(correlation(std::vector<double>{1, 2, 3, 4}, std::vector<double>{1, -1, -1, 1}), 0);
  EXPECT_NEAR(correlation(std::vector<double>{1, 2, 3, NAN}, std::vector<double>{1, 3, 2, 9}), 0.5, 1e-12);
  EXPECT_TRUE(std::isnan(correlation(std::vector<double>{1, 2}, std::vector<double>{1, 1})));
}

TEST(Knee, IsFarthestFromTheChord) {
  EXPECT_EQ(knee(std::vector<double>{0.4, 0.8, 0.85, 0.9}), 2U);
  EXPECT_EQ(knee(std::vector<double>{0.25, 0.5, 0.75, 1}), 1U) << "a straight line bends nowhere: the first";
  EXPECT_EQ(knee(std::vector<double>{1}), 1U);
}

}  // namespace
}  // namespace moecarlo
