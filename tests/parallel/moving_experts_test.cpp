#include "host/parallel/moving_experts.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>

namespace moecarlo {
namespace {

using ::testing::ElementsAre;

const ExpertLoads kFour{12, 4, 2, 2, 1, 1, 1, 1};

std::uint32_t on_a_line(std::uint32_t a, std::uint32_t b) {
  return a < b ? b - a : a - b;
}

MovingReplicas replicas(MoveTimes times, std::uint32_t slots) {
  return {times, contiguous_placement(8, 4),
          [slots](const ExpertLoads& past) { return replicated_placement(past, slots, 4); }, on_a_line};
}

TEST(MovingReplicas, FollowTheWindowAndMoveWhatIsNotThere) {
  const std::vector<MovingReplicas> rules{replicas({.every = 3, .window = 2}, 12)};
  const SpreadLayer layer = moving_replicas(rules, 4);
  for (int batch = 0; batch < 2; ++batch) {
    const Spread spread = layer(kFour, 0);
    EXPECT_THAT(spread.device_loads(), ElementsAre(16, 4, 2, 2));
    EXPECT_EQ(spread.migrations, 0U);
  }
  const Spread moved = layer(kFour, 0);
  EXPECT_THAT(moved.device_loads(), ElementsAre(6, 6, 6, 6));
  EXPECT_EQ(moved.migrations, moved.awaited.size());
  // Every slot that holds what its device had not, from a device that has it.
  const Placement before = contiguous_placement(8, 4), after = replicated_placement(kFour, 12, 4);
  std::uint64_t moves = 0, hops = 0;
  for (std::uint32_t expert = 0; expert < 8; ++expert) {
    for (std::uint32_t device = 0; device < 4; ++device) {
      const auto has = [&](const Placement& placement) {
        return std::count(placement[expert].begin(), placement[expert].end(), device) > 0;
      };
      if (!has(after) || has(before)) continue;
      ++moves;
      hops += on_a_line(before[expert][0], device);
    }
  }
  EXPECT_EQ(moved.migrations, moves);
  EXPECT_EQ(moved.hops, hops);
  for (int batch = 0; batch < 6; ++batch) EXPECT_EQ(layer(kFour, 0).migrations, 0U);  // the same again
}

TEST(MovingReplicas, AgreeWithWhatIsWorkedOutAnewForEveryBatch) {
  std::mt19937 random(1);
  for (const auto& [every, window] : {std::pair{1U, 1U}, {2U, 3U}, {5U, 2U}}) {
    const std::vector<MovingReplicas> rules{replicas({every, window}, 12), replicas({every, window}, 12)};
    const SpreadLayer layer = moving_replicas(rules, 4);
    std::vector<std::vector<ExpertLoads>> seen(2);
    std::vector<Placement> placement(2, contiguous_placement(8, 4));
    for (std::uint32_t batch = 0; batch < 20; ++batch) {
      for (std::uint32_t l = 0; l < 2; ++l) {
        ExpertLoads loads(8);
        for (double& load : loads) load = static_cast<double>(random() % 50);
        if (batch >= window && (batch - window) % every == 0) {
          ExpertLoads past(8, 0);
          for (std::uint32_t back = 1; back <= window; ++back) {
            for (std::size_t e = 0; e < 8; ++e) past[e] += seen[l][batch - back][e];
          }
          placement[l] = replicated_placement(past, 12, 4);
        }
        seen[l].push_back(loads);
        EXPECT_EQ(layer(loads, l).device_loads(), spread_evenly(loads, placement[l], 4).device_loads()) << batch;
      }
    }
  }
}

MovingCopies copies(MoveTimes times) {
  MovingCopies rule{times, contiguous_placement(4, 4), {CopyRule::nearest, 1.5, 1}, on_a_line, 0, {}};
  return rule;
}

TEST(MovingCopies, GoToFreeSlotsAndStayWhileTheyArePlanned) {
  const ExpertLoads line{12, 4, 2, 6};
  const std::vector<MovingCopies> rules{copies({.every = 1, .window = 1})};
  const SpreadLayer layer = moving_copies(rules, 4);
  EXPECT_THAT(layer(line, 0).device_loads(), ElementsAre(12, 4, 2, 6));
  const Spread moved = layer(line, 0);
  EXPECT_THAT(moved.device_loads(), ElementsAre(4, 8, 6, 6));
  EXPECT_EQ(moved.migrations, 2U);
  EXPECT_TRUE(moved.awaited.empty());
  EXPECT_EQ(layer(line, 0).migrations, 0U);
  EXPECT_EQ(layer({2, 2, 2, 2}, 0).replicas, 2U);  // planned by the batch before
  EXPECT_EQ(layer(line, 0).replicas, 0U);          // what is not needed any more is dropped
}

TEST(MovingCopies, TakeTheTimeThatIdleLinksNeed) {
  std::vector<MovingCopies> rules{copies({.every = 100, .window = 1})};
  rules[0].expert_bytes = 10;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> asked;
  rules[0].road = [&](const Spread&) {
    return [&asked, left = 8.0](std::uint32_t from, std::uint32_t to, double wanted) mutable {
      asked.emplace_back(from, to);
      const double through = std::min({4.0, wanted, left});
      left -= through;
      return through;
    };
  };
  const SpreadLayer layer = moving_copies(rules, 4);
  const ExpertLoads line{12, 4, 2, 6};
  std::vector<std::uint64_t> arrived;
  for (int batch = 0; batch < 6; ++batch) arrived.push_back(layer(line, 0).migrations);
  EXPECT_THAT(arrived, ElementsAre(0, 0, 0, 2, 0, 0));  // 4 + 4 + 2 bytes of each, beside batches 1 to 3
  EXPECT_THAT(layer(line, 0).device_loads(), ElementsAre(4, 8, 6, 6));
  EXPECT_EQ(asked.front(), (std::pair<std::uint32_t, std::uint32_t>{0, 1}));
  EXPECT_EQ(asked[1], (std::pair<std::uint32_t, std::uint32_t>{0, 2}));  // its neighbour does not hold it yet
}

}  // namespace
}  // namespace moecarlo
