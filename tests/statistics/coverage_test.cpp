#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <random>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/metrics.hpp"

namespace moecarlo {
namespace {

/// Five sequences of random routing with skewed popularity: too few for replicates, enough to differ from each other.
RoutingTable small_table() {
  RoutingTable table;
  table.layers = 2;
  table.experts = 8;
  table.top_k = 2;
  table.words = 1;
  for (const std::uint32_t length : {4U, 7U, 9U, 13U, 15U}) {
    table.sequences.push_back({table.tokens, length});
    table.tokens += length;
  }
  std::mt19937 engine(3);
  std::discrete_distribution<std::uint32_t> rank({8, 7, 6, 5, 4, 3, 2, 1});
  table.popularity.assign(table.layers * table.experts, 0);
  for (std::uint32_t i = 0; i < table.tokens * table.layers; ++i) {
    const std::uint32_t first = rank(engine);
    std::uint32_t second = rank(engine);
    while (second == first) second = rank(engine);
    table.masks.push_back(std::uint64_t{1} << first | std::uint64_t{1} << second);
    for (const std::uint32_t chosen : {first, second}) ++table.popularity[i % table.layers * table.experts + chosen];
  }
  table.split.calibration = table.split.evaluation = {0, 1, 2, 3, 4};
  return table;
}

Study small_study() {
  Study study;
  study.rounds = 4;
  study.trajectories = 640;
  study.grid.depth = {3};
  study.grid.capacity = {3};
  study.acceptance.alpha = 0.6;
  return study;
}

Tallies simulate(const Study& study, const RoutingTable& table) {
  const Plan plan = make_plan(study, make_grid(study, {}), table);
  const auto backend = make_cpu_backend(table.view(), plan, 1);
  RunOptions options;
  options.trajectories = plan.trajectories(study.trajectories);
  Tallies tallies(plan.shape);
  run(*backend, options, tallies);
  return tallies;
}

std::map<std::string, Estimate> estimates(const Tallies& tallies) {
  const MetricReader reader(tallies);
  std::map<std::string, Estimate> all;
  for (const std::string& metric : reader.names_at({0, 0, 0})) all[metric] = reader.estimate(metric, {0, 0, 0});
  all.erase("cache_writes");  // none with static residents
  return all;
}

TEST(MonteCarloIntervals, CoverTheExactValueInNinetyThreeToNinetySevenPercentOfAThousandSeeds) {
  constexpr int kSeeds = 1000;
  const RoutingTable table = small_table();
  Study study = small_study();
  study.mode = Mode::exhaustive;
  const auto exact = estimates(simulate(study, table));
  study.mode = Mode::random;
  std::map<std::string, int> covered;
  for (int seed = 1; seed <= kSeeds; ++seed) {
    study.seed = static_cast<std::uint32_t>(seed);
    for (const auto& [metric, estimate] : estimates(simulate(study, table))) {
      const double miss = std::abs(estimate.value - exact.at(metric).value);
      covered[metric] += miss <= estimate.mc_half_width.value() ? 1 : 0;
    }
  }
  ASSERT_EQ(covered.size(), 9U);
  for (const auto& [metric, count] : covered) {
    RecordProperty(metric, count);
    EXPECT_GE(count, 930) << metric;
    EXPECT_LE(count, 970) << metric;
  }
}

}  // namespace
}  // namespace moecarlo
