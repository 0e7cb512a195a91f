#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cuda/core/drawn_routing.hpp"
#include "tests/shared/chi_square.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

const std::vector<Policy> kAllPolicies = {
    Policy::static_residents, Policy::lru,    Policy::fifo,          Policy::lfu,    Policy::slru,
    Policy::random,           Policy::belady, Policy::belady_bypass, Policy::hotness};

Tallies simulate_with(const Study& study, const RoutingTable& table, TraceSources sources) {
  const Plan plan = make_plan(study, make_grid(study, {}, {.layers = table.layers, .objects = table.experts}), table,
                              std::move(sources));
  const auto backend = make_cpu_backend(table.view(), plan, 1);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(200);
  run(*backend, options, tallies);
  return tallies;
}

TraceSources random_mass(const RoutingTable& table) {
  std::mt19937 random(3);
  TraceSources sources;
  sources.gate_mass.resize(std::size_t{table.tokens} * table.layers * table.top_k);
  for (auto& mass : sources.gate_mass) mass = static_cast<std::uint16_t>(random() % 20'000);
  return sources;
}

std::vector<std::uint64_t> accepted_of(const Tallies& tallies, std::size_t cell) {
  const Cell& own = tallies.layout.cells[cell];
  const auto first = tallies.counters.begin() + static_cast<std::ptrdiff_t>(own.accepted);
  return {first, first + tallies.shape.groups.groups * (own.depth + 1)};
}

TEST(CoverageAcceptance, without_a_slope_is_constant_acceptance_to_the_last_count) {
  const RoutingTable table = small_table();
  Study study = small_study();
  study.grid.depth = {2};
  study.acceptance.alpha = 0.5;
  const Tallies constant = simulate_with(study, table, {});
  study.acceptance.model = AcceptanceModel::coverage;
  for (const Scope scope : {Scope::layer, Scope::pool}) {
    study.cache.scope = scope;
    TraceSources sources = random_mass(table);
    sources.coverage = CoverageLaw{0, 0};
    const Tallies covered = simulate_with(study, table, sources);
    for (std::size_t c = 0; c < covered.shape.cells.size(); ++c) {
      const CellShape& cell = covered.shape.cells[c];
      const std::size_t same = cell.batch == 1 ? 0 : 1;
      ASSERT_EQ(constant.shape.cells[same].batch, cell.batch);
      EXPECT_EQ(accepted_of(covered, c), accepted_of(constant, same));
      if (scope == Scope::pool) continue;
      const auto& policies = constant.shape.cells[same].policies;
      const auto policy = std::find(policies.begin(), policies.end(), cell.policies[0]) - policies.begin();
      const std::uint32_t capacity = cell.capacities[0].base == 2 ? 0 : 1;
      EXPECT_EQ(point_totals(covered, c, 0, 0).hits,
                point_totals(constant, same, static_cast<std::uint32_t>(policy), capacity).hits);
    }
  }
}

TEST(CoverageAcceptance, accepts_more_where_more_is_resident) {
  const RoutingTable table = small_table();
  Study study = small_study();
  study.grid.batch = {1};
  study.grid.depth = {2};
  study.grid.policy = {Policy::static_residents};
  study.grid.capacity = {1, 4, 12};
  study.acceptance.model = AcceptanceModel::coverage;
  TraceSources sources = random_mass(table);
  sources.coverage = CoverageLaw{-3, 6};
  const Tallies tallies = simulate_with(study, table, sources);
  std::vector<double> none;
  for (std::size_t c = 0; c < 3; ++c) {
    const auto accepted = accepted_of(tallies, c);
    double sum = 0;
    for (std::size_t g = 0; g < tallies.shape.groups.groups; ++g) sum += static_cast<double>(accepted[3 * g]);
    none.push_back(sum);
  }
  EXPECT_GT(none[0], none[1]);
  EXPECT_GT(none[1], none[2]);
}

/// Tokens of a sequence in runs of eight: one whose drafts are accepted and which routes like a single token, then one
/// whose drafts are rejected.
TraceSources accept_in_runs(RoutingTable& table, std::uint8_t depth) {
  TraceSources sources;
  sources.proposals.resize(table.tokens);
  const std::size_t row = std::size_t{table.layers} * static_cast<std::size_t>(table.words);
  for (const Sequence& sequence : table.sequences) {
    for (std::uint32_t position = 0; position < sequence.length; ++position) {
      const std::uint32_t token = sequence.first + position;
      const bool accepts = position / 8 % 2 == 0;
      sources.proposals[token] = {depth, accepts ? depth : std::uint8_t{0}};
      if (accepts) std::copy_n(&table.masks[(token - position % 8) * row], row, &table.masks[token * row]);
    }
  }
  return sources;
}

TEST(Control, keeps_the_lengths_and_loses_their_pairing_with_the_routing) {
  RoutingTable table = small_table();
  Study study = small_study();
  study.grid.depth = {2};
  study.warmup = 3;
  study.acceptance.model = AcceptanceModel::ngram;
  const Tallies tallies = simulate_with(study, table, accept_in_runs(table, 2));
  ASSERT_EQ(tallies.shape.cells.size(), 4U);
  for (const std::size_t paired : {0U, 2U}) {
    const std::size_t control = paired + 1;
    ASSERT_TRUE(tallies.shape.cells[control].acceptance.independent);
    EXPECT_EQ(accepted_of(tallies, control), accepted_of(tallies, paired));
    // What is rejected, and where requests stay, is where tokens route differently.
    const Totals apart = point_totals(tallies, control, 1, 0), together = point_totals(tallies, paired, 1, 0);
    EXPECT_LT(apart.rejected_only, 0.8 * together.rejected_only);
    EXPECT_LT(apart.distinct, 0.9 * together.distinct);
  }
}

TEST(Oracle, hits_at_least_as_often_as_every_policy) {
  for (const Scope scope : {Scope::layer, Scope::pool}) {
    const RoutingTable table = small_table();
    Study study = small_study();
    study.grid.policy = kAllPolicies;
    study.grid.depth = {0, 3};
    study.cache.scope = scope;
    if (scope == Scope::pool) study.grid.pool = {9, 20}, study.grid.capacity.clear();
    const Tallies tallies = simulate_with(study, table, {});
    for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
      for (std::uint32_t capacity = 0; capacity < 2; ++capacity) {
        const double best = point_totals(tallies, c, 7, capacity).hits;
        for (std::uint32_t p = 0; p < kAllPolicies.size(); ++p) {
          EXPECT_LE(point_totals(tallies, c, p, capacity).hits, best) << "policy " << p;
        }
        for (const std::uint32_t demand : {1U, 2U, 3U, 4U, 5U}) {  // what is fetched is admitted
          EXPECT_LE(point_totals(tallies, c, demand, capacity).hits, point_totals(tallies, c, 6, capacity).hits);
        }
      }
    }
  }
}

TEST(Pool, as_large_as_everything_never_misses_once_warm) {
  const RoutingTable table = small_table();
  Study study = small_study();
  study.grid.policy = kAllPolicies;
  study.cache.scope = Scope::pool;
  study.grid.capacity.clear();
  study.grid.pool = {table.experts * table.layers};
  const Tallies tallies = simulate_with(study, table, {});
  for (std::uint32_t p = 0; p < kAllPolicies.size(); ++p) {
    EXPECT_EQ(point_totals(tallies, 1, p, 0).misses(), 0) << p;
  }
}

TEST(Slices, are_two_objects_an_expert) {
  const RoutingTable table = small_table();
  const RoutingTable sliced = with_slices(table);
  ASSERT_EQ(sliced.experts, 2 * table.experts);
  Study study = small_study();
  study.grid.policy = {Policy::lru, Policy::lfu};
  study.grid.capacity = {2, 4, 8};
  const Tallies whole = simulate_with(study, table, {});
  study.cache.objects = Objects::slices;
  const Tallies halves = simulate_with(study, sliced, {});
  for (std::size_t c = 0; c < whole.shape.cells.size(); ++c) {
    const Totals expert = point_totals(whole, c, 0, 0), slice = point_totals(halves, c, 0, 1);
    EXPECT_EQ(slice.distinct, 2 * expert.distinct);
    EXPECT_EQ(slice.rounds, expert.rounds);
    EXPECT_NE(slice.hits, 2 * expert.hits);  // upper slices are touched last and stay longer
  }
}

TEST(SiblingRouting, keeps_each_expert_with_its_probability_and_fills_up_from_the_other_token) {
  using Mask = ExpertMask<1>;
  const std::uint64_t path_bits = 0b111111, other_bits = 0b111111000111;  // six each, three in common
  const std::uint64_t other_six = other_bits & 0b111111000000;
  const std::uint32_t keeps = 65536 * 3 / 4;
  std::vector<std::uint64_t> kept_counts(7, 0);
  DrawAddress at{1, Stream::main, 0, 2, 1, Purpose::sibling, 5, 3};
  for (; at.trajectory < 20'000; ++at.trajectory) {
    const Mask sibling = sibling_routing(Mask::load(&path_bits), Mask::load(&other_six), at, keeps);
    ASSERT_EQ(sibling.count(), 6U);
    ASSERT_EQ(sibling.word[0] & ~(path_bits | other_six), 0U);
    ++kept_counts[count_bits(sibling.word[0] & path_bits)];
  }
  std::vector<double> binomial;
  for (int k = 0; k <= 6; ++k) {
    binomial.push_back(std::tgamma(7) / std::tgamma(k + 1) / std::tgamma(7 - k) * std::pow(0.75, k) *
                       std::pow(0.25, 6 - k));
  }
  EXPECT_LT(chi_square_deviate(kept_counts, binomial), kLargestDeviate);
}

TEST(Tree, whose_siblings_route_like_their_path_touches_what_the_chain_does) {
  const RoutingTable table = small_table();
  Study study = small_study();
  study.grid.depth = {3};
  study.grid.policy = kAllPolicies;
  const Tallies chain = simulate_with(study, table, {});
  study.draft.width = 3;
  study.draft.sibling_routing = 1;
  const Tallies same = simulate_with(study, table, {});
  study.draft.sibling_routing = 0;
  const Tallies wide = simulate_with(study, table, {});
  study.draft.verify_tokens = 3;  // the path alone
  const Tallies pruned = simulate_with(study, table, {});
  for (std::size_t c = 0; c < chain.shape.cells.size(); ++c) {
    EXPECT_EQ(point_totals(same, c, 1, 0).distinct, point_totals(chain, c, 1, 0).distinct);
    EXPECT_EQ(point_totals(pruned, c, 1, 0).distinct, point_totals(chain, c, 1, 0).distinct);
    EXPECT_GT(point_totals(wide, c, 1, 0).distinct, point_totals(chain, c, 1, 0).distinct);
    for (std::uint32_t p = 0; p < kAllPolicies.size(); ++p) {
      EXPECT_EQ(point_totals(pruned, c, p, 1).hits, point_totals(chain, c, p, 1).hits) << p;
    }
  }
}

TEST(Tree, counts_its_columns_path_first) {
  const Tree tree{3, 7};
  EXPECT_EQ(tree.columns(4), 13U);
  EXPECT_EQ(tree.verified(4), 8U);
  EXPECT_EQ((Tree{3, 0}).verified(4), 13U);
  EXPECT_EQ((Tree{3, 2}).verified(4), 5U);  // never less than the path
  EXPECT_EQ((Tree{1, 0}).columns(0), 1U);
  const std::vector<std::uint32_t> levels = {0, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4};
  for (std::uint32_t column = 0; column < 13; ++column) EXPECT_EQ(Tree::level(column, 4), levels[column]);
}

}  // namespace
}  // namespace moecarlo
