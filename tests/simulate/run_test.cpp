#include "host/simulate/run.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <thread>

#include "host/support/error.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;
using ::testing::ElementsAre;

/// Remembers what it was asked to simulate; counts each main trajectory once.
class RecordingBackend final : public Backend {
 public:
  std::string name() const override { return "recording"; }
  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters, const std::function<bool()>&) override {
    EXPECT_EQ(range.cell, TrajectoryRange::kAllCells);
    std::uint64_t& done = next[range.stream];
    EXPECT_EQ(range.first, done) << "a trajectory left out or simulated twice";
    done = range.last;
    counters[0] += range.last - range.first;
    return true;
  }
  std::map<Stream, std::uint64_t> next;
};

TallyShape shape_of(std::vector<std::uint32_t> batches, Walk walk = Walk::episodes) {
  TallyShape shape;
  shape.walk = walk;
  shape.layers = 1;
  shape.experts = 4;
  shape.top_k = 1;
  shape.groups = {64, 64, 64};
  shape.joint_groups = {16, 16, 64};
  for (const std::uint32_t batch : batches)
    shape.cells.push_back({batch, 0, {Policy::lru}, {{1, 0}}, {false}, {}, 0, {}, {}});
  return shape;
}

std::vector<std::uint64_t> checks(std::uint64_t from, std::uint64_t cap) {
  RecordingBackend backend;
  Tallies tallies(shape_of({1}, Walk::samples));
  tallies.trajectories = from;
  tallies.replicate_trajectories = replicate_share(from, tallies.shape.groups);
  backend.next[Stream::main] = from;
  backend.next[Stream::replicates] = tallies.replicate_trajectories;
  std::vector<std::uint64_t> looked;
  RunOptions options;
  options.trajectories = cap;
  options.satisfied = [&](const Tallies& now) {
    looked.push_back(now.trajectories);
    return false;
  };
  EXPECT_EQ(run(backend, options, tallies), RunEnd::finished);
  EXPECT_EQ(tallies.trajectories, cap);
  return looked;
}

/// Fails in its third pass, as a device does that is lost.
class FailingBackend final : public Backend {
 public:
  std::string name() const override { return "failing"; }
  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters, const std::function<bool()>&) override {
    counters[0] += range.last - range.first;
    if (range.stream == Stream::main && ++passes == 3) fail(ErrorKind::machine, "lost");
    return true;
  }
  int passes = 0;
};

TEST(Run, leaves_whole_passes_when_the_backend_fails) {
  FailingBackend backend;
  TallyShape shape = shape_of({1}, Walk::samples);
  shape.groups.replicates = shape.groups.populations = 0;
  Tallies tallies(shape);
  RunOptions options;
  options.trajectories = 1'000'000;
  EXPECT_THROW(run(backend, options, tallies), Error);
  EXPECT_GT(tallies.trajectories, 0U);
  EXPECT_EQ(tallies.counters[0], tallies.trajectories);
}

/// Every run costs the same, whatever its length, as where a trace has to be brought to a device.
class FixedCostBackend final : public Backend {
 public:
  std::string name() const override { return "fixed cost"; }
  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters, const std::function<bool()>&) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(260));
    counters[0] += range.last - range.first;
    ++runs;
    return true;
  }
  int runs = 0;
};

TEST(Run, grows_its_passes_while_a_cost_that_is_fixed_outweighs_the_rest) {
  FixedCostBackend backend;
  TallyShape shape = shape_of({1}, Walk::samples);
  shape.groups.replicates = shape.groups.populations = 0;
  Tallies tallies(shape);
  RunOptions options;
  options.trajectories = 31 * 1024;
  EXPECT_EQ(run(backend, options, tallies), RunEnd::finished);
  EXPECT_EQ(tallies.counters[0], 31U * 1024);
  EXPECT_LE(backend.runs, 8) << "5 where the clock runs evenly";
}

TEST(Run, simulates_every_trajectory_in_one_shard) {
  const TallyShape shape = shape_of({1, 4});
  for (const std::uint64_t trajectories : {1U, 3U, 10U, 5000U}) {  // of three, a shard has replicates alone
    RecordingBackend backend;  // expects the first trajectory of a shard to follow the last one of the shard before
    std::uint64_t main = 0, replicates = 0;
    for (std::uint32_t index = 0; index < 5; ++index) {
      Tallies tallies(shape);
      tallies.shard = {index, 5};
      RunOptions options;
      options.trajectories = trajectories;
      EXPECT_EQ(run(backend, options, tallies), RunEnd::finished);
      main += tallies.trajectories;
      replicates += tallies.replicate_trajectories;
    }
    EXPECT_EQ(main, trajectories);
    EXPECT_EQ(replicates, replicate_share(trajectories, shape.groups));
    EXPECT_EQ(backend.next[Stream::main], trajectories);
    EXPECT_EQ(backend.next[Stream::replicates], replicates);
  }
}

TEST(StopRule, looks_only_at_4096_times_powers_of_two) {
  EXPECT_THAT(checks(0, 40'000), ElementsAre(4096, 8192, 16384, 32768));
  EXPECT_THAT(checks(0, 4095), ElementsAre());
  EXPECT_THAT(checks(0, 4096), ElementsAre(4096));
}

TEST(StopRule, looks_at_the_same_numbers_after_a_resumption) {
  EXPECT_THAT(checks(5000, 20'000), ElementsAre(8192, 16384));
  EXPECT_THAT(checks(777, 9000), ElementsAre(4096, 8192));
}

TEST(StopRule, ends_the_run_when_satisfied) {
  RecordingBackend backend;
  Tallies tallies(shape_of({1}, Walk::samples));
  RunOptions options;
  options.trajectories = 100'000;
  options.satisfied = [](const Tallies& now) { return now.trajectories >= 8192; };
  EXPECT_EQ(run(backend, options, tallies), RunEnd::finished);
  EXPECT_EQ(tallies.trajectories, 8192U);
}

TEST(Replicates, are_two_in_five_in_whole_turns_over_all_halves) {
  const GroupLayout groups{64, 64, 64};
  EXPECT_EQ(replicate_share(0, groups), 0U);
  EXPECT_EQ(replicate_share(5, groups), 128U);
  EXPECT_EQ(replicate_share(320, groups), 128U);
  EXPECT_EQ(replicate_share(325, groups), 256U);
  EXPECT_EQ(replicate_share(100'000, groups), 40'064U);
  EXPECT_EQ(replicate_share(100'000, {64, 0, 0}), 0U);
}

TEST(Replicates, of_a_smaller_batch_are_as_many_more_as_the_batch_is_smaller) {
  Study study = small_study();
  study.grid.batch = {1, 4, 16};
  study.grid.depth = {2};
  const RoutingTable table = small_table();
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  for (const std::uint32_t cell : {0U, 1U, 2U}) {
    const std::uint64_t each = 16 / plan.layout.cells[cell].batch;
    const TrajectoryRange replicates = TrajectoryRange{Stream::replicates, 3, 8}.in(plan.view(), cell);
    EXPECT_EQ(replicates.first, 3 * each);
    EXPECT_EQ(replicates.last, 8 * each);
    EXPECT_EQ(replicates.cell, cell);
    const TrajectoryRange main = TrajectoryRange{Stream::main, 3, 8}.in(plan.view(), cell);
    EXPECT_EQ(main.first, 3U);
    EXPECT_EQ(main.last, 8U);
  }
}

TEST(Run, resumed_from_any_checkpoint_equals_one_go) {
  const RoutingTable table = small_table();
  const Study study = small_study();
  const Tallies whole = simulate(study, table, 3000);
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  Tallies resumed(plan.shape);
  for (const std::uint64_t cap : {1U, 900U, 2048U, 3000U}) {
    RunOptions options;
    options.trajectories = cap;
    const auto backend = make_cpu_backend(table.view(), plan, 2);  // each part of the run with a backend of its own
    EXPECT_EQ(run(*backend, options, resumed), RunEnd::finished);
  }
  EXPECT_EQ(resumed.counters, whole.counters);
  EXPECT_EQ(resumed.trajectories, whole.trajectories);
  EXPECT_EQ(resumed.replicate_trajectories, whole.replicate_trajectories);
}

TEST(Run, interrupted_returns_early_with_the_tallies_of_what_was_done) {
  const RoutingTable table = small_table();
  const Study study = small_study();
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  const auto backend = make_cpu_backend(table.view(), plan, 2);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = 1'000'000;
  options.interrupted = [&] { return tallies.trajectories >= 2000; };
  EXPECT_EQ(run(*backend, options, tallies), RunEnd::interrupted);
  EXPECT_GE(tallies.trajectories, 2000U);
  EXPECT_LT(tallies.trajectories, 10'000U);
  EXPECT_EQ(tallies.counters, simulate(study, table, tallies.trajectories).counters);
}

TEST(Run, tells_its_progress_and_does_nothing_when_finished) {
  RecordingBackend backend;
  Tallies tallies(shape_of({1}));
  std::vector<std::uint64_t> told;
  RunOptions options;
  options.trajectories = 2500;
  options.progress = [&](std::uint64_t done) { told.push_back(done); };
  run(backend, options, tallies);
  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back(), 2500U);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  told.clear();
  EXPECT_EQ(run(backend, options, tallies), RunEnd::finished);
  EXPECT_TRUE(told.empty());
}

}  // namespace
}  // namespace moecarlo
