#include <gtest/gtest.h>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/metrics.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo {
namespace {

Tallies simulate(const Study& study, const RoutingTable& table) {
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(study.trajectories);
  run(*make_cpu_backend(table.view(), plan, 1), options, tallies);
  return tallies;
}

testing::TableSpec many_sequences() {
  testing::TableSpec spec;
  spec.lengths.clear();
  for (std::uint32_t s = 0; s < 60; ++s) spec.lengths.push_back(10 + s * 7 % 31);
  spec.skew = 0.9;
  spec.repeat = 0.5;
  return spec;
}

// The trace interval of samples of one request is that of the bootstrap over the enumerated sequences.
TEST(TraceInterval, OfStatelessSamplesOfOneRequestIsTheBootstrapsAndNeverMissing) {
  const RoutingTable table = testing::random_table(many_sequences());
  Study study;
  study.grid.depth = {0, 2, 5};
  study.grid.capacity = {3, 8};
  study.acceptance.alpha = 0.6;
  study.trajectories = 2048;
  const Tallies sampled = simulate(study, table);
  ASSERT_EQ(sampled.shape.population_starts.size(), 48U);
  study.mode = Mode::exhaustive;
  const Tallies counted = simulate(study, table);
  const MetricReader samples(sampled), exact(counted);
  for (std::size_t cell = 0; cell < counted.shape.cells.size(); ++cell) {
    for (std::uint32_t capacity = 0; capacity < 2; ++capacity) {
      for (const std::string& metric : samples.names_at({cell, 0, capacity})) {
        const Estimate sample = samples.estimate(metric, {cell, 0, capacity});
        const Estimate truth = exact.estimate(metric, {cell, 0, capacity});
        SCOPED_TRACE(metric);
        EXPECT_EQ(sample.trace_half_width.is_exact(), truth.trace_half_width.is_exact());
        if (truth.trace_half_width.is_exact()) continue;
        ASSERT_TRUE(sample.trace_half_width);
        // Of 48 parts a standard deviation is known to a tenth.
        EXPECT_NEAR(*sample.trace_half_width / *truth.trace_half_width, 1, 0.4);
      }
    }
  }
}

// Replicates of a few sequences each are scaled to the trace: with static residents their interval is known exactly.
TEST(TraceInterval, OfEpisodesIsThatOfStaticResidentsByEnumeration) {
  const RoutingTable table = testing::random_table(many_sequences());
  Study study;
  study.grid.depth = {0, 2, 5};
  study.grid.capacity = {3, 8};
  study.grid.policy = {Policy::static_residents, Policy::lru};
  study.acceptance.alpha = 0.6;
  study.trajectories = 16384;
  const Tallies sampled = simulate(study, table);
  ASSERT_EQ(sampled.shape.walk, Walk::episodes);
  ASSERT_EQ(sampled.shape.subset, 16U);
  study.mode = Mode::exhaustive;
  study.grid.policy = {Policy::static_residents};
  const Tallies counted = simulate(study, table);
  const MetricReader samples(sampled), exact(counted);
  std::size_t compared = 0;
  for (std::size_t cell = 0; cell < counted.shape.cells.size(); ++cell) {
    for (std::uint32_t capacity = 0; capacity < 2; ++capacity) {
      for (const std::string& metric : exact.names_at({cell, 0, capacity})) {
        SCOPED_TRACE(metric);
        const Margin truth = exact.estimate(metric, {cell, 0, capacity}).trace_half_width;
        const Margin margin = samples.estimate(metric, {cell, 0, capacity}).trace_half_width;
        EXPECT_EQ(margin.is_exact(), truth.is_exact());
        if (!margin || margin.is_exact()) continue;  // sequences of random routing hardly differ in some metrics
        EXPECT_NEAR(*margin / *truth, 1, 0.35);
        ++compared;
      }
    }
  }
  EXPECT_GE(compared, 20U);
}

TEST(TraceInterval, OfAReplayIsTheBootstrapOverItsSequencesWhateverThePolicy) {
  const RoutingTable table = testing::random_table(many_sequences());
  Study study;
  study.mode = Mode::replay;
  study.grid.depth = {3};
  study.grid.policy = {Policy::static_residents, Policy::lru, Policy::hotness};
  study.grid.capacity = {3, 8};
  study.acceptance.alpha = 0;
  const Tallies tallies = simulate(study, table);
  const MetricReader reader(tallies);
  for (std::uint32_t policy = 0; policy < 3; ++policy) {
    for (const char* const metric : {"hit_rate", "misses", "distinct_experts", "rejected_only", "draft_coverage"}) {
      const Estimate estimate = reader.estimate(metric, {0, policy, 0});
      EXPECT_TRUE(estimate.mc_half_width.is_exact()) << metric;
      ASSERT_TRUE(estimate.trace_half_width) << metric;
      EXPECT_GT(*estimate.trace_half_width, 0) << metric;
    }
  }
}

}  // namespace
}  // namespace moecarlo
