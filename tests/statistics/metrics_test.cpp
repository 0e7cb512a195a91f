#include "host/statistics/metrics.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "host/statistics/point_results.hpp"
#include "tests/statistics/tiny_tallies.hpp"

namespace moecarlo {
namespace {

using testing::ElementsAre;

constexpr std::uint64_t kPoint = 2;  // static at capacity 3 has index 1, LRU at capacity 1 index 2
constexpr PointAddress kLruAtOne{0, 1, 0};

/// Random mode: 3 rounds in group 0 and 5 in group 1. A union record is distinct experts, draft choices, gate mass,
/// accepted ones; a point record hits, upper hits, draft hits, gate mass, writes, rejected-only.
Tallies random_tallies() {
  Tallies tallies(tiny_shape(Walk::samples));
  const Cell& cell = tallies.layout.cells[0];
  tallies.trajectories = 2;
  fill(tallies, cell.rounds, {3, 5});
  fill(tallies, cell.accepted, {4, 2, 6, 4});                    // requests with a = 0 and a = 1, by group
  fill(tallies, cell.distinct, {0, 0, 0, 5, 3, 0, 0, 0, 4, 4});  // 27 in layer 0, 28 in layer 1
  fill(tallies, cell.unions_by_layer, {27, 32, 40, 20, 28, 32, 60, 22});
  fill(tallies, cell.unions_by_group, {20, 24, 50, 16, 35, 40, 50, 26});
  fill(tallies, cell.points_by_layer + kPoint * 2 * 6, {6, 0, 7, 10, 9, 5, 7, 0, 8, 20, 10, 4});
  fill(tallies, cell.points_by_group + kPoint * 2 * 6, {5, 0, 6, 14, 8, 4, 8, 0, 9, 16, 11, 5});
  return tallies;
}

/// Exhaustive mode: 10 starts in group 0 and 30 in group 1; counts that depend on the accepted length stand twice.
Tallies exhaustive_tallies() {
  TallyShape shape = tiny_shape(Walk::enumerate);
  shape.cells[0].batch = 1;
  Tallies tallies(std::move(shape));
  const Cell& cell = tallies.layout.cells[0];
  fill(tallies, cell.rounds, {10, 30});
  fill(tallies, cell.unions_by_layer, {100, 80, 0, 60, 100, 140, 80, 0, 80, 140});
  fill(tallies, cell.unions_by_group, {70, 40, 0, 40, 70, 170, 120, 0, 100, 170});
  fill(tallies, cell.points_by_layer + kPoint * 2 * 7, {30, 0, 20, 0, 0, 24, 0, 50, 0, 26, 0, 0, 16, 0});
  fill(tallies, cell.points_by_group + kPoint * 2 * 7, {20, 0, 12, 0, 0, 12, 0, 60, 0, 34, 0, 0, 28, 0});
  return tallies;
}

double value(const Tallies& tallies, const std::string& metric) {
  return MetricReader(tallies).estimate(metric, kLruAtOne).value;
}

TEST(Metrics, OfRandomTrajectoriesAreTheQuotientsOfTheirSums) {
  const Tallies tallies = random_tallies();
  EXPECT_DOUBLE_EQ(value(tallies, "accepted_length"), 6.0 / 16);  // of 8 rounds x 2 requests
  EXPECT_DOUBLE_EQ(value(tallies, "tokens_per_round"), 22.0 / 16);
  EXPECT_DOUBLE_EQ(value(tallies, "distinct_experts"), 55.0 / 16);  // over 8 rounds x 2 layers
  EXPECT_DOUBLE_EQ(value(tallies, "distinct_experts_accepted"), 42.0 / 16);
  EXPECT_DOUBLE_EQ(value(tallies, "hits"), 13.0 / 16);
  EXPECT_DOUBLE_EQ(value(tallies, "misses"), 42.0 / 16);
  EXPECT_DOUBLE_EQ(value(tallies, "hit_rate"), 13.0 / 55);
  EXPECT_DOUBLE_EQ(value(tallies, "rejected_only"), 9.0 / 16);
  EXPECT_DOUBLE_EQ(value(tallies, "draft_coverage"), 15.0 / 64);  // of 16 x 2 requests x top 2, one step a round
  EXPECT_DOUBLE_EQ(value(tallies, "draft_coverage_mass"), 30.0 / 100);
  EXPECT_DOUBLE_EQ(value(tallies, "cache_writes"), 19.0 / 16);
}

TEST(Metrics, OfExhaustiveCountsAreWeightedWithTheAcceptanceLaw) {
  const Tallies tallies = exhaustive_tallies();  // P(a = 0) = 3/4, P(a = 1) = 1/4
  EXPECT_DOUBLE_EQ(value(tallies, "accepted_length"), 0.25);
  EXPECT_DOUBLE_EQ(value(tallies, "tokens_per_round"), 1.25);
  EXPECT_DOUBLE_EQ(value(tallies, "distinct_experts"), 240.0 / 80);
  EXPECT_DOUBLE_EQ(value(tallies, "distinct_experts_accepted"), (0.75 * 140 + 0.25 * 240) / 80);
  EXPECT_DOUBLE_EQ(value(tallies, "hits"), 1.0);
  EXPECT_DOUBLE_EQ(value(tallies, "misses"), 2.0);
  EXPECT_DOUBLE_EQ(value(tallies, "hit_rate"), 80.0 / 240);
  EXPECT_DOUBLE_EQ(value(tallies, "rejected_only"), 0.75 * 40 / 80);
  EXPECT_DOUBLE_EQ(value(tallies, "draft_coverage"), 46.0 / 160);  // every one of the d = 1 steps, top 2
}

TEST(Metrics, PerLayerValuesDivideByThePassesOfOneLayer) {
  const Tallies random = random_tallies();
  const MetricReader reader(random);
  EXPECT_THAT(reader.per_layer("distinct_experts", kLruAtOne), ElementsAre(27.0 / 8, 28.0 / 8));
  EXPECT_THAT(reader.per_layer("hit_rate", kLruAtOne), ElementsAre(6.0 / 27, 7.0 / 28));
  EXPECT_THAT(reader.per_layer("misses", kLruAtOne), ElementsAre(21.0 / 8, 21.0 / 8));
  EXPECT_THAT(reader.per_layer("draft_coverage", kLruAtOne), ElementsAre(7.0 / 32, 8.0 / 32));
  EXPECT_THAT(reader.per_layer("tokens_per_round", kLruAtOne), ElementsAre());
  const Tallies exhaustive = exhaustive_tallies();
  EXPECT_THAT(MetricReader(exhaustive).per_layer("rejected_only", kLruAtOne), ElementsAre(0.45, 0.3));
}

TEST(Metrics, TheMonteCarloIntervalComesFromTheGroups) {
  const Tallies tallies = random_tallies();
  const double r = 13.0 / 55;
  const double squares = std::pow(5 - r * 20, 2) + std::pow(8 - r * 35, 2);
  const Estimate estimate = MetricReader(tallies).estimate("hit_rate", kLruAtOne);
  EXPECT_NEAR(estimate.mc_half_width.value(), student_t(1) * std::sqrt(2.0 * squares) / 55, 1e-14);
}

TEST(Metrics, FewerTrajectoriesThanGroupsGiveNoMonteCarloInterval) {
  Tallies tallies = random_tallies();
  tallies.trajectories = 1;
  EXPECT_FALSE(MetricReader(tallies).estimate("hit_rate", kLruAtOne).mc_half_width);
}

TEST(Metrics, FewerThanEightSequencesGiveNoTraceInterval) {
  const Tallies tallies = exhaustive_tallies();
  const Estimate estimate = MetricReader(tallies).estimate("hit_rate", kLruAtOne);
  EXPECT_EQ(estimate.mc_half_width, 0.0);
  EXPECT_FALSE(estimate.trace_half_width);
}

TEST(Metrics, AcceptedLengthsOweNothingToTheTrace) {
  TallyShape shape = tiny_shape(Walk::samples);
  shape.groups = {2, 2, 2};
  Tallies tallies(shape);
  tallies.trajectories = 2;
  const Cell& cell = tallies.layout.cells[0];
  fill(tallies, cell.rounds, {3, 5, 2, 2, 2, 2});
  fill(tallies, cell.accepted, {4, 2, 6, 4, 3, 1, 3, 1, 1, 3, 1, 3});
  fill(tallies, cell.unions_by_group, {9, 0, 0, 0, 15, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0, 0});
  const MetricReader reader(tallies);
  EXPECT_EQ(reader.estimate("tokens_per_round", kLruAtOne).trace_half_width, 0.0);
  EXPECT_EQ(reader.estimate("accepted_length", kLruAtOne).trace_half_width, 0.0);
  // Replicates of 1 and 2 distinct experts without any noise between their halves: variance 1/2.
  EXPECT_NEAR(reader.estimate("distinct_experts", kLruAtOne).trace_half_width.value(), student_t(1) * std::sqrt(0.5),
              1e-12);
}

Study at_depth(std::uint32_t depth) {
  Study study;
  study.grid.depth = {depth};
  return study;
}

TEST(Metrics, DraftCoverageNeedsADraft) {
  EXPECT_THAT(MetricReader::names(at_depth(1)), testing::Contains("draft_coverage"));
  EXPECT_THAT(MetricReader::names(at_depth(0)), testing::Not(testing::Contains("draft_coverage")));
  EXPECT_THAT(MetricReader::names(at_depth(0)), testing::Not(testing::Contains("draft_coverage_mass")));
  EXPECT_EQ(MetricReader::names(at_depth(0)).size() + 2, MetricReader::names(at_depth(1)).size());
}

TEST(Distributions, AreTheHistogramsDividedByTheirTotals) {
  const Tallies random = random_tallies();
  const Distribution distribution = MetricReader(random).distribution(0);
  EXPECT_THAT(distribution.accepted_length, ElementsAre(10.0 / 16, 6.0 / 16));
  EXPECT_THAT(distribution.distinct_experts, ElementsAre(0, 0, 0, 9.0 / 16, 7.0 / 16));
  const Tallies exhaustive = exhaustive_tallies();
  EXPECT_THAT(MetricReader(exhaustive).distribution(0).accepted_length, ElementsAre(0.75, 0.25));
}

Study study_of_tiny() {
  Study study;
  study.grid.batch = {2};
  study.grid.depth = {1};
  study.grid.policy = {Policy::static_residents, Policy::lru};
  study.grid.capacity = {1, 3};
  study.grid.bits = {4, 8};
  return study;
}

TEST(PointResults, HoldEveryPolicyAndCapacityOnceForEachNumberOfBits) {
  const Tallies tallies = random_tallies();
  const auto points = point_results(MetricReader(tallies), tallies, study_of_tiny());
  ASSERT_EQ(points.size(), 8U);
  std::vector<std::string> designs;
  for (const PointResult& point : points) {
    designs.push_back(point.policy + " " + std::to_string(static_cast<int>(point.capacity)) + " " +
                      std::to_string(point.bits));
    EXPECT_EQ(point.batch, 2U);
    EXPECT_EQ(point.depth, 1U);
    EXPECT_EQ(point.metrics.size(), 12U);  // the oracle's hit rate among them
  }
  EXPECT_THAT(designs, ElementsAre("static 1 4", "static 1 8", "static 3 4", "static 3 8", "lru 1 4", "lru 1 8",
                                   "lru 3 4", "lru 3 8"));
  EXPECT_DOUBLE_EQ(points[4].metrics.at("hits").estimate.value, 13.0 / 16);
}

TEST(PointResults, LeaveOutWhatOnlyHardwareAskedFor) {
  const Tallies tallies = random_tallies();
  Study study = study_of_tiny();
  study.grid.capacity = {3};
  EXPECT_EQ(point_results(MetricReader(tallies), tallies, study).size(), 4U);
  study.grid.depth = {2};
  EXPECT_TRUE(point_results(MetricReader(tallies), tallies, study).empty());
}

TEST(PolicyDifferences, CompareEachPolicyWithTheFirstAtEqualCapacity) {
  const Tallies tallies = random_tallies();
  const Study study = study_of_tiny();
  const MetricReader reader(tallies);
  const auto points = point_results(reader, tallies, study);
  const auto differences = policy_differences(reader, tallies, study);
  ASSERT_EQ(differences.size(), 4U);  // hit_rate and misses at two capacities
  for (const DifferenceResult& difference : differences) {
    const PointResult &first = points.at(difference.first), &second = points.at(difference.second);
    EXPECT_EQ(first.policy, "lru");
    EXPECT_EQ(second.policy, "static");
    EXPECT_EQ(first.capacity, second.capacity);
    EXPECT_EQ(first.bits, second.bits);
    EXPECT_DOUBLE_EQ(difference.estimate.value, first.metrics.at(difference.metric).estimate.value -
                                                    second.metrics.at(difference.metric).estimate.value);
  }
}

/// The other points hit too, and nearly equally often in both groups.
Tallies tallies_with_hits() {
  Tallies tallies = random_tallies();
  for (const std::uint64_t point : {0U, 1U, 3U}) {
    fill(tallies, tallies.layout.cells[0].points_by_group + point * 2 * 6, {10, 0, 0, 0, 0, 0, 18});
  }
  return tallies;
}

TEST(AdaptiveStop, LooksAtTheWorstPointOfEveryListedMetric) {
  const Tallies tallies = tallies_with_hits();
  Study study = study_of_tiny();
  const Estimate worst = MetricReader(tallies).estimate("hit_rate", kLruAtOne);
  const double width = *worst.mc_half_width / worst.value;
  EXPECT_TRUE(is_satisfied({{"hit_rate"}, 1.001 * width}, tallies, study));
  EXPECT_FALSE(is_satisfied({{"hit_rate"}, 0.999 * width}, tallies, study));
  EXPECT_FALSE(is_satisfied({{"distinct_experts_accepted", "hit_rate"}, 0.999 * width}, tallies, study));
  study.grid.capacity = {3};
  EXPECT_TRUE(is_satisfied({{"hit_rate"}, 0.999 * width}, tallies, study));
}

TEST(AdaptiveStop, IsNotSatisfiedByGroupsThatHappenToAgree) {
  const Tallies tallies = random_tallies();  // no other point than LRU at 1 has counted a hit: 0 in both groups
  EXPECT_FALSE(is_satisfied({{"hit_rate"}, 1e9}, tallies, study_of_tiny()));
}

TEST(AdaptiveStop, IsNotSatisfiedByAMetricWithoutData) {
  Tallies tallies = tallies_with_hits();
  EXPECT_TRUE(is_satisfied({{"hit_rate"}, 1}, tallies, study_of_tiny()));
  EXPECT_FALSE(is_satisfied({{"hit_rate", "draft_coverage_mass"}, 1e9}, Tallies(tallies.shape), study_of_tiny()));
  const Cell& cell = tallies.layout.cells[0];
  fill(tallies, cell.unions_by_group, {20, 24, 0, 16, 35, 40, 0, 26});  // no gate mass
  EXPECT_FALSE(is_satisfied({{"hit_rate", "draft_coverage_mass"}, 1e9}, tallies, study_of_tiny()));
}

TEST(AdaptiveStop, IsSatisfiedByWhatHoldsByDefinition) {
  TallyShape shape = tiny_shape(Walk::samples);
  shape.cells[0].capacities = {{0, 0}, {4, 0}};
  shape.cells[0].thresholds = {Threshold{1} << 32};
  Tallies tallies(shape);
  tallies.trajectories = 2;
  const Cell& cell = tallies.layout.cells[0];
  fill(tallies, cell.rounds, {3, 5});
  fill(tallies, cell.accepted, {0, 6, 0, 10});
  fill(tallies, cell.unions_by_group, {20, 24, 50, 16, 35, 40, 50, 26});
  for (const std::uint64_t point : {1U, 3U}) {  // with four slots everything hits
    fill(tallies, cell.points_by_group + point * 2 * 6, {20, 0, 24, 0, 0, 0, 35, 0, 40, 0, 0, 0});
  }
  Study study = study_of_tiny();
  study.grid.capacity = {0, 4};
  const StopSpec stop{{"hit_rate", "tokens_per_round", "rejected_only", "draft_coverage", "cache_writes"}, 1e-9};
  EXPECT_TRUE(is_satisfied(stop, tallies, study));
  EXPECT_FALSE(is_satisfied({{"misses"}, 1e-9}, tallies, study));  // without slots they are what was touched
  shape.warm = false;                                              // LRU has to fetch everything once
  tallies.shape.warm = false;                                      // LRU has to fetch everything once
  EXPECT_FALSE(is_satisfied({{"hit_rate"}, 1e-9}, tallies, study));
}

TEST(AdaptiveStop, WaitsForAnInterval) {
  Tallies tallies = random_tallies();
  tallies.trajectories = 1;
  EXPECT_FALSE(is_satisfied({{"hit_rate"}, 1}, tallies, study_of_tiny()));
}

}  // namespace
}  // namespace moecarlo
