#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "host/simulate/cpu_backend.hpp"
#include "host/simulate/run.hpp"
#include "host/statistics/metrics.hpp"
#include "tests/shared/environment.hpp"
#include "tests/shared/random_table.hpp"
#include "tests/statistics/batch_truth.hpp"

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
  all.erase("cache_writes");  // none with static residents, by definition
  return all;
}

/// How often 95 % happens in so many trials, but for one time in a thousand.
std::pair<int, int> binomial_range(int trials) {
  const auto log_factorial = [](int n) { return std::lgamma(n + 1.0); };
  const auto probability = [&](int count) {
    return std::exp(log_factorial(trials) - log_factorial(count) - log_factorial(trials - count) +
                    count * std::log(0.95) + (trials - count) * std::log(0.05));
  };
  int low = 0, high = trials;
  for (double below = probability(low); below < 0.0005; below += probability(++low)) {
  }
  for (double above = probability(high); above < 0.0005; above += probability(--high)) {
  }
  return {low, high};
}

// MOECARLO_COVERAGE_SEEDS: seeds of this test and of the next.
TEST(MonteCarloIntervals, CoverTheExactValueInNinetyFivePercentOfTheSeeds) {
  const auto seeds = static_cast<int>(testing::parameter("MOECARLO_COVERAGE_SEEDS", 200));
  const RoutingTable table = small_table();
  Study study = small_study();
  study.mode = Mode::exhaustive;
  const auto exact = estimates(simulate(study, table));
  study.mode = Mode::random;
  std::map<std::string, int> covered;
  for (int seed = 1; seed <= seeds; ++seed) {
    study.seed = static_cast<std::uint32_t>(seed);
    for (const auto& [metric, estimate] : estimates(simulate(study, table))) {
      const double miss = std::abs(estimate.value - exact.at(metric).value);
      covered[metric] += miss <= estimate.mc_half_width.value() ? 1 : 0;
    }
  }
  ASSERT_EQ(covered.size(), 9U);
  const auto [low, high] = seeds < 1000 ? binomial_range(seeds) : std::pair(93 * seeds / 100, 97 * seeds / 100);
  for (const auto& [metric, count] : covered) {
    RecordProperty(metric, count);
    EXPECT_TRUE(count >= low && count <= high) << metric << ": " << count;
  }
}

/// A batch of 64 on sequences of 24 tokens: many cells are walked as episodes.
struct BatchStudy {
  static constexpr std::uint32_t kCapacity = 20;
  static constexpr double kAlpha = 0.6;
  RoutingTable table;
  Study study;

  BatchStudy() {
    testing::TableSpec spec;
    spec.lengths.assign(7, 24);  // too few for replicates, which are not looked at here
    spec.experts = 64;           // so many that even the largest unions leave some out
    spec.skew = 0.5;
    spec.repeat = 0.3;
    table = testing::random_table(spec);
    study.rounds = 8;  // as many as draft steps, each of which is counted equally often
    study.trajectories = 320;
    study.grid.batch = {1, 2, 16, 64};
    study.grid.depth = {0, 1, 4, 8};
    study.grid.capacity = {kCapacity};
    study.acceptance.alpha = kAlpha;
  }
};

/// Whether a mean is far enough from the least and the most that a round can count: where it is not, samples rarely see
/// anything else.
bool is_open(const std::string& metric, const std::map<std::string, double>& truth) {
  const double experts = 64, capacity = BatchStudy::kCapacity;
  const std::map<std::string, double> most = {{"distinct_experts", experts},
                                              {"distinct_experts_accepted", experts},
                                              {"hits", capacity},
                                              {"misses", experts - capacity},
                                              {"rejected_only", experts - capacity}};
  if (metric == "hit_rate") return is_open("misses", truth) || is_open("hits", truth);
  const auto bound = most.find(metric);
  return bound == most.end() || (truth.at(metric) > 0.1 && truth.at(metric) < bound->second - 0.1);
}

TEST(MonteCarloIntervals, CoverTheEnumeratedTruthOfEveryBatchAndDepthThinCellsIncluded) {
  const auto seeds = static_cast<int>(testing::parameter("MOECARLO_COVERAGE_SEEDS", 150));
  BatchStudy one;
  using Key = std::pair<std::size_t, std::string>;   // cell, metric
  std::vector<std::map<std::string, double>> truth;  // [cells]
  std::map<Key, int> covered;
  std::size_t apart = 0;
  for (int seed = 1; seed <= seeds; ++seed) {
    one.study.seed = static_cast<std::uint32_t>(seed);
    const Tallies tallies = simulate(one.study, one.table);
    const MetricReader reader(tallies);
    for (std::size_t cell = 0; cell < tallies.shape.cells.size(); ++cell) {
      const CellShape& shape = tallies.shape.cells[cell];
      if (seed == 1) {
        apart += shape.apart ? 1 : 0;
        truth.push_back(testing::batch_truth(one.table, shape, BatchStudy::kCapacity, BatchStudy::kAlpha));
      }
      for (const std::string& metric : reader.names_at({cell, 0, 0})) {
        const Estimate estimate = reader.estimate(metric, {cell, 0, 0});
        const double miss = std::abs(estimate.value - truth[cell].at(metric));
        if (estimate.mc_half_width.is_exact()) {
          EXPECT_LT(miss, 1e-9) << metric;
        } else if (is_open(metric, truth[cell])) {
          ASSERT_TRUE(estimate.mc_half_width) << metric << " of batch " << shape.batch << ", depth " << shape.depth;
          covered[{cell, metric}] += miss <= *estimate.mc_half_width ? 1 : 0;
        }
      }
    }
  }
  EXPECT_GE(apart, 4U);
  ASSERT_GE(covered.size(), 100U);
  const auto [low, high] = binomial_range(seeds);
  double all = 0;
  std::set<std::size_t> cells;
  for (const auto& [key, count] : covered) {
    EXPECT_TRUE(count >= low && count <= high) << key.second << " of cell " << key.first << ": " << count;
    cells.insert(key.first);
    all += count;
  }
  EXPECT_EQ(cells.size(), 16U);
  const double share = all / (seeds * static_cast<double>(covered.size()));
  RecordProperty("pooled", std::to_string(share));
  EXPECT_GE(share, 0.93);
  EXPECT_LE(share, 0.97);
}

}  // namespace
}  // namespace moecarlo
