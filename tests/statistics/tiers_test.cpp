#include <gtest/gtest.h>

#include "host/simulate/sources.hpp"
#include "host/statistics/metrics.hpp"
#include "host/statistics/point_results.hpp"
#include "tests/statistics/one_layer.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// SN40L: models a b c a b d a through 2 slots within 4. Stack distances are infinite but for 3, 3 and 3: nothing is
/// found near, three are found far, four come from below.
TEST(NestedCapacities, FindWhatTheSmallerDoesNotHoldInTheLarger) {
  const RoutingTable table = table_of({0, 1, 2, 0, 1, 3, 0}, 4, 1);
  Study study = study_of(Mode::replay, Policy::lru, 0);
  study.start = Start::cold;
  study.grid.capacity = {2, 4};
  study.grid.nested = {{2, 4}};
  const Tallies tallies = counted(study, table);
  const MetricReader reader(tallies, resample_on_host, study.grid.nested);
  const PointAddress near{0, 0, 0}, far{0, 0, 1};
  EXPECT_EQ(reader.estimate("near_hits", far).value * 7, 0);
  EXPECT_EQ(reader.estimate("far_hits", far).value * 7, 3);
  EXPECT_EQ(reader.estimate("misses", far).value * 7, 4);
  EXPECT_FALSE(reader.exists("far_hits", near));
  EXPECT_FALSE(MetricReader(tallies).exists("far_hits", far));
}

/// In every walk they are the hits of the smaller and what the larger adds, with the error of that difference.
TEST(NestedCapacities, AreThePointsOfBothCapacities) {
  Study study = small_study();
  study.grid.capacity = {2, 4, 5};
  study.grid.nested = {{2, 5}};
  for (const Mode mode : {Mode::random, Mode::exhaustive}) {
    study.mode = mode;
    if (mode == Mode::exhaustive) study.grid.policy = {Policy::static_residents}, study.grid.batch = {1};
    const Tallies tallies = simulate(study, small_table(), 1000);
    const MetricReader reader(tallies, resample_on_host, study.grid.nested);
    for (std::uint32_t policy = 0; policy < study.grid.policy.size(); ++policy) {
      const PointAddress near{1, policy, 0}, far{1, policy, 2};
      const Quantity added = reader.quantity("hits", far) - reader.quantity("hits", near);
      const Estimate found = reader.estimate("far_hits", far), expected = reader.sampling().estimate(added);
      EXPECT_NEAR(found.value, expected.value, 1e-12);
      ASSERT_TRUE(found.mc_half_width.has_value());
      EXPECT_NEAR(*found.mc_half_width, *expected.mc_half_width, 1e-12);
      EXPECT_EQ(found.trace_half_width.has_value(), expected.trace_half_width.has_value());
      EXPECT_EQ(reader.estimate("near_hits", far).value, reader.estimate("hits", near).value);
      const auto by_layer = reader.per_layer("near_hits", far);
      EXPECT_EQ(by_layer, reader.per_layer("hits", near));
    }
  }
}

/// SliceMoE: of gates 0.55, 0.30, 0.08 and 0.07 the first two ask for both slices: 4 upper ones and 2 lower ones, half
/// an expert each. The token comes again: all of them are there.
TEST(Slices, AreAskedForByTheGate) {
  const RoutingTable table = with_slices(table_of({0, 1, 2, 3, 0, 1, 2, 3}, 6, 4));
  Study study = study_of(Mode::replay, Policy::lru, 0);
  study.start = Start::cold;
  study.cache.objects = Objects::slices;
  study.grid.bits = {4};
  study.grid.capacity = {12};
  for (const DemandRule rule : all_demand_rules()) {
    if (to_string(rule) == std::string("slices")) study.demand = DemandSpec{{rule}, {{"theta", {0.1}}}};
  }
  TraceSources sources;
  sources.gate_mass = {36044, 19661, 5243, 4587, 36044, 19661, 5243, 4587};
  const Tallies tallies = counted(study, table, sources);
  const MetricReader reader(tallies);
  const PointAddress point{0, 0, 0};
  EXPECT_EQ(reader.estimate("distinct_experts", point).value, 6);
  EXPECT_EQ(reader.estimate("expert_equivalents", point).value, 3);
  EXPECT_EQ(reader.estimate("lower_hits", point).value * 2, 2);
  EXPECT_EQ(reader.estimate("lower_misses", point).value * 2, 2);
  EXPECT_EQ(reader.estimate("hits", point).value * 2, 6);
  EXPECT_EQ(reader.estimate("misses", point).value * 2, 6);
}

}  // namespace
}  // namespace moecarlo
