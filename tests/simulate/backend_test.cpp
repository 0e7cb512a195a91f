#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cuda/device_backend.hpp"
#include "tests/simulate/engines.hpp"

namespace moecarlo {
namespace {

using testing::on_cpu;
using testing::on_every_cpu;

void simulate_on_device(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                        std::span<std::uint64_t> counters) {
  make_device_backend(table.view(), plan, 0)->run(range, counters);
}

constexpr std::uint32_t kTests = 12;  // the cases are dealt to so many tests, which may run at a time

class EveryBackend : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  /// Each way adds the integers of the first one, in every study of every kind.
  static void expect_same_integers(const std::vector<testing::Simulate>& ways) {
    expect_same_integers(testing::study_case, testing::kStudyCases, ways);
    expect_same_integers(testing::elastic_case, testing::kElasticCases, ways);
  }
  static void expect_same_integers(testing::StudyCase (*of)(std::uint32_t), std::uint32_t count,
                                   const std::vector<testing::Simulate>& ways) {
    for (std::uint32_t number = GetParam(); number < count && !HasFailure(); number += kTests) {
      testing::expect_same_integers(of(number), ways);
    }
  }
};

TEST_P(EveryBackend, AddsTheSameIntegersWithEveryInstructionSetAndThreadCount) {
  expect_same_integers(on_every_cpu());
}

TEST_P(EveryBackend, AddsTheSameIntegersInEveryForm) {
  expect_same_integers({on_cpu(1, InstructionSet::baseline), testing::simulate_drawn_ahead, testing::simulate_bundles});
}

// Layers fill more than half of the lanes that are taken; all of them where routing is drawn in every lane.
TEST(InstructionSets, AreAsWideAsThereAreLayersFor) {
  Cell cell;
  PlanView plan;
  plan.walk = Walk::episodes;
  plan.cells = {&cell, 1};
  plan.cell_count = 1;
  const auto set_of = [&](std::uint32_t layers) {
    RoutingView routing;
    routing.layers = layers;
    routing.experts = 64;
    return set_for(InstructionSet::x86_64_v4, routing, plan);
  };
  using enum InstructionSet;
  const std::vector<InstructionSet> expected{baseline, baseline, x86_64_v3, x86_64_v3, x86_64_v4, x86_64_v4};
  for (std::uint32_t layers = 1; layers <= 6; ++layers) EXPECT_EQ(set_of(layers), expected[layers - 1]) << layers;
  const auto expect_full = [&] {
    EXPECT_EQ(set_of(3), baseline);
    EXPECT_EQ(set_of(7), x86_64_v3);
    EXPECT_EQ(set_of(8), x86_64_v4);
  };
  cell.depth = 2;
  cell.tree.width = 2;
  expect_full();
  cell = {};
  const std::int32_t logit = 0;
  plan.perturb.logits = &logit;
  expect_full();
}

/// Of a table that the widest vectors take.
testing::StudyCase case_for_vectors() {
  for (std::uint32_t number = 0;; ++number) {
    testing::StudyCase one = testing::study_case(number);
    if (one.table.layers >= 8 && one.table.experts >= 8 && one.table.experts <= 64) return one;
  }
}

// A byte counts the uses of an expert in a list of bytes, as long as episodes are short enough for that.
TEST(LongEpisodes, CountEveryUseOfAnExpert) {
  for (const std::uint32_t rounds : {254U, 255U, 280U}) {
    testing::StudyCase one = case_for_vectors();
    one.description = fmt::format("{} rounds", rounds);
    one.implied.clear();
    one.sources = {};
    one.study.mode = Mode::random;
    one.study.acceptance = {};
    one.study.cache.scope = Scope::layer;
    one.study.warmup = 0;
    one.study.start = Start::warm;  // one use more
    one.study.rounds = rounds;
    one.study.grid = {};
    one.study.grid.batch = {4};  // nearly every expert in nearly every pass
    one.study.grid.depth = {4};
    one.study.grid.policy = {Policy::lfu};
    one.study.grid.capacity = {one.table.experts - 2};
    testing::expect_same_integers(one, {on_cpu(1, InstructionSet::baseline), on_cpu(1, best_instruction_set())});
  }
}

TEST_P(EveryBackend, AddsTheSameIntegersOnLruGrids) {
  expect_same_integers(testing::lru_grid_case, testing::kLruGridCases,
                       {on_cpu(1, InstructionSet::baseline), testing::simulate_lru_grids});
}

TEST_P(EveryBackend, OnADeviceAddsTheSameIntegersOnLruGrids) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  expect_same_integers(testing::lru_grid_case, testing::kLruGridCases,
                       {on_cpu(1, InstructionSet::baseline), simulate_on_device});
}

TEST(LruGridCases, reach_the_kernel_of_their_own) {
  std::uint32_t grids = 0;
  for (std::uint32_t number = 0; number < testing::kLruGridCases; ++number) {
    const testing::StudyCase one = testing::lru_grid_case(number);
    const Plan plan =
        make_plan(one.study, make_grid(one.study, one.implied, {one.table.layers}), one.table, one.sources);
    grids += testing::has_lru_grid(one.table, plan) ? 1 : 0;
  }
  EXPECT_GE(grids, testing::kLruGridCases / 4 * 3);
}

TEST_P(EveryBackend, OnADeviceAddsTheSameIntegers) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  expect_same_integers({on_cpu(1, InstructionSet::baseline), simulate_on_device});
}

INSTANTIATE_TEST_SUITE_P(RandomStudies, EveryBackend, ::testing::Range(0U, kTests));

}  // namespace
}  // namespace moecarlo
