#include <gtest/gtest.h>

#include "host/statistics/metrics.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

/// One sequence of one layer, top 1, of which every pass verifies one token.
RoutingTable table_of(const std::vector<std::uint32_t>& choices, std::uint32_t experts, std::uint32_t top_k) {
  TableSpec spec;
  spec.layers = 1;
  spec.experts = experts;
  spec.top_k = top_k;
  spec.lengths = {static_cast<std::uint32_t>(choices.size()) / top_k};
  return pack_table(spec, choices);
}

Study study_of(Mode mode, Policy policy, HistogramSet histograms) {
  Study study;
  study.mode = mode;
  study.calibration.reset();
  study.grid.depth = {0};
  study.grid.policy = {policy};
  study.acceptance.alpha = 0;
  study.histograms = histograms;
  return study;
}

Tallies counted(const Study& study, const RoutingTable& table) {
  const Plan plan = make_plan(study, make_grid(study, {}, {.layers = table.layers, .objects = table.experts}), table);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(0);
  run(*make_cpu_backend(table.view(), plan, 1), options, tallies);
  return tallies;
}

/// Tokens {0, 1}, {1, 2}, {1, 3} in one pass: expert 1 serves three of them, the others one. The one slot holds
/// expert 1, the most popular.
TEST(Histograms, tokens_per_expert_are_those_of_a_pass) {
  const RoutingTable table = table_of({0, 1, 1, 2, 1, 3}, 5, 2);
  Study study = study_of(Mode::exhaustive, Policy::static_residents, set_of<TokensPerExpert>());
  study.grid.depth = {2};
  study.grid.capacity = {1};
  const Tallies tallies = counted(study, table);
  const MetricReader reader(tallies);
  const HistogramResult found = reader.histograms_at({0, 0, 0}).at("tokens_per_expert");
  EXPECT_EQ(found.least, 1U);
  EXPECT_EQ(found.all, (std::vector<double>{0.75, 0, 0.25}));
  EXPECT_EQ(found.resident, (std::vector<double>{0, 0, 0.25}));
  EXPECT_EQ(reader.estimate("tokens_per_expert", {0, 0, 0}).value, 1.5);
  EXPECT_EQ(reader.estimate("tokens_per_expert_hit", {0, 0, 0}).value, 3);
  EXPECT_EQ(reader.estimate("tokens_per_expert_miss", {0, 0, 0}).value, 1);
}

/// 100 tokens of one expert in a pass: the last bin holds them, the sum knows them.
TEST(Histograms, what_is_beyond_the_last_bin_is_in_it) {
  const RoutingTable table = table_of(std::vector<std::uint32_t>(100, 0), 4, 1);
  Study study = study_of(Mode::exhaustive, Policy::static_residents, set_of<TokensPerExpert>());
  study.grid.depth = {99};
  study.grid.capacity = {2};
  const Tallies tallies = counted(study, table);
  const MetricReader reader(tallies);
  const HistogramResult found = reader.histograms_at({0, 0, 0}).at("tokens_per_expert");
  EXPECT_EQ(found.all.size(), TokensPerExpert::kMostBins);
  EXPECT_EQ(found.all.back(), 1);
  EXPECT_EQ(reader.estimate("tokens_per_expert", {0, 0, 0}).value, 100);
}

/// Passes that use experts 0, 1, 0, 2 with two rounds remembered: nothing, {0}, {0, 1}, {0, 1} are resident as they
/// begin; the third is a hit; 0, 1 and 2 come in.
TEST(Window, keeps_what_the_last_rounds_used) {
  const RoutingTable table = table_of({0, 1, 0, 2}, 4, 1);
  Study study = study_of(Mode::replay, Policy::window, set_of<ResidentExperts>());
  study.cache.parameters["window"] = 2;
  const Tallies tallies = counted(study, table);
  const Totals totals = point_totals(tallies, 0, 0, 0);
  EXPECT_EQ(totals.rounds, 4);
  EXPECT_EQ(totals.hits, 1);
  EXPECT_EQ(totals.writes, 3);
  const MetricReader reader(tallies);
  EXPECT_EQ(reader.histograms_at({0, 0, 0}).at("resident_experts").all, (std::vector<double>{0.25, 0.25, 0.5, 0, 0}));
  EXPECT_EQ(reader.estimate("resident_experts", {0, 0, 0}).value, 1.25);
}

TEST(Window, stands_beside_policies_that_have_a_capacity) {
  const RoutingTable table = table_of({0, 1, 0, 2}, 4, 1);
  Study study = study_of(Mode::replay, Policy::lru, 0);
  study.grid.policy = {Policy::window, Policy::lru};
  study.grid.capacity = {1, 3};
  study.cache.parameters["window"] = 1;
  const Tallies tallies = counted(study, table);
  ASSERT_EQ(tallies.shape.cells.size(), 2U);
  EXPECT_EQ(tallies.shape.cells[0].policies, std::vector{Policy::lru});
  EXPECT_EQ(tallies.shape.cells[0].capacities.size(), 2U);
  EXPECT_EQ(tallies.shape.cells[1].policies, std::vector{Policy::window});
  EXPECT_EQ(point_totals(tallies, 1, 0, 0).hits, 0) << "no round uses what the one before it used";
}

}  // namespace
}  // namespace moecarlo
