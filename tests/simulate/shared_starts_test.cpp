#include "host/simulate/shared_starts.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// Static residents alone, so that rounds may draw fresh starts.
Study stateless_study(std::vector<std::uint32_t> batches, std::vector<std::uint32_t> depths) {
  Study study = small_study();
  study.grid.policy = {Policy::static_residents};
  study.grid.batch = std::move(batches);
  study.grid.depth = std::move(depths);
  return study;
}

RoutingTable table_of(std::vector<std::uint32_t> lengths) {
  TableSpec spec;
  spec.lengths = std::move(lengths);
  return random_table(spec);
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> cells_apart(const Plan& plan) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> cells;
  for (const std::uint32_t c : plan.cells_apart())
    cells.emplace_back(plan.layout.cells[c].batch, plan.layout.cells[c].depth);
  return cells;
}

TEST(SharedStarts, of_equal_sequences_fit_with_the_power_of_one_request) {
  const std::vector<double> shares = shares_that_fit(std::vector<std::uint32_t>(40, 24), 4, 64);
  for (std::uint32_t batch = 1; batch <= 64; ++batch) {
    EXPECT_NEAR(shares[batch - 1], std::pow(20.0 / 24, batch), 1e-12) << batch;
  }
}

TEST(SharedStarts, fit_as_often_as_simulation_shows) {
  const RoutingTable table = table_of({30, 12, 45, 9, 60, 25, 14, 38, 22, 17});
  const Study study = stateless_study({1, 2, 3, 5, 8}, {0, 2, 3, 6});
  const std::uint64_t trajectories = 3000;
  const Tallies tallies = simulate(study, table, trajectories, 2);
  ASSERT_EQ(tallies.shape.walk, Walk::samples);
  std::vector<std::uint32_t> lengths;
  for (const Sequence& sequence : table.sequences) lengths.push_back(sequence.length);
  std::size_t compared = 0;
  for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
    const CellShape& cell = tallies.shape.cells[c];
    if (cell.apart) continue;
    const double counted = sum_of(tallies, tallies.layout.cells[c].rounds, kGroups);
    const double share = counted / static_cast<double>(trajectories * study.rounds);
    EXPECT_NEAR(shares_that_fit(lengths, cell.depth, 8)[cell.batch - 1], share, 0.03)
        << "batch " << cell.batch << ", depth " << cell.depth;
    EXPECT_GT(share, 0.3);
    ++compared;
  }
  EXPECT_GE(compared, 12U);
}

TEST(CellsApart, are_those_that_a_third_of_the_rounds_would_not_fit) {
  const RoutingTable table = table_of(std::vector<std::uint32_t>(200, 24));
  const Study study = stateless_study({1, 4, 16, 64}, {0, 1, 4, 8});
  // 20 of 24 starts have 4 tokens ahead, 16 have 8, 23 have 1: (20 / 24)^4 is 0.48, (16 / 24)^4 0.20.
  EXPECT_THAT(cells_apart(make_plan(study, make_grid(study, {}), table)),
              ::testing::ElementsAre(std::pair(4U, 8U), std::pair(16U, 4U), std::pair(16U, 8U), std::pair(64U, 1U),
                                     std::pair(64U, 4U), std::pair(64U, 8U)));
}

// Each runs alone, so that threads share it out and count in places of their own.
TEST(CellsApart, take_counters_for_every_thread) {
  const RoutingTable table = table_of(std::vector<std::uint32_t>(200, 24));
  const Study study = stateless_study({1, 4, 16, 64}, {0, 1, 4, 8});
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  const std::uint64_t counters = plan.layout.size * sizeof(std::uint64_t);
  const std::uint64_t one = cpu_backend_bytes(table.view(), plan, 1), three = cpu_backend_bytes(table.view(), plan, 3);
  EXPECT_EQ(three, 3 * one + (2 + 2) * counters);  // beside the caller's: of samples, and of cells apart
}

TEST(CellsApart, are_those_whose_requests_could_not_be_kept_apart_at_their_depth) {
  std::vector<std::uint32_t> lengths(8, 400);
  lengths.insert(lengths.end(), 30, 2);  // hardly any start, and none at depth 2
  const Study study = stateless_study({4, 5}, {0, 2});
  const Plan plan = make_plan(study, make_grid(study, {}), table_of(lengths));
  EXPECT_THAT(cells_apart(plan), ::testing::ElementsAre(std::pair(5U, 2U)));
}

TEST(CellsApart, make_episodes_of_the_whole_study_where_no_other_is_left) {
  const RoutingTable table = table_of(std::vector<std::uint32_t>(9, 24));
  const Study study = stateless_study({64}, {4});
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  EXPECT_EQ(plan.walk, Walk::episodes);
  EXPECT_TRUE(plan.cells_apart().empty());
}

/// 64 requests on 20 sequences of 24 tokens at depth 4: six rounds in a million would fit.
TEST(CellsApart, count_every_round_and_as_the_other_cells_for_any_threads_and_shards) {
  const RoutingTable table = table_of(std::vector<std::uint32_t>(20, 24));
  const Study study = stateless_study({1, 64}, {0, 4});
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  ASSERT_THAT(cells_apart(plan), ::testing::ElementsAre(std::pair(64U, 4U)));
  constexpr std::uint64_t kTrajectories = 200;
  const Tallies whole = simulate(study, table, kTrajectories, 1);
  EXPECT_EQ(sum_of(whole, whole.layout.cells[3].rounds, kGroups), kTrajectories * study.rounds);
  EXPECT_GT(sum_of(whole, whole.layout.cells[3].rounds + kGroups, 2 * kReplicates), 0);
  std::vector<std::uint64_t> sum(whole.counters.size(), 0);
  for (std::uint32_t index = 0; index < 3; ++index) {
    Tallies part(plan.shape);
    part.shard = {index, 3};
    RunOptions options;
    options.trajectories = kTrajectories;
    run(*make_cpu_backend(table.view(), plan, 1 + index), options, part);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part.counters[i];
  }
  EXPECT_EQ(sum, whole.counters);
}

}  // namespace
}  // namespace moecarlo
