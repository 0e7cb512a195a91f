#include "host/parallel/placement.hpp"

#include <gmock/gmock.h>

#include <stdexcept>

#include "host/parallel/ni_balancer.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;

const ExpertLoads kLoads{12, 4, 2, 2, 1, 1, 1, 1};

std::vector<std::size_t> copies(const Placement& placement) {
  std::vector<std::size_t> counts;
  for (const auto& devices : placement) counts.push_back(devices.size());
  return counts;
}

TEST(Replicated, CopiesGoToTheLargestLoadPerCopy) {
  const Placement placement = replicated_placement(kLoads, 12, 4);
  EXPECT_THAT(copies(placement), ElementsAre(4, 2, 1, 1, 1, 1, 1, 1));
  const Spread spread = spread_evenly(kLoads, placement, 4);
  EXPECT_THAT(spread.device_loads(), ElementsAre(6, 6, 6, 6));
  EXPECT_EQ(spread.replicas, 4U);
}

TEST(Replicated, GroupsStayOnTheirNode) {
  const Placement placement = replicated_placement(kLoads, 12, 4, Hierarchy{2, 4});
  EXPECT_THAT(copies(placement), ElementsAre(3, 1, 2, 2, 1, 1, 1, 1));
  for (const std::uint32_t expert : {0, 1, 6, 7}) {
    for (const std::uint32_t device : placement[expert]) EXPECT_LT(device, 2U) << expert;
  }
  EXPECT_THAT(spread_evenly(kLoads, placement, 4).device_loads(), ElementsAre(9, 9, 3, 3));
}

TEST(Replicated, WhatDoesNotDivideIsRefused) {
  EXPECT_THROW(replicated_placement(kLoads, 10, 4), std::invalid_argument);
  EXPECT_THROW(replicated_placement(kLoads, 4, 4), std::invalid_argument);
  EXPECT_THROW(replicated_placement(kLoads, 12, 4, Hierarchy{3, 4}), std::invalid_argument);
  EXPECT_THROW(replicated_placement(kLoads, 12, 4, Hierarchy{2, 3}), std::invalid_argument);
  EXPECT_THROW(contiguous_placement(8, 3), std::invalid_argument);
}

TEST(Placements, ContiguousKeepsNeighboursAndPopularityBalancesThePast) {
  EXPECT_THAT(spread_evenly(kLoads, contiguous_placement(8, 4), 4).device_loads(), ElementsAre(16, 4, 2, 2));
  const Placement popular = popularity_placement(kLoads, 4);
  EXPECT_THAT(copies(popular), ElementsAre(1, 1, 1, 1, 1, 1, 1, 1));
  EXPECT_THAT(spread_evenly(kLoads, popular, 4).device_loads(), ElementsAre(13, 5, 3, 3));
}

std::uint32_t on_a_line(std::uint32_t a, std::uint32_t b) {
  return a < b ? b - a : a - b;
}

Spread copied(CopyRule rule, double alpha) {
  return balance_by_copies({12, 4, 2, 6}, contiguous_placement(4, 4), 4, {rule, alpha, 1}, on_a_line);
}

TEST(CopyBalancer, ToTheNearestDeviceTakesTwoShortCopies) {
  const Spread spread = copied(CopyRule::nearest, 1.5);
  EXPECT_THAT(spread.device_loads(), ElementsAre(4, 8, 6, 6));
  EXPECT_EQ(spread.migrations, 2U);
  EXPECT_EQ(spread.hops, 2U);
}

TEST(CopyBalancer, ToTheLeastLoadedDeviceTakesOneLongCopy) {
  const Spread spread = copied(CopyRule::least_loaded, 1.5);
  EXPECT_THAT(spread.device_loads(), ElementsAre(6, 4, 8, 6));
  EXPECT_EQ(spread.migrations, 1U);
  EXPECT_EQ(spread.hops, 2U);
}

TEST(CopyBalancer, BothGoOnToTheMeanWhereNothingStopsThem) {
  EXPECT_THAT(copied(CopyRule::nearest, 1).device_loads(), ElementsAre(6, 6, 6, 6));
  EXPECT_THAT(copied(CopyRule::least_loaded, 1).device_loads(), ElementsAre(6, 6, 6, 6));
}

}  // namespace
}  // namespace moecarlo
