#include "tests/shared/backend_suite.hpp"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "host/trace/perturbed_law.hpp"
#include "tests/shared/dice.hpp"
#include "tests/shared/random_table.hpp"

namespace moecarlo::testing {
namespace {

constexpr std::uint32_t kExperts[] = {3, 8, 20, 64, 65, 100, 128, 129, 200, 256, 300, 600};

TableSpec random_spec(std::uint32_t number, Dice& dice) {
  TableSpec spec;
  spec.experts = kExperts[number % std::size(kExperts)];
  spec.layers = spec.experts > 256 ? dice.between(1, 2) : dice.any({1U, 3U, 7U, 8U, 9U, 16U, 19U});
  const bool pool = number % 10 == 7 || number % 10 == 8;  // slow there: one list of all layers' experts
  if (pool) spec.layers = spec.experts > 100 ? 1 : dice.between(1, 3);
  spec.top_k = dice.between(1, std::min(spec.experts, 8U));
  const bool many = dice.heads();
  spec.lengths.assign(many ? dice.between(8, 14) : dice.between(1, 4), 0);
  for (std::uint32_t& length : spec.lengths) length = dice.between(3, 30);
  spec.lengths.back() = 24;  // deep enough for every draft
  spec.calibrating = spec.lengths.size() > 1 && dice.heads() ? 1 : 0;
  spec.skew = dice.any({0.0, 0.8, 1.5});
  spec.repeat = dice.any({0.0, 0.5});
  spec.seed = number + 1;
  return spec;
}

void choose_acceptance(Study& study, Dice& dice) {
  study.acceptance.model = dice.any({AcceptanceModel::constant, AcceptanceModel::ratio});
  study.acceptance.alpha = dice.any({0.0, 0.4, 0.7, 0.9, 1.0});
  if (dice.heads()) study.acceptance.rejected_routing = RejectedRouting::resample;
}

std::vector<Policy> random_policies(Dice& dice) {
  std::set<Policy> policies;
  for (std::uint32_t i = dice.between(1, 4); i > 0; --i) policies.insert(static_cast<Policy>(dice.below(kPolicies)));
  return {policies.begin(), policies.end()};
}

/// A drafter's proposals, or captured acceptance, for every token of the table.
TraceSources random_sources(Study& study, const RoutingTable& table, Dice& dice) {
  TraceSources sources;
  if (study.mode == Mode::exhaustive || dice.below(3) != 0) return sources;
  if (dice.heads()) {
    study.acceptance.model = AcceptanceModel::ngram;
    for (std::uint32_t t = 0; t < table.tokens; ++t) {
      const auto proposed = static_cast<std::uint8_t>(dice.below(8));
      sources.proposals.push_back({proposed, static_cast<std::uint8_t>(dice.below(proposed + 1U))});
    }
    return sources;
  }
  study.acceptance.model = AcceptanceModel::captured;
  study.grid.bits = {4, 8};
  sources.captured = CapturedAcceptance{{0.25F, 0.75F, 0.5F}, {4, 4, 8}, {}, {}};
  for (int c = 0; c < 3; ++c) {
    auto& probabilities = sources.captured->probability.emplace_back();
    for (std::uint32_t t = 0; t < table.tokens; ++t) {
      probabilities.push_back(static_cast<float>(dice.below(101)) / 100);
    }
  }
  return sources;
}

Study random_study(std::uint32_t number, std::uint32_t experts, std::uint32_t layers, Dice& dice) {
  Study study;
  study.seed = number + 100;
  study.grid.batch = dice.some({1, 2, 3, 5}, 3);
  study.grid.depth = dice.some({0, 1, 2, 3, 6}, 3);
  study.grid.capacity = dice.some({1, 2, std::min(experts, 5U), std::max(1U, experts / 2), experts - 1, experts}, 4);
  study.rounds = dice.between(1, 12);
  study.start = dice.any({Start::warm, Start::cold});
  choose_acceptance(study, dice);
  switch (number % 10) {
    case 0:
      break;  // static: samples
    case 1:
      study.grid.policy = {Policy::lru};
      break;
    case 2:
      study.grid.policy = {Policy::static_residents, Policy::lru};
      break;
    case 3:
      study.grid.policy = {Policy::lru, Policy::static_residents};
      break;
    case 4:
      study.grid.policy = random_policies(dice);
      break;
    case 5:
      study.grid.policy = random_policies(dice);
      break;
    case 6:
      study.grid.policy = {Policy::hotness};
      break;
    case 7:
    case 8:
      study.grid.policy = random_policies(dice);
      study.cache.scope = Scope::pool;
      study.grid.capacity.clear();
      study.grid.pool = {1 + dice.below(experts * layers), 1 + dice.below(experts * layers)};
      std::sort(study.grid.pool.begin(), study.grid.pool.end());
      break;
    case 9:
      study.mode = Mode::exhaustive;
      study.grid.batch = {1};
      study.acceptance.rejected_routing = RejectedRouting::trace;
      break;
  }
  study.cache.parameters["protected"] = dice.any({0.0, 0.3, 0.8, 1.0});
  study.cache.parameters["decay"] = dice.any({0.0, 0.5, 0.875});
  if (!shares_starts(study)) study.warmup = dice.below(4);
  return study;
}

std::vector<ImpliedCapacity> random_implied(const Study& study, const RoutingTable& table, Dice& dice) {
  std::vector<ImpliedCapacity> implied;
  for (std::uint32_t i = dice.below(4); i > 0; --i) {
    const std::uint32_t batch = study.grid.batch[dice.below(static_cast<std::uint32_t>(study.grid.batch.size()))];
    implied.push_back({batch, dice.below(4) == 0, {dice.below(table.experts), dice.below(table.layers + 1)}});
  }
  for (std::size_t i = implied.size(); i-- > 0;) {  // a tier within it
    if (implied[i].capacity.base == 0 || dice.heads()) continue;
    ImpliedCapacity nearer = implied[i];
    nearer.capacity = {dice.below(nearer.capacity.base), dice.below(table.layers + 1)};
    implied[i].nearer = nearer.capacity;
    implied.push_back(nearer);
  }
  return implied;
}

/// Where a draft's replacements come from, for every token of the table.
TraceSources random_scores(const RoutingTable& table, Dice& dice) {
  TraceSources sources;
  for (std::size_t i = 0; i < std::size_t{table.tokens} * table.layers * table.top_k; ++i) {
    sources.gate_mass.push_back(static_cast<std::uint16_t>(dice.below(20'000)));
  }
  std::vector<std::uint16_t> order(table.experts);
  std::iota(order.begin(), order.end(), std::uint16_t{0});
  for (std::size_t row = 0; row < std::size_t{table.tokens} * table.layers; ++row) {
    std::swap(order[dice.below(table.experts)], order[dice.below(table.experts)]);
    sources.score_order.insert(sources.score_order.end(), order.begin(), order.end());
  }
  return sources;
}

/// A stretch of the family that starts at a random number, beyond 32 bits now and then.
TrajectoryRange random_range(Stream stream, const Plan& plan, Dice& dice) {
  if (plan.walk == Walk::enumerate || plan.walk == Walk::replay) return {stream, 0, plan.trajectories(0)};
  const std::uint64_t first = dice.heads() ? dice.below(300) : (std::uint64_t{1} << 32) - dice.below(5);
  return {stream, first, first + dice.between(4, 10)};
}

}  // namespace

StudyCase study_case(std::uint32_t number) {
  Dice dice(number);
  StudyCase one;
  const TableSpec spec = random_spec(number, dice);
  one.table = random_table(spec);
  one.study = random_study(number, spec.experts, spec.layers, dice);
  one.sources = random_sources(one.study, one.table, dice);
  one.implied = random_implied(one.study, one.table, dice);
  one.description =
      fmt::format("case {}: {} experts, {} layers, top {}, {} sequences, batches {}, depths {}", number, spec.experts,
                  spec.layers, spec.top_k, spec.lengths.size(), one.study.grid.batch, one.study.grid.depth);
  return one;
}

PerturbedTables random_perturbed(const RoutingTable& table, PerturbMethod method) {
  std::mt19937 random(5);
  PerturbedTables tables{table.layers, table.experts, table.top_k, 1, {}, {}, gumbel_table()};
  std::vector<std::uint32_t> cells(table.experts);
  for (std::size_t row = 0; row < std::size_t{table.tokens} * table.layers; ++row) {
    std::vector<std::int32_t> logits(table.experts);
    for (std::int32_t& logit : logits) logit = -static_cast<std::int32_t>(random() % (row % 16 * 4096 + 1));
    alias_row(logits, cells);
    tables.logits.insert(tables.logits.end(), logits.begin(), logits.end());
    if (method == PerturbMethod::alias) tables.alias.insert(tables.alias.end(), cells.begin(), cells.end());
  }
  return tables;
}

StudyCase elastic_case(std::uint32_t number) {
  Dice dice(number + 1000);
  StudyCase one;
  TableSpec spec = random_spec(number, dice);
  spec.layers = std::min(spec.layers, 9U);
  one.table = random_table(spec);
  Study& study = one.study;
  study = random_study(4, spec.experts, spec.layers, dice);  // several policies, each layer with slots of its own
  study.seed = number;
  if (dice.below(3) == 0) study.grid.policy = {Policy::lru};
  const char* feature = "replay";
  switch (number % 6) {
    case 0:
    case 1: {
      feature = number % 6 == 0 ? "alias" : "gumbel";
      study.mode = Mode::perturbed;
      one.sources.perturbed =
          random_perturbed(one.table, number % 6 == 0 ? PerturbMethod::alias : PerturbMethod::gumbel);
      if (dice.below(3) > 0) break;
      study.draft.width = dice.between(2, 3);  // a tree over paths that are redrawn
      study.draft.verify_tokens = dice.below(7);
      study.draft.sibling_routing = 0.25;
      study.grid.depth = {0, 2};
      break;
    }
    case 2:
      feature = "tree";
      study.draft.width = dice.between(2, 4);
      study.draft.verify_tokens = dice.below(8);
      study.draft.sibling_routing = dice.any({0.0, 0.25, 1.0});
      study.grid.depth = {0, 2, 3};
      break;
    case 3:
      feature = "slices";
      study.cache.objects = Objects::slices;
      if (spec.experts <= 300) one.table = with_slices(std::move(one.table));
      break;
    case 4:
      feature = "coverage";
      study.acceptance.model = AcceptanceModel::coverage;
      // An oracle needs a future that does not depend on the cache.
      std::erase_if(study.grid.policy,
                    [](Policy policy) { return policy == Policy::belady || policy == Policy::belady_bypass; });
      if (study.grid.policy.empty()) study.grid.policy = {Policy::slru};
      one.sources = random_scores(one.table, dice);
      one.sources.coverage = CoverageLaw{-1, 3};
      break;
    case 5:
      if (dice.heads()) {
        study.mode = Mode::replay;
        study.grid.batch = {1};
        study.acceptance.rejected_routing = RejectedRouting::trace;
      } else {
        feature = "scores";
        study.grid.policy = {Policy::lru, Policy::hotness};
        one.sources = random_scores(one.table, dice);
      }
      break;
  }
  one.implied = random_implied(study, one.table, dice);
  one.description = fmt::format(
      "elastic case {}, {}: {} experts, {} layers, top {}, {} sequences, batches {}, depths {}", number, feature,
      one.table.experts, spec.layers, one.table.top_k, spec.lengths.size(), study.grid.batch, study.grid.depth);
  return one;
}

StudyCase lru_grid_case(std::uint32_t number) {
  Dice dice(number + 2000);
  StudyCase one;
  TableSpec spec = random_spec(number, dice);
  spec.experts = dice.any({16U, 17U, 64U, 101U, 128U, 130U, 256U});
  spec.layers = dice.between(1, 3);
  spec.top_k = dice.between(1, 8);
  one.table = random_table(spec);
  Study& study = one.study;
  study.seed = number + 1;
  study.grid.policy = {Policy::lru};
  study.grid.batch = {dice.between(1, 3)};
  if (dice.below(4) == 0) study.grid.batch = {20};
  study.grid.depth = dice.some({0, 1, 2, 3, 4}, 2);
  std::set<std::uint32_t> capacities = {1, spec.experts};
  for (std::uint32_t i = dice.between(0, 20); i > 0; --i) capacities.insert(dice.between(1, spec.experts));
  if (dice.heads()) capacities.insert(0);
  study.grid.capacity = {capacities.begin(), capacities.end()};
  // Capacities that differ by layer.
  for (std::uint32_t i = dice.below(3); i > 0; --i)
    study.grid.pool.push_back(dice.between(1, spec.experts * spec.layers));
  study.rounds = study.grid.batch[0] == 20 ? dice.any({1U, 3U}) : dice.any({1U, 3U, 8U, 40U});
  study.start = dice.any({Start::warm, Start::cold});
  study.warmup = dice.any({0U, 0U, 5U});
  choose_acceptance(study, dice);
  one.sources = random_sources(study, one.table, dice);
  one.description =
      fmt::format("LRU grid {}: {} experts, {} layers, top {}, {} sequences, batches {}, depths {}", number,
                  spec.experts, spec.layers, spec.top_k, spec.lengths.size(), study.grid.batch, study.grid.depth);
  return one;
}

namespace {

Plan plan_of(const StudyCase& one) {
  return make_plan(one.study,
                   make_grid(one.study, one.implied, {.layers = one.table.layers, .objects = one.table.experts}),
                   one.table, one.sources);
}

/// Calls check(plan, range) for stretches of every family of a case's trajectories.
template <class Check>
void for_each_range(StudyCase one, const Check& check) {
  SCOPED_TRACE(one.description);
  // Joint histograms of hundreds of experts are counters by the hundred million, and tell no more than smaller ones.
  if (plan_of(one).layout.size > 4'000'000) one.implied.clear();
  const Plan plan = plan_of(one);
  Dice dice(static_cast<std::uint32_t>(plan.layout.size));
  std::vector<TrajectoryRange> ranges = {random_range(Stream::main, plan, dice)};
  if (plan.shape.groups.replicates > 0) ranges.push_back(random_range(Stream::replicates, plan, dice));
  if (plan.walk == Walk::episodes) {
    ranges.push_back(random_range(Stream::main, plan, dice));
    ranges.back().cell = dice.below(static_cast<std::uint32_t>(plan.layout.cells.size()));
  }
  for (const TrajectoryRange& range : ranges) check(plan, range);
}

void expect_equal(const std::vector<std::uint64_t>& expected, const std::vector<std::uint64_t>& found, std::size_t way,
                  const TrajectoryRange& range) {
  const auto wrong = std::mismatch(expected.begin(), expected.end(), found.begin());
  if (wrong.first == expected.end()) return;
  ADD_FAILURE() << fmt::format("way {}, stream {}, trajectories {} to {}: counter {} is {}, expected {}", way,
                               static_cast<int>(range.stream), range.first, range.last, wrong.first - expected.begin(),
                               *wrong.second, *wrong.first);
}

}  // namespace

void expect_same_integers(const StudyCase& one, const std::vector<Simulate>& ways) {
  std::uint64_t counted = 0;
  for_each_range(one, [&](const Plan& plan, const TrajectoryRange& range) {
    std::vector<std::uint64_t> first(plan.layout.size, 0);
    ways.front()(one.table, plan, range, first);
    counted = std::accumulate(first.begin(), first.end(), counted);
    for (std::size_t way = 1; way < ways.size(); ++way) {
      std::vector<std::uint64_t> counters(plan.layout.size, 0);
      ways[way](one.table, plan, range, counters);
      expect_equal(first, counters, way, range);
    }
  });
  EXPECT_GT(counted, 0U) << one.description;
}

}  // namespace moecarlo::testing
