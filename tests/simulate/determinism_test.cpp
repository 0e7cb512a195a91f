#include <gtest/gtest.h>

#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;
using Counters = std::vector<std::uint64_t>;

const std::vector<std::vector<Policy>> kPolicies = {{Policy::static_residents},
                                                    {Policy::static_residents, Policy::lru}};

TEST(Counters, are_identical_for_one_two_and_seven_threads) {
  const RoutingTable table = small_table();
  for (const auto& policies : kPolicies) {
    Study study = small_study();
    study.grid.policy = policies;
    const Counters one = simulate(study, table, 700, 1).counters;
    EXPECT_EQ(simulate(study, table, 700, 2).counters, one);
    EXPECT_EQ(simulate(study, table, 700, 7).counters, one);
  }
}

TEST(Counters, differ_under_another_seed) {
  const RoutingTable table = small_table();
  Study study = small_study();
  const Counters first = simulate(study, table, 200).counters;
  study.seed = 2;
  EXPECT_NE(simulate(study, table, 200).counters, first);
}

TEST(Counters, of_any_split_of_the_range_add_up_to_the_whole) {
  const RoutingTable table = small_table();
  for (const auto& policies : kPolicies) {
    Study study = small_study();
    study.grid.policy = policies;
    const Plan plan = make_plan(study, make_grid(study, {}), table);
    const auto backend = make_cpu_backend(table.view(), plan, 2);
    for (const Stream stream : {Stream::main, Stream::replicates}) {
      Counters whole(plan.layout.size, 0), parts(plan.layout.size, 0);
      backend->run({stream, 5, 300}, whole);
      for (const auto& [first, last] : {std::pair{150U, 151U}, {5U, 6U}, {151U, 300U}, {6U, 100U}, {100U, 150U}}) {
        backend->run({stream, first, last}, parts);
      }
      EXPECT_EQ(parts, whole);
    }
  }
}

TEST(Counters, of_the_cells_of_an_episode_study_add_up_to_the_whole) {
  const RoutingTable table = small_table();
  const Study study = small_study();
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  const auto backend = make_cpu_backend(table.view(), plan, 1);
  Counters whole(plan.layout.size, 0), parts(plan.layout.size, 0);
  backend->run({Stream::main, 0, 50}, whole);
  for (std::uint32_t cell = 0; cell < plan.layout.cells.size(); ++cell) {
    backend->run({Stream::main, 0, 50, cell}, parts);
  }
  EXPECT_EQ(parts, whole);
}

TEST(Counters, of_no_trajectory_are_zero) {
  const RoutingTable table = small_table();
  const Study study = small_study();
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  Counters counters(plan.layout.size, 0);
  make_cpu_backend(table.view(), plan, 2)->run({Stream::main, 7, 7}, counters);
  EXPECT_EQ(counters, Counters(plan.layout.size, 0));
}

// What a point counts depends on its own batch, depth, policy and capacity, not on its neighbours in the grid.
TEST(Counters, of_an_episode_cell_do_not_depend_on_the_rest_of_the_grid) {
  const RoutingTable table = small_table();
  Study wide = small_study(), narrow = small_study();
  wide.grid.capacity = {1, 2, 5, 9};
  narrow.grid.batch = {3};
  narrow.grid.depth = {2};
  narrow.grid.policy = {Policy::lru};
  const Totals in_wide = point_totals(simulate(wide, table, 100), 3, 1, 2);
  const Totals alone = point_totals(simulate(narrow, table, 100), 0, 0, 1);
  EXPECT_EQ(in_wide.hits, alone.hits);
  EXPECT_EQ(in_wide.distinct, alone.distinct);
  EXPECT_EQ(in_wide.writes, alone.writes);
  EXPECT_EQ(in_wide.rejected_only, alone.rejected_only);
  EXPECT_EQ(in_wide.draft_hits, alone.draft_hits);
}

}  // namespace
}  // namespace moecarlo
