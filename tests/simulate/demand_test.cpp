#include <gmock/gmock.h>

#include <numeric>
#include <random>

#include "cuda/core/histogram/histograms.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo::testing {
namespace {

Tallies counted(const Study& study, const RoutingTable& table, std::vector<std::uint16_t> gates,
                ChannelMagnitudes magnitudes = {}, std::uint64_t trajectories = 100) {
  TraceSources sources;
  sources.gate_mass = std::move(gates);
  sources.magnitudes = std::move(magnitudes);
  const Plan plan = make_plan(study, make_grid(study, {}, {.layers = table.layers, .objects = table.experts}), table,
                              std::move(sources));
  const auto backend = make_cpu_backend(table.view(), plan, 1);
  Tallies tallies(plan.shape);
  RunOptions options;
  options.trajectories = plan.trajectories(trajectories);
  run(*backend, options, tallies);
  return tallies;
}

/// Gates that add up to one, by ascending rank of the choices.
std::vector<std::uint16_t> random_gates(const RoutingTable& table) {
  std::mt19937 random(3);
  std::vector<std::uint16_t> gates;
  for (std::uint32_t row = 0; row < table.tokens * table.layers; ++row) {
    std::uint32_t left = kGateOne;
    for (std::uint32_t i = 0; i + 1 < table.top_k; ++i) {
      gates.push_back(static_cast<std::uint16_t>(random() % (left + 1)));
      left -= gates.back();
    }
    gates.push_back(static_cast<std::uint16_t>(left));
  }
  return gates;
}

DemandRule rule_named(const std::string& name) {
  for (const DemandRule rule : all_demand_rules()) {
    if (to_string(rule) == name) return rule;
  }
  throw std::out_of_range("no rule is named " + name);
}

/// A rule, and numbers at which it changes nothing.
struct Identity {
  const char* rule;
  std::map<std::string, std::vector<double>> stated;

  friend std::ostream& operator<<(std::ostream& out, const Identity& one) { return out << one.rule; }
};

class DemandIdentity : public ::testing::TestWithParam<Identity> {};

/// Cells come in pairs: what all asks for, and the rule.
void expect_same_cells(const Tallies& tallies) {
  const auto& cells = tallies.layout.cells;
  ASSERT_EQ(cells.size() % 2, 0U);
  for (std::size_t c = 0; c < cells.size(); c += 2) {
    const std::uint64_t size = cells[c + 1].rounds - cells[c].rounds;  // a cell's counters lie together
    for (std::uint64_t i = 0; i < size; ++i) {
      ASSERT_EQ(tallies.counters[cells[c].rounds + i], tallies.counters[cells[c + 1].rounds + i])
          << "batch " << cells[c].batch << ", depth " << cells[c].depth << ", counter " << i << " of " << size;
    }
  }
}

TEST_P(DemandIdentity, LeavesEveryCountAsItIs) {
  Study study = small_study();
  study.demand.emplace();
  study.demand->rules = {DemandRule::all, rule_named(GetParam().rule)};
  study.demand->stated = GetParam().stated;
  study.grid.policy = {Policy::static_residents, Policy::lru, Policy::lfu, Policy::belady, Policy::hotness};
  study.histograms = asked_by_name();
  const RoutingTable table = small_table();
  for (const char* mode : {"chain", "tree", "resample", "exhaustive", "replay", "pool"}) {
    SCOPED_TRACE(mode);
    Study one = study;
    if (mode == std::string("tree")) one.draft.width = 3, one.draft.sibling_routing = 0.5;
    if (mode == std::string("resample")) one.acceptance.rejected_routing = RejectedRouting::resample;
    if (mode == std::string("pool")) one.cache.scope = Scope::pool, one.grid.pool = {7}, one.grid.capacity.clear();
    if (mode == std::string("exhaustive")) one.mode = Mode::exhaustive, one.grid.policy = {Policy::static_residents};
    if (mode == std::string("replay")) one.mode = Mode::replay, one.acceptance.alpha = 1;
    if (one.mode != Mode::random) one.grid.batch = {1};
    expect_same_cells(counted(one, table, random_gates(table)));
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, DemandIdentity,
                         ::testing::Values(Identity{"threshold", {{"theta", {0}}}},
                                           Identity{"threshold", {{"theta", {0}}, {"scope", {1}}}},
                                           Identity{"budget", {{"experts", {16}}}},
                                           Identity{"half", {{"unimportant", {0}}}},
                                           Identity{"half", {{"unimportant", {0}}, {"importance", {1}}}},
                                           Identity{"nearest", {}}, Identity{"top_p", {{"mass", {1}}}}));

/// SMoLPU's example, replayed: three tokens of one request, experts A to D, path probabilities 1, 0.6, 0.3, inputs of
/// four channels.
Tallies three_candidates(double scope, double channels = 0) {
  TableSpec spec;
  spec.layers = 1;
  spec.experts = 4;
  spec.lengths = {3};
  const RoutingTable table = pack_table(spec, {0, 1, 0, 2, 3, 1});
  Study study = small_study();
  study.mode = Mode::replay;
  study.grid.batch = {1};
  study.grid.depth = {2};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {4};
  study.acceptance.alpha = 1;
  study.start = Start::cold;
  study.demand.emplace();
  study.demand->rules = {rule_named("threshold")};
  study.demand->stated = {{"theta", {0.29}}, {"scope", {scope}}};
  study.demand->path = PathProbability::listed;
  study.demand->confidences = {1, 0.6, 0.3};
  study.demand->channels = {channels};
  return counted(study, table, {45875, 19661, 39321, 26214, 6554, 58982},  // AB, AC, BD
                 {4, {1}, {4, 1, 2, 0, 1, 3, 0, 1, 0, 2, 2, 1}});
}

std::uint64_t demand_count(const Tallies& tallies, DemandCount count) {
  const Cell& cell = tallies.layout.cells.front();
  return tallies.counters[cell.unions_by_layer + cell.first_demand_count() + count];
}

TEST(ThresholdDemand, OfThreeCandidatesLoadsThreeExpertsOfFour) {
  const Tallies pass = three_candidates(0), token = three_candidates(1);
  for (const Tallies* tallies : {&pass, &token}) {
    EXPECT_EQ(point_totals(*tallies, 0, 0, 0).distinct, 3);
    EXPECT_EQ(point_totals(*tallies, 0, 0, 0).misses(), 3);
    EXPECT_EQ(demand_count(*tallies, kPairs), 6U);
    EXPECT_EQ(demand_count(*tallies, kLoadedParts), 3 * kPartsOfExpert);
    EXPECT_EQ(demand_count(*tallies, kPairMass), 196607U);
  }
  EXPECT_EQ(demand_count(pass, kPairsKept), 5U);
  EXPECT_EQ(demand_count(token, kPairsKept), 4U);
  EXPECT_EQ(demand_count(pass, kPairMassDropped), 26214U);          // 0.4 of 3
  EXPECT_EQ(demand_count(token, kPairMassDropped), 26214U + 6554);  // 0.5 of 3
}

TEST(Channels, OfThreeExpertsAreSixOfTwelve) {
  const Tallies tallies = three_candidates(0, 1);
  EXPECT_EQ(point_totals(tallies, 0, 0, 0).distinct, 3);
  EXPECT_EQ(demand_count(tallies, kLoadedParts), 3 * kPartsOfExpert / 2);  // A 3 of 4, B 1, D 2
  EXPECT_EQ(demand_count(tallies, kPairMassDropped), 26214U);
  // Of t0's B 3 of 7, of t1's A 1 of 5, of t2's B all and of its D 1 of 5.
  EXPECT_EQ(demand_count(tallies, kChannelMassDropped), 19661U * 3 / 7 + 39321 / 5 + 6554 + 58982 / 5);
  EXPECT_EQ(demand_count(three_candidates(0, 2.8), kLoadedParts), kPartsOfExpert / 4);  // A's first: 0.7 x 4
}

TEST(Channels, AreAllLoadedAtZeroAndChangeNothingButWeights) {
  Study study = small_study();
  study.demand.emplace();
  study.demand->rules = {rule_named("threshold")};
  study.demand->stated = {{"theta", {0.1}}};
  study.demand->channels = {0, 8};
  study.grid.policy = {Policy::lru, Policy::lfu};
  const RoutingTable table = small_table();
  ChannelMagnitudes magnitudes{9, std::vector<float>(table.layers, 0.5F), {}};
  std::mt19937 random(5);
  for (std::uint32_t i = 0; i < table.tokens * table.layers * magnitudes.channels; ++i) {
    magnitudes.of_tokens.push_back(static_cast<std::uint8_t>(random()));
  }
  const Tallies tallies = counted(study, table, random_gates(table), magnitudes);
  study.demand->channels = {0};
  const Tallies all = counted(study, table, random_gates(table));
  for (std::size_t c = 0; c < all.layout.cells.size(); ++c) {
    const Cell &plain = all.layout.cells[c], &whole = tallies.layout.cells[2 * c],
               &cut = tallies.layout.cells[2 * c + 1];
    const std::uint64_t loaded = plain.unions_by_group + plain.first_demand_count() + kLoadedParts - plain.rounds;
    const std::uint64_t size = cut.rounds - whole.rounds;  // a cell's counters lie together
    for (std::uint64_t i = 0; i < size; ++i) {
      if (i >= plain.unions_by_layer - plain.rounds && i < plain.points_by_layer - plain.rounds) continue;
      ASSERT_EQ(all.counters[plain.rounds + i], tallies.counters[whole.rounds + i]);
      ASSERT_EQ(all.counters[plain.rounds + i], tallies.counters[cut.rounds + i]);
    }
    EXPECT_EQ(all.counters[plain.rounds + loaded], tallies.counters[whole.rounds + loaded]);
    EXPECT_LT(tallies.counters[cut.rounds + loaded], tallies.counters[whole.rounds + loaded]);
  }
}

/// Trees of three siblings a level under `salient`: the sum of a count over all passes.
std::uint64_t of_siblings(double sibling_routing, double channels, DemandCount which, const char* rule = "salient") {
  Study study = small_study();
  study.draft.width = 3;
  study.draft.sibling_routing = sibling_routing;
  study.grid.batch = {1};
  study.grid.depth = {2};
  study.grid.policy = {Policy::lru};
  study.demand.emplace();
  study.demand->rules = {rule_named(rule)};
  study.demand->channels = {channels};
  const RoutingTable table = small_table();
  ChannelMagnitudes magnitudes{9, std::vector<float>(table.layers, 0.5F), {}};
  std::mt19937 random(5);
  for (std::uint32_t i = 0; i < table.tokens * table.layers * magnitudes.channels; ++i)
    magnitudes.of_tokens.push_back(static_cast<std::uint8_t>(random()));
  const Tallies tallies = counted(study, table, random_gates(table), magnitudes);
  const Cell& at = tallies.layout.cells.front();
  std::uint64_t sum = 0;
  for (std::uint32_t layer = 0; layer < table.layers; ++layer)
    sum +=
        tallies
            .counters[at.unions_by_layer + std::uint64_t{layer} * at.union_width() + at.first_demand_count() + which];
  return sum;
}

/// Siblings of the path token's own routing want what it wants, and those of another part of it.
TEST(Channels, OfSiblingsAreCoveredWhereTheyRouteAsTheOneThatDecides) {
  EXPECT_GT(of_siblings(1, 16, kChannelsWanted), 0U);
  EXPECT_EQ(of_siblings(1, 16, kChannelsCovered), of_siblings(1, 16, kChannelsWanted));
  EXPECT_GT(of_siblings(0, 16, kChannelsCovered), 0U);
  EXPECT_LT(of_siblings(0, 16, kChannelsCovered), of_siblings(0, 16, kChannelsWanted));
  EXPECT_EQ(of_siblings(0, 16, kChannelsWanted, "all"), 0U);  // every column has a say
}

TEST(Causes, OfWhatIsDroppedAndOfWhatIsRedundantAddUpToWhatIsChosenInVain) {
  Study study = small_study();
  study.demand.emplace();
  study.demand->rules = {DemandRule::all, rule_named("threshold")};
  study.demand->stated = {{"theta", {0.2}}, {"scope", {1}}};
  study.grid.policy = {Policy::lru};
  study.grid.depth = {3};
  const RoutingTable table = small_table();
  const Tallies tallies = counted(study, table, random_gates(table));
  for (std::size_t c = 0; c < tallies.layout.cells.size(); c += 2) {
    const auto count = [&](std::size_t cell, std::uint32_t column) {
      const Cell& at = tallies.layout.cells[cell];
      std::uint64_t sum = 0;
      for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
        sum += tallies.counters[at.unions_by_layer + std::uint64_t{layer} * at.union_width() + column];
      }
      return sum;
    };
    const auto of_demand = [&](std::size_t cell, DemandCount which) {
      return count(cell, tallies.layout.cells[cell].first_demand_count() + which);
    };
    EXPECT_EQ(of_demand(c, kDroppedSmallGate) + of_demand(c, kDroppedRejected) + of_demand(c, kRedundantSmallGate), 0U);
    EXPECT_EQ(of_demand(c, kRedundantRejected), count(c, kDistinct) - count(c, kDistinctAccepted));
    for (const DemandCount which : {kDroppedSmallGate, kDroppedRejected, kRedundantSmallGate, kRedundantRejected}) {
      EXPECT_GT(of_demand(c + 1, which), 0U) << which;
    }
    EXPECT_EQ(of_demand(c + 1, kDroppedSmallGate) + of_demand(c + 1, kDroppedRejected),
              count(c, kDistinct) - count(c + 1, kDistinct));
    EXPECT_EQ(of_demand(c + 1, kRedundantSmallGate) + of_demand(c + 1, kRedundantRejected),
              count(c + 1, kDistinct) - count(c + 1, kDistinctAccepted));
  }
}

/// Slices of one LRU cache, of which lower ones are asked for from a gate of 0.1 on.
Tallies of_slices(std::vector<double> miss_rates) {
  Study study = small_study();
  study.rounds = 40;
  study.cache.objects = Objects::slices;
  study.grid.batch = {1};
  study.grid.depth = {2};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {8};
  study.demand.emplace();
  study.demand->rules = {rule_named("slices")};
  study.demand->stated = {{"theta", {0.1}}};
  if (!miss_rates.empty()) study.demand->stated["miss_rate"] = std::move(miss_rates);
  return counted(study, with_slices(small_table()), random_gates(small_table()));
}

/// One pass of two columns, gates .55 .30 .08 .07 and .6 .25 .1 .05: lower slices of two choices each, and with the
/// others .15 of the first gate mass and .15 of the second go without.
TEST(SlicesDemand, CountsWhatGoesWithoutLowerSlices) {
  TableSpec spec;
  spec.layers = 1;
  spec.experts = 4;
  spec.top_k = 4;
  spec.lengths = {2};
  const RoutingTable table = pack_table(spec, {0, 1, 2, 3, 0, 1, 2, 3});
  Study study = small_study();
  study.mode = Mode::replay;
  study.cache.objects = Objects::slices;
  study.grid.batch = {1};
  study.grid.depth = {1};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {8};
  study.acceptance.alpha = 1;
  study.start = Start::cold;
  study.demand.emplace();
  study.demand->rules = {rule_named("slices")};
  study.demand->stated = {{"theta", {0.2}}};
  const Tallies tallies = counted(study, with_slices(table), {36044, 19661, 5243, 4587, 39321, 16384, 6553, 3277});
  EXPECT_EQ(demand_count(tallies, kPairs), 8U);
  EXPECT_EQ(demand_count(tallies, kPairsKept), 8U);
  EXPECT_EQ(demand_count(tallies, kPairsUpper), 4U);
  EXPECT_EQ(demand_count(tallies, kPairMassUpper), 5243U + 4587 + 6553 + 3277);
  EXPECT_EQ(demand_count(tallies, kUpperDistinct), 4U);
  EXPECT_EQ(point_totals(tallies, 0, 0, 0).distinct, 6);
}

TEST(SlicesDemand, WithAMissRateOfOneIsTheSameWithoutOne) {
  const Tallies free = of_slices({}), held = of_slices({1});
  EXPECT_EQ(free.counters, held.counters);
}

TEST(SlicesDemand, AsksForFewerLowerSlicesTheLowerTheMissRateIsThatItAimsAt) {
  const Tallies tallies = of_slices({0, 0.15, 0.3, 0.45});
  const auto misses = [&](std::size_t cell) {
    const Totals totals = point_totals(tallies, cell, 0, 0);
    return totals.misses() / totals.distinct;
  };
  const auto lower = [&](std::size_t cell) {
    const Cell& at = tallies.layout.cells[cell];
    return point_totals(tallies, cell, 0, 0).distinct -
           sum_of(tallies, at.unions_by_layer + at.first_demand_count() + kUpperDistinct, 1);
  };
  for (std::size_t cell = 1; cell < 4; ++cell) {
    EXPECT_LE(misses(cell - 1), misses(cell));
    EXPECT_LE(lower(cell - 1), lower(cell));
  }
}

TEST(GateProducts, OfOneRunGiveWhatAThresholdLoadsAtEveryTheta) {
  Study study = small_study();
  study.demand.emplace();
  study.demand->rules = {DemandRule::all, rule_named("threshold")};
  const std::vector<double> thetas{0, 1 / 256.0, 5 / 256.0, 0.125, 0.5, 1};
  study.demand->stated = {{"theta", thetas}};
  study.grid.policy = {Policy::static_residents};
  study.histograms = set_of<GateProducts>();
  const RoutingTable table = small_table();
  for (const char* mode : {"random", "tree", "exhaustive"}) {
    SCOPED_TRACE(mode);
    Study one = study;
    if (mode == std::string("tree")) one.draft.width = 3, one.draft.sibling_routing = 0.5;
    if (mode == std::string("exhaustive")) one.mode = Mode::exhaustive, one.grid.batch = {1};
    const Tallies tallies = counted(one, table, random_gates(table));
    for (std::size_t c = 0; c < tallies.layout.cells.size(); c += 1 + thetas.size()) {
      for (std::size_t t = 0; t < thetas.size(); ++t) {
        const Cell &all = tallies.layout.cells[c], &at = tallies.layout.cells[c + 1 + t];
        for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
          const std::uint64_t row = all.unions_by_layer + std::uint64_t{layer} * all.union_width();
          const auto bins = tallies.counters.begin() + static_cast<std::ptrdiff_t>(row + all.union_counts() + 1);
          const std::uint64_t loaded =
              std::accumulate(bins + static_cast<std::ptrdiff_t>(256 * thetas[t]), bins + 257, std::uint64_t{0});
          EXPECT_EQ(tallies.counters[at.unions_by_layer + std::uint64_t{layer} * at.union_width() + kDistinct], loaded)
              << "theta " << thetas[t] << ", layer " << layer;
        }
      }
    }
  }
}

}  // namespace
}  // namespace moecarlo::testing
