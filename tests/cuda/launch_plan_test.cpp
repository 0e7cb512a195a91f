#include "cuda/launch_plan.hpp"

#include <gtest/gtest.h>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

/// Episodes of 48 layers with the groups of a real study; 100 words of path and 40 of scratch for a layer.
struct Fixture {
  PlanView plan;
  WorkspaceLayout layout;
  RoutingView routing{nullptr, 4096, 48, 128, 8, 4097};
  std::uint32_t layers = 48;
  DeviceRoom room{kGiB, 132, 2048, 227 << 10, 228 << 10};

  Fixture() {
    plan.groups = {64, 64, 64};
    layout.path_words = 100;
    layout.layer_words = 40;
  }
  LaunchPlan launches() const { return plan_launches(plan, layout, routing, layers, room); }
};

TEST(GroupPeriod, brings_a_trajectory_back_to_its_group_in_both_families) {
  for (const GroupLayout groups : {GroupLayout{64, 64, 64}, GroupLayout{64, 0, 0}, GroupLayout{16, 16, 64}}) {
    const std::uint32_t period = group_period(groups);
    for (std::uint64_t number = 0; number < 300; ++number) {
      EXPECT_EQ(groups.group_of(Stream::main, number), groups.group_of(Stream::main, number + period));
      if (groups.populations == 0) continue;
      EXPECT_EQ(groups.group_of(Stream::replicates, number), groups.group_of(Stream::replicates, number + period));
    }
  }
}

TEST(PlanLaunches, keeps_the_trajectories_of_a_thread_in_one_group) {
  const LaunchPlan launches = Fixture().launches();
  EXPECT_EQ(launches.in_flight % group_period({64, 64, 64}), 0U);
  EXPECT_GE(launches.in_flight * 48U, 132U * 2048U);
  EXPECT_LE(launches.in_flight, launches.per_launch);
  EXPECT_EQ(launches.layer_words, 0U) << "scratch of 40 words is in local memory";
}

TEST(PlanLaunches, fills_nine_tenths_of_the_memory_and_no_more) {
  Fixture one;
  one.layout.layer_words = kLocalWords + 1;
  for (const std::uint64_t bytes : {std::uint64_t{1} << 20, std::uint64_t{64} << 20, kGiB, 64 * kGiB}) {
    one.room.free_bytes = bytes;
    const LaunchPlan launches = one.launches();
    EXPECT_LE(launches.bytes(), bytes / 10 * 9) << bytes;
    EXPECT_GE(launches.in_flight, 1U) << bytes;
    if (launches.in_flight < group_period(one.plan.groups)) {
      EXPECT_EQ(launches.per_launch, launches.in_flight);
    }
  }
}

TEST(PlanLaunches, refuses_a_device_on_which_no_trajectory_fits) {
  Fixture one;
  one.layout.layer_words = kLocalWords + 1;
  one.room.free_bytes = 8 * (100 + 48 * 513);  // exactly one, but a tenth has to stay free
  try {
    static_cast<void>(one.launches());
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::machine);
    EXPECT_STREQ(error.what(),
                 "backend cuda: out of device memory (expected 197792 bytes for one trajectory, found 197792 free)");
  }
}

TEST(PlanLaunches, keeps_room_for_the_rows_that_are_drawn_ahead) {
  Fixture one;
  const std::int32_t logits = 0;
  one.plan.perturb.logits = &logits;
  Cell cell;
  cell.depth = 4;
  one.plan.cells = {&cell, 1};
  one.plan.cell_count = 1;
  one.plan.rounds = 8;
  LaunchPlan launches = one.launches();
  EXPECT_EQ(launches.drawn_words, std::uint64_t{launches.per_launch} * 48 * 40 * 2);  // layers, columns, words
  EXPECT_EQ(launches.column_words, std::uint64_t{launches.per_launch} * 40 * 2) << "before and after sorting";
  EXPECT_LE(launches.bytes(), kGiB / 10 * 9);
  const std::uint32_t of_all_layers = launches.per_launch;
  one.layers = 6;  // of a trace that the device does not hold
  launches = one.launches();
  EXPECT_EQ(launches.drawn_words, std::uint64_t{launches.per_launch} * 6 * 40 * 2);
  EXPECT_GT(launches.per_launch, 5 * of_all_layers);

  cell.batch = 64;
  one.plan.rounds = 1000;
  one.room.free_bytes = 4096 * kGiB;
  EXPECT_EQ(one.launches().per_launch, (1U << 27) / (6 * 5 * 64 * 1000)) << "more would only take memory";
  one.plan.rounds = 60'000;
  cell.batch = 4096;
  EXPECT_EQ(one.launches().layers, 1U);
  cell.batch = 8192;
  EXPECT_THROW(static_cast<void>(one.launches()), Error) << "more rows than numbers for them";
  one.plan.rounds = 4096;
  cell.batch = 4096;
  cell.depth = 255;
  EXPECT_THROW(static_cast<void>(one.launches()), Error) << "2^32 rows, which is none in 32 bits";
}

TEST(PlanLaunches, has_room_for_the_largest_cell_and_for_siblings_that_are_not_sorted) {
  Fixture one;
  const std::int32_t logits = 0;
  one.plan.perturb.logits = &logits;
  one.plan.rounds = 8;
  Cell cells[3];
  cells[0].depth = 1;
  cells[1].depth = 2;
  cells[1].tree.width = 3;
  cells[2].depth = 3;
  one.plan.cells = {cells, std::size(cells)};
  one.plan.cell_count = 3;
  const LaunchPlan launches = one.launches();
  const std::uint64_t trajectories = launches.per_launch;
  EXPECT_EQ(launches.drawn_words, trajectories * 48 * 8 * cells[1].columns() * 2);
  EXPECT_EQ(launches.column_words, trajectories * 8 * 4 * 2);
  EXPECT_GT(cells[1].columns(), cells[2].columns());
}

TEST(PlanLaunches, draws_for_fewer_layers_at_a_time_where_all_would_not_fit) {
  Fixture one;
  const std::int32_t logits = 0;
  one.plan.perturb.logits = &logits;
  one.plan.rounds = 14'000;
  Cell cell;
  cell.depth = 8;
  cell.batch = 64;
  one.plan.cells = {&cell, 1};
  one.plan.cell_count = 1;
  one.room.free_bytes = 2 * kGiB;  // 6.2 GB of masks
  const LaunchPlan launches = one.launches();
  EXPECT_EQ(launches.layers, 12U);
  EXPECT_EQ(launches.per_launch, 1U);
  EXPECT_LE(launches.bytes(), 2 * kGiB / 10 * 9);
}

TEST(PlanLaunches, has_no_more_threads_in_linked_lists_than_a_cache_holds) {
  Fixture one;
  Cell cell;
  cell.policy_count = cell.capacity_count = 1;
  Policy policies[] = {Policy::lru, Policy::random, Policy::lfu};
  one.plan.cells = {&cell, 1};
  one.plan.cell_count = 1;
  one.plan.policies = {policies, std::size(policies)};
  one.plan.list_words = 64;  // 512 bytes
  const std::uint32_t all = one.launches().in_flight;
  EXPECT_GE(all * 48U, 132U * 2048U) << "LRU of a layer has no lists";
  cell.first_policy = 1;
  EXPECT_EQ(one.launches().in_flight, all) << "random eviction has none";
  cell.first_policy = 0;
  cell.policy_count = 3;
  EXPECT_LE(one.launches().in_flight * 48U, 132U * 384U) << "228 KiB hold 456 lists, 3 whole blocks";
  EXPECT_GT(one.launches().in_flight * 48U, 132U * 256U);
  cell.capacity_count = 4;
  EXPECT_LE(one.launches().in_flight * 48U, 132U * 128U) << "a block is the least";
  cell.capacity_count = 8;
  EXPECT_EQ(one.launches().in_flight, all) << "too long for any cache";
}

TEST(PlanLaunches, gives_a_trajectory_of_coupled_layers_one_thread_and_all_scratch) {
  Fixture one;
  one.plan.coupled = true;
  const LaunchPlan launches = one.launches();
  EXPECT_EQ(launches.layer_words, std::uint64_t{launches.in_flight} * 48 * 40);
}

}  // namespace
}  // namespace moecarlo
