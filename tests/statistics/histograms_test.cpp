#include <gtest/gtest.h>

#include "host/statistics/metrics.hpp"
#include "tests/statistics/one_layer.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

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

/// A tree of two columns a depth whose sibling is its path's token: at each depth one pair, which shares both experts.
/// A chain has no pairs.
TEST(Histograms, siblings_are_columns_of_one_depth) {
  const RoutingTable table = table_of({0, 1, 1, 2, 1, 3}, 5, 2);
  Study study = study_of(Mode::random, Policy::static_residents, set_of<SiblingsShared>() | set_of<DistinctByDepth>());
  study.grid.depth = {1, 2};
  study.grid.capacity = {1};
  study.draft.width = 2;
  study.draft.sibling_routing = 1;
  study.rounds = 1;
  const Tallies tree = counted(study, table);
  const HistogramResult found = MetricReader(tree).histograms_at({1, 0, 0}).at("siblings_shared");
  EXPECT_EQ(found.least, 0U);
  EXPECT_EQ(found.all, (std::vector<double>{0, 0, 1, 0, 0, 0}));
  EXPECT_EQ(MetricReader(tree).estimate("siblings_shared", {1, 0, 0}).value, 2);
  study.draft.width = 1;
  const Tallies chain = counted(study, table);
  const MetricReader reader(chain);
  EXPECT_EQ(reader.histograms_at({1, 0, 0}).count("siblings_shared"), 0U);
  EXPECT_FALSE(reader.exists("siblings_shared", {1, 0, 0}));
}

/// A pass of two requests of a sequence of two tokens each, {0, 1} {2, 3}: one of a depth uses two, whatever the batch.
TEST(Histograms, experts_of_a_depth_are_those_of_all_requests) {
  const RoutingTable table = table_of({0, 1, 2, 3}, 5, 2);
  Study study = study_of(Mode::random, Policy::lru, set_of<DistinctByDepth>());
  study.grid.batch = {1, 2};
  study.grid.depth = {1};
  study.grid.capacity = {1};
  study.acceptance.alpha = 1;
  const Tallies tallies = counted(study, table);
  const MetricReader reader(tallies);
  for (const std::size_t cell : {0, 1}) {
    EXPECT_EQ(reader.histograms_at({cell, 0, 0}).at("distinct_by_depth").all, (std::vector<double>{2, 2}));
    EXPECT_EQ(reader.estimate("distinct_by_depth.1", {cell, 0, 0}).value, 2);
    EXPECT_FALSE(reader.exists("distinct_by_depth.2", {cell, 0, 0}));
  }
  EXPECT_TRUE(reader.estimate("distinct_by_depth.1", {0, 0, 0}).mc_half_width.is_exact());
  EXPECT_THROW(reader.exists("distinct_by_depth", {0, 0, 0}), std::out_of_range);
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

/// LLM in a flash (arXiv 2312.11514) by hand: rows 123, 234, 345, 156 and two rounds remembered load 3, 1, 1 and 2 of
/// 12; 3, 4 and 4 are resident as the later ones begin.
TEST(Window, loads_what_the_last_rounds_did_not_use) {
  const RoutingTable table = table_of({1, 2, 3, 2, 3, 4, 3, 4, 5, 1, 5, 6}, 8, 3);
  Study study = study_of(Mode::replay, Policy::window, set_of<ResidentExperts>());
  study.cache.parameters["window"] = 2;
  const Tallies tallies = counted(study, table);
  const Totals totals = point_totals(tallies, 0, 0, 0);
  EXPECT_EQ(totals.writes, 7);
  EXPECT_EQ(totals.hits, 12 - 7);
  const MetricReader reader(tallies);
  EXPECT_EQ(reader.histograms_at({0, 0, 0}).at("resident_experts").all,
            (std::vector<double>{0.25, 0, 0, 0.25, 0.5, 0, 0, 0, 0}));
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
