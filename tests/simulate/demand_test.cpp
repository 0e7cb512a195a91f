#include <gmock/gmock.h>

#include <random>

#include "cuda/core/histogram/histograms.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo::testing {
namespace {

Tallies counted(const Study& study, const RoutingTable& table, std::vector<std::uint16_t> gates,
                std::uint64_t trajectories = 100) {
  TraceSources sources;
  sources.gate_mass = std::move(gates);
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
                                           Identity{"half", {{"unimportant", {0}}, {"importance", {1}}}}));

/// SMoLPU's example, replayed: three tokens of one request, experts A to D, path probabilities 1, 0.6, 0.3.
Tallies three_candidates(double scope) {
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
  return counted(study, table, {45875, 19661, 39321, 26214, 6554, 58982});  // AB, AC, BD
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

}  // namespace
}  // namespace moecarlo::testing
