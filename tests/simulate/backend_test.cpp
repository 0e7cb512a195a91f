#include <fmt/format.h>
#include <gtest/gtest.h>

#include "cuda/device_backend.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "tests/shared/backend_suite.hpp"
#include "tests/simulate/drawn_ahead_on_host.hpp"
#include "tests/simulate/lru_grid_on_host.hpp"

namespace moecarlo {
namespace {

testing::Simulate on_cpu(unsigned threads, InstructionSet set) {
  return [=](const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
             std::span<std::uint64_t> counters) {
    make_cpu_backend(table.view(), plan, threads, set)->run(range, counters);
  };
}

void simulate_on_device(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                        std::span<std::uint64_t> counters) {
  make_device_backend(table.view(), plan, 0)->run(range, counters);
}

constexpr std::uint32_t kTests = 12;  // the cases are dealt to so many tests, which may run at a time

class EveryBackend : public ::testing::TestWithParam<std::uint32_t> {
 protected:
  static void expect_equals_slow_simulation(const std::vector<testing::Simulate>& ways) {
    for (std::uint32_t number = GetParam(); number < testing::kStudyCases; number += kTests) {
      testing::expect_equals_slow_simulation(testing::study_case(number), ways);
      if (HasFailure()) return;
    }
  }
  static void expect_lru_grids_equal_slow_simulation(const std::vector<testing::Simulate>& ways) {
    for (std::uint32_t number = GetParam(); number < testing::kLruGridCases; number += kTests) {
      testing::expect_equals_slow_simulation(testing::lru_grid_case(number), ways);
      if (HasFailure()) return;
    }
  }
  static void expect_agreement(const std::vector<testing::Simulate>& ways) {
    for (std::uint32_t number = GetParam(); number < testing::kElasticCases; number += kTests) {
      testing::expect_agreement(testing::elastic_case(number), ways);
      if (HasFailure()) return;
    }
  }
};

/// One thread of the baseline first.
std::vector<testing::Simulate> on_every_cpu() {
  std::vector<testing::Simulate> ways;
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::x86_64_v3, InstructionSet::x86_64_v4}) {
    if (set > best_instruction_set()) continue;
    for (const unsigned threads : {1U, 3U}) ways.push_back(on_cpu(threads, set));
  }
  return ways;
}

TEST_P(EveryBackend, CpuEqualsSlowSimulationWithEveryInstructionSetAndThreadCount) {
  expect_equals_slow_simulation(on_every_cpu());
}

TEST_P(EveryBackend, CpuAgreesWithItselfOnElasticStudies) {
  expect_agreement(on_every_cpu());
}

TEST_P(EveryBackend, CpuAgreesWithRoutingDrawnAheadOnElasticStudies) {
  expect_agreement({on_cpu(1, best_instruction_set()), testing::simulate_drawn_ahead});
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
    testing::expect_equals_slow_simulation(one, {on_cpu(1, best_instruction_set())});
  }
}

TEST_P(EveryBackend, CpuEqualsSlowSimulationOnLruGrids) {
  expect_lru_grids_equal_slow_simulation({on_cpu(1, best_instruction_set()), testing::simulate_lru_grids});
}

TEST_P(EveryBackend, DeviceEqualsSlowSimulationOnLruGrids) {
  std::string why_not;
  if (device_count(why_not) == 0) GTEST_SKIP() << why_not;
  expect_lru_grids_equal_slow_simulation({simulate_on_device});
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

TEST_P(EveryBackend, DeviceEqualsSlowSimulation) {
  std::string why_not;
  if (device_count(why_not) == 0) GTEST_SKIP() << why_not;
  expect_equals_slow_simulation({simulate_on_device});
}

TEST_P(EveryBackend, DeviceEqualsCpuOnElasticStudies) {
  std::string why_not;
  if (device_count(why_not) == 0) GTEST_SKIP() << why_not;
  expect_agreement({on_cpu(1, InstructionSet::baseline), simulate_on_device});
}

INSTANTIATE_TEST_SUITE_P(RandomStudies, EveryBackend, ::testing::Range(0U, kTests));

}  // namespace
}  // namespace moecarlo
