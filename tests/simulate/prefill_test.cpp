#include "host/simulate/prefill.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/shared/dice.hpp"
#include "tests/shared/oracle_comparison.hpp"
#include "tests/shared/prepared_study.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo::testing {
namespace {

/// A random study with prefills of what its sequences hold, or none where it cannot have them.
std::optional<Study> with_prefills(const PreparedStudy& prepared, Dice& dice) {
  Study study = prepared.random.study;
  std::erase_if(study.grid.policy, [](Policy policy) { return hears_drafts(policy) || draws(policy); });
  if (study.mode == Mode::perturbed || study.grid.policy.empty()) return std::nullopt;
  if (std::none_of(study.grid.policy.begin(), study.grid.policy.end(), has_capacity)) return std::nullopt;
  study.prefill = PrefillSpec{dice.between(1, 9), std::nullopt, dice.heads()};
  if (study.prefill->psum_forced || dice.heads()) study.prefill->psum_slots = dice.between(1, 4);
  return study;
}

/// Every count of every design point, with demand rules, slices and pools, is the oracle's.
TEST(Prefills, AgreeWithTheOracleOnRandomStudies) {
  Deviations deviations;
  for (std::uint32_t number = 0; number < 260; number += 3 + number % 4) {
    const PreparedStudy prepared(number);
    Dice dice(number);
    const std::optional<Study> study = with_prefills(prepared, dice);
    if (!study) continue;
    TraceSources sources;
    sources.gate_mass = prepared.plan.sources.gate_mass;
    sources.magnitudes = prepared.plan.sources.magnitudes;
    sources.nearest = prepared.plan.sources.nearest;
    const Plan plan = plan_prefills(*study, {}, prepared.table, sources, prepared.plan.shape);
    const Tallies tallies = count_prefills(plan, prepared.table, 1).tallies;
    const Engine engine{{tallies.counters}, Stream::main, 1};
    const oracle::RankedTrace trace(prepared.random.trace);
    const auto cell = dice.below(static_cast<std::uint32_t>(plan.layout.cells.size()));
    const PointOf of(plan, cell, dice.below(plan.layout.cells[cell].points()));
    std::vector<oracle::Counts> slow = oracle::prefill(trace, *study, of.point);
    for (oracle::Counts& counts : slow) counts.accepted[0] = counts.rounds * study->prefill->chunk;  // empty places too
    const std::string name = prepared.random.description + ", prefill " + of.point.demand;
    expect_same_counts(
        {plan, of, engine, slow, name}, [](std::size_t g) { return g; }, deviations);
  }
  EXPECT_GT(deviations.comparisons, 10'000);
}

/// Chunks of 2 of a sequence of 5 tokens, cold, 2 slots: {0, 1} misses both, {0, 2} hits 0, {3} misses.
TEST(Prefills, AreChunksOfASequence) {
  TableSpec spec;
  spec.layers = 1;
  spec.experts = 4;
  spec.top_k = 1;
  spec.lengths = {5};
  const RoutingTable table = pack_table(spec, {0, 1, 0, 2, 3});
  Study study;
  study.calibration.reset();
  study.start = Start::cold;
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {2};
  study.prefill = PrefillSpec{2, 1, false};
  const Plan plan = plan_prefills(study, {}, table, {}, {});
  const Totals totals = point_totals(count_prefills(plan, table, 1).tallies, 0, 0, 0);
  EXPECT_EQ(totals.rounds, 3);
  EXPECT_EQ(totals.distinct, 5);
  EXPECT_EQ(totals.hits, 1);
  EXPECT_EQ(totals.writes, 4);
}

}  // namespace
}  // namespace moecarlo::testing
