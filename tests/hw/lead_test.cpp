#include "hw/study/lead.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kGroups = 16;

Sampling sampling() {
  return Sampling::random({kGroups, 0, 0}, true);
}

/// A speed whose groups all did one round, every other one in so many seconds.
Quantity speed(double even, double odd) {
  std::vector<double> seconds;
  for (std::uint32_t g = 0; g < kGroups; ++g) seconds.push_back(g % 2 == 0 ? even : odd);
  return sampling().ratio(std::vector<double>(kGroups, 1.0), seconds);
}

TEST(Lead, IsTheFastestOverTheNextPaired) {
  const Quantity slow = speed(4, 8), fast = speed(2, 4), middle = speed(3, 6);
  const auto lead = lead_of("batch", {{7, &slow}, {8, &fast}, {9, &middle}}, sampling());
  ASSERT_TRUE(lead);
  EXPECT_EQ(lead->among, "batch");
  EXPECT_EQ(lead->first, 8U);
  EXPECT_EQ(lead->second, 9U);
  EXPECT_DOUBLE_EQ(lead->ratio.value, 1.5);
  // Both were slow in the same groups: their ratio agrees in all of them, which is no knowledge of its error.
  EXPECT_FALSE(lead->ratio.mc_half_width.has_value());
}

TEST(Lead, IsNotOverTheSameUnderAnotherName) {
  const Quantity one = speed(2, 3), same = speed(2, 3), next = speed(3, 2);
  const auto lead = lead_of("scheme", {{0, &one}, {1, &same}, {2, &next}}, sampling());
  ASSERT_TRUE(lead);
  EXPECT_EQ(lead->second, 2U);  // as fast, in other groups: that cannot be told apart
  EXPECT_DOUBLE_EQ(lead->ratio.value, 1);
  EXPECT_GT(lead->ratio.mc_half_width.value(), 0);
  EXPECT_FALSE(lead_of("scheme", {{0, &one}, {1, &same}}, sampling()));
  EXPECT_FALSE(lead_of("scheme", {{0, &one}}, sampling()));
}

}  // namespace
}  // namespace moecarlo::hw
