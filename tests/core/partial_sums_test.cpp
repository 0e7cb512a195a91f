#include "cuda/core/partial_sums.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

#include "tests/oracle/partial_sums.hpp"

namespace moecarlo {
namespace {

using Chunk = std::vector<std::set<int>>;

/// What the core makes of a chunk: tokens by the experts that they use.
struct Counted {
  std::vector<int> order;
  std::uint32_t high_water, spills;
};

Counted counted(const Chunk& chunk, const PartialSumMemory& memory) {
  std::vector<ExpertMask<1>> masks(chunk.size());
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    for (const int expert : chunk[i]) masks[i].insert(static_cast<std::uint32_t>(expert));
  }
  const auto used = [&](std::uint32_t i) { return masks[i]; };
  PartialSums<1, decltype(used)> sums(static_cast<std::uint32_t>(chunk.size()), used);
  const std::uint32_t spills = sums.spills(memory);
  return {{sums.order(), sums.order() + sums.experts()}, sums.high_water(), spills};
}

/// SMoLPU's example with experts A, B and D left: t0 uses A and B, t1 A, t2 B and D.
TEST(PartialSums, GoInTheOrderThatCompletesMost) {
  const Counted found = counted({{0, 1}, {0}, {1, 3}}, {8, false});
  EXPECT_EQ(found.order, (std::vector<int>{0, 1, 3}));
  EXPECT_EQ(found.high_water, 2U);
  EXPECT_EQ(found.spills, 0U);
}

/// E1 of t0, t1, t2; E2 of t1, t3; E3 of t0, t3; E4 of t2. With two slots t2 goes out at once, and once; where it is
/// forced in t0 goes out for it, and then t2 for t0.
TEST(PartialSums, SpillTheOneWhoseNextUseIsFarthest) {
  const Chunk chunk = {{1, 3}, {1, 2}, {1, 4}, {2, 3}};
  EXPECT_EQ(counted(chunk, {2, false}).order, (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(counted(chunk, {2, false}).spills, 1U);
  EXPECT_EQ(counted(chunk, {2, true}).spills, 2U);
  EXPECT_EQ(counted(chunk, {3, false}).spills, 0U);
  EXPECT_EQ(counted(chunk, {3, true}).spills, 0U);
}

TEST(PartialSums, AreThoseOfASlowSimulation) {
  std::mt19937 random(5);
  for (int i = 0; i < 400; ++i) {
    const int experts = 1 + static_cast<int>(random() % 12), top_k = 1 + static_cast<int>(random() % 4);
    Chunk chunk(random() % 10);
    for (std::set<int>& uses : chunk) {
      for (int k = 0; k < top_k; ++k) uses.insert(static_cast<int>(random() % static_cast<unsigned>(experts)));
    }
    const auto slots = static_cast<std::uint32_t>(1 + random() % 5);
    for (const bool forced : {false, true}) {
      const Counted found = counted(chunk, {slots, forced});
      const std::vector<int> order = oracle::load_order(chunk);
      EXPECT_EQ(found.order, order);
      EXPECT_EQ(found.high_water, static_cast<std::uint32_t>(oracle::high_water(chunk, order)));
      EXPECT_EQ(found.spills,
                static_cast<std::uint32_t>(oracle::spills(chunk, order, static_cast<int>(slots), forced)));
    }
  }
}

}  // namespace
}  // namespace moecarlo
