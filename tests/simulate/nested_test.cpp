#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

// A tier of some experts a layer within a larger one, at a batch of 2 with drafts.
constexpr Capacity kNear{2, 1}, kFar{5, 2};

Study nested_study(Policy policy) {
  Study study = small_study();
  study.grid.batch = {2};
  study.grid.depth = {3};
  study.grid.policy = {policy};
  study.grid.capacity = {3};
  return study;
}

Plan nested_plan(const Study& study, const RoutingTable& table) {
  return make_plan(study, make_grid(study, {{2, false, kNear, 8, {}}, {2, false, kFar, 8, kNear}}), table);
}

/// The counters of a plan's first trajectories, or of one alone.
struct Counted {
  Tallies tallies;
  NestedTally nested;
  JointTally near, far;

  Counted(const Plan& plan, const RoutingTable& table, std::uint64_t first, std::uint64_t end) : tallies(plan.shape) {
    make_cpu_backend(table.view(), plan, 1)->run({Stream::main, first, end}, tallies.counters);
    const Cell& cell = plan.layout.cells.back();
    EXPECT_EQ(cell.nested_count, 1U);
    nested = plan.layout.nested[cell.first_nested];
    near = plan.layout.joints[plan.layout.joint_index[cell.first_joint + nested.near]];
    far = plan.layout.joints[plan.layout.joint_index[cell.first_joint + nested.point]];
  }

  /// Counts of all classes and groups together by their place in a box.
  std::vector<std::uint64_t> box(std::uint64_t first, std::uint32_t rows, std::uint32_t columns) const {
    std::vector<std::uint64_t> sum(std::size_t{rows} * columns);
    for (std::uint64_t block = 0; block < std::uint64_t{2} * tallies.shape.joint_groups.total(); ++block) {
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += tallies.counters[first + block * sum.size() + i];
    }
    return sum;
  }
};

std::uint64_t sum_of(const std::vector<std::uint64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

/// Row and column of the only count.
std::pair<std::uint32_t, std::uint32_t> only(const std::vector<std::uint64_t>& box, std::uint32_t columns) {
  EXPECT_EQ(sum_of(box), 1U);
  const auto at = static_cast<std::uint32_t>(std::max_element(box.begin(), box.end()) - box.begin());
  return {at / columns, at % columns};
}

// A single pass over a single layer is one count in each histogram: what is found where follows from the two of one
// tier, which the oracle confirms elsewhere.
TEST(NestedTallies, OnePassIsCountedWhereItsTwoTiersSay) {
  TableSpec spec;
  spec.layers = 1;
  spec.lengths = {30, 25, 40, 20, 33, 28, 26, 31, 22, 35};
  spec.skew = 0.9;
  const RoutingTable table = random_table(spec);
  for (const Policy policy : {Policy::static_residents, Policy::lru}) {
    Study study = nested_study(policy);
    study.rounds = 1;
    study.warmup = policy == Policy::lru ? 2 : 0;
    const Plan plan = nested_plan(study, table);
    int in_all = 0, counted = 0;
    for (std::uint64_t number = 0; number < 100; ++number) {
      const Counted one(plan, table, number, number + 1);
      const auto far = one.box(one.far.verify, one.far.rows, one.far.columns);
      if (sum_of(far) == 0) continue;  // fresh starts that do not fit
      ++counted;
      const auto [far_hits, misses] = only(far, one.far.columns);
      const std::uint32_t near_hits =
          only(one.box(one.near.verify, one.near.rows, one.near.columns), one.near.columns).first;
      const auto passes = one.box(one.nested.passes, one.nested.rows, one.nested.columns);
      EXPECT_EQ(only(passes, one.nested.columns), std::pair(far_hits - near_hits, misses));
      const auto nearer = one.box(one.nested.near_hits, one.nested.rows, one.nested.columns);
      EXPECT_EQ(sum_of(nearer), near_hits);
      EXPECT_EQ(std::inner_product(passes.begin(), passes.end(), nearer.begin(), std::uint64_t{0}), near_hits);
      in_all += near_hits > 0 && far_hits > near_hits && misses > 0 ? 1 : 0;
    }
    EXPECT_GT(counted, 50);
    EXPECT_GT(in_all, 10);
  }
}

TEST(NestedTallies, TheirMarginsAreTheHistogramsOfEachTier) {
  const RoutingTable table = small_table();
  for (const Mode mode : {Mode::random, Mode::exhaustive}) {
    for (const Policy policy : {Policy::static_residents, Policy::lru}) {
      if (mode == Mode::exhaustive && policy == Policy::lru) continue;
      Study study = nested_study(policy);
      study.mode = mode;
      if (mode == Mode::exhaustive) study.grid.batch = {1};
      const std::uint32_t batch = study.grid.batch.front();
      const Plan plan =
          make_plan(study, make_grid(study, {{batch, false, kNear, 8, {}}, {batch, false, kFar, 8, kNear}}), table);
      const Counted all(plan, table, 0, plan.trajectories(50));
      const auto far = all.box(all.far.verify, all.far.rows, all.far.columns);
      const auto near = all.box(all.near.verify, all.near.rows, all.near.columns);
      const auto passes = all.box(all.nested.passes, all.nested.rows, all.nested.columns);
      const auto nearer = all.box(all.nested.near_hits, all.nested.rows, all.nested.columns);
      const std::uint32_t columns = all.nested.columns;
      ASSERT_EQ(columns, all.far.columns);
      std::uint64_t far_hits = 0, near_hits = 0, between = 0;
      for (std::uint32_t misses = 0; misses < columns; ++misses) {
        std::uint64_t by_misses[2] = {};
        for (std::uint32_t hits = 0; hits < all.far.rows; ++hits) {
          by_misses[0] += far[hits * columns + misses];
          by_misses[1] += passes[hits * columns + misses];
          far_hits += hits * far[hits * columns + misses];
          between += hits * passes[hits * columns + misses];
        }
        EXPECT_EQ(by_misses[0], by_misses[1]);
      }
      for (std::size_t i = 0; i < near.size(); ++i) near_hits += i / all.near.columns * near[i];
      EXPECT_GT(near_hits, 0U);
      EXPECT_GT(between, 0U);
      EXPECT_EQ(sum_of(nearer), near_hits);
      EXPECT_EQ(between + near_hits, far_hits);
    }
  }
}

TEST(NestedTallies, PointsThatWalkPathsOfTheirOwnHaveNone) {
  const RoutingTable table = small_table();
  Study study = nested_study(Policy::lru);
  study.acceptance.model = AcceptanceModel::coverage;
  const Grid grid = make_grid(study, {{2, false, kNear, 8, {}}, {2, false, kFar, 8, kNear}});
  for (const GridCell& cell : grid.cells) EXPECT_TRUE(cell.nested.empty());
}

}  // namespace
}  // namespace moecarlo
