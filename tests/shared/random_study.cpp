#include "tests/shared/random_study.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "cuda/core/histogram/histograms.hpp"
#include "host/study/names.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "tests/shared/dice.hpp"

namespace moecarlo::testing {
namespace {

using oracle::Trace;

constexpr std::uint32_t kMostDrafted = 4;

/// top_k different experts, at random.
std::vector<int> random_choices(const Trace& trace, Dice& dice) {
  std::vector<int> chosen;
  while (static_cast<int>(chosen.size()) < trace.top_k) {
    const int expert = static_cast<int>(dice.below(static_cast<std::uint32_t>(trace.experts)));
    if (std::find(chosen.begin(), chosen.end(), expert) == chosen.end()) chosen.push_back(expert);
  }
  return chosen;
}

/// Logits of one layer that drift from token to token around the layer's own taste; coarse ones have ties.
struct Drift {
  std::vector<double> taste, now;
  double step;

  Drift(int experts, double spread, double step_size, Dice& dice) : step(step_size) {
    for (int e = 0; e < experts; ++e) taste.push_back(spread * (dice.share() - 0.5));
    now = taste;
  }
  void next(Dice& dice) {
    for (std::size_t e = 0; e < now.size(); ++e) {
      now[e] = taste[e] + 0.7 * (now[e] - taste[e]) + step * (dice.share() - 0.5);
      now[e] = std::round(now[e] * 64) / 64;
    }
  }
};

/// Chooses by logits, best first, ties to the lower index.
std::vector<int> best_of(const std::vector<double>& logits, int top_k) {
  std::vector<int> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logits[a] > logits[b]; });
  order.resize(top_k);
  return order;
}

void add_routing(Trace& trace, bool logits, bool weights, Dice& dice) {
  std::vector<Drift> layers;
  const double spread = dice.any({0.5, 4.0, 12.0}), step = dice.any({2.0, 6.0});
  for (int layer = 0; layer < trace.layers; ++layer) layers.emplace_back(trace.experts, spread, step, dice);
  const int tokens = std::accumulate(trace.lengths.begin(), trace.lengths.end(), 0);
  for (int token = 0; token < tokens; ++token) {
    trace.chosen.emplace_back();
    if (logits) trace.logit.emplace_back();
    if (weights) trace.weight.emplace_back();
    for (Drift& layer : layers) {
      layer.next(dice);
      const std::vector<int> chosen = best_of(layer.now, trace.top_k);
      trace.chosen.back().push_back(chosen);
      if (logits) trace.logit.back().push_back(layer.now);
      if (!weights) continue;
      std::vector<double> weight;
      for (const int expert : chosen) {
        const double logit = layer.now[expert];
        weight.push_back(!logits         ? (1 + dice.below(64)) / 64.0
                         : trace.sigmoid ? 1 / (1 + std::exp(-logit))
                                         : std::exp(logit));
      }
      trace.weight.back().push_back(weight);
    }
    trace.word.push_back(static_cast<int>(dice.below(4)));
  }
}

void add_captured(Trace& trace, Dice& dice) {
  for (const auto& [fraction, bits] : {std::pair{0.25, 4}, std::pair{0.75, 4}, std::pair{0.5, 6}}) {
    Trace::Configuration one{fraction, bits, {}};
    for (int token = 0; token < trace.tokens(); ++token) {
      one.probability.push_back(static_cast<float>(dice.below(101)) / 100.0F);
    }
    trace.captured.push_back(one);
  }
}

/// A speculative run over every sequence. What it routed is the trace's own mostly.
void add_recorded(Trace& trace, Dice& dice) {
  for (int sequence = 0; sequence < static_cast<int>(trace.lengths.size()); ++sequence) {
    const int end = trace.first(sequence) + trace.lengths[sequence];
    for (int token = trace.first(sequence); token < end;) {
      Trace::Round round;
      round.token = token;
      round.drafted = static_cast<int>(dice.below(kMostDrafted + 1));
      round.accepted = static_cast<int>(dice.below(static_cast<std::uint32_t>(round.drafted) + 1));
      for (int level = 0; level <= round.drafted; ++level) {
        auto& column = round.chosen.emplace_back();
        for (int layer = 0; layer < trace.layers; ++layer) {
          const bool own = token + level < end && dice.below(5) > 0;
          column.push_back(own ? trace.chosen[token + level][layer] : random_choices(trace, dice));
        }
      }
      token += round.accepted + 1;
      trace.recorded.push_back(round);
    }
  }
}

Trace make_trace(bool logits, bool weights, Dice& dice) {
  Trace trace;
  const bool wide = dice.below(12) == 0;  // several words of mask
  trace.experts = static_cast<int>(wide ? dice.any({70U, 130U, 260U}) : dice.any({4U, 7U, 12U, 16U, 20U}));
  trace.layers = static_cast<int>(wide ? 1 : dice.below(8) == 0 ? dice.between(8, 9) : dice.between(1, 3));
  trace.top_k = static_cast<int>(dice.between(1, std::min(4U, static_cast<std::uint32_t>(trace.experts))));
  trace.sigmoid = logits && dice.below(3) == 0;
  const std::uint32_t sequences = dice.heads() ? dice.between(1, 5) : dice.between(8, 12);
  for (std::uint32_t s = 0; s < sequences; ++s) {
    const bool is_short = s > 1 && dice.below(3) == 0;  // two are long: one of them is evaluated, whatever the split
    trace.lengths.push_back(static_cast<int>(is_short ? dice.between(1, 6) : dice.between(8, 20)));
  }
  add_routing(trace, logits, weights, dice);
  add_captured(trace, dice);
  add_recorded(trace, dice);
  return trace;
}

void choose_acceptance(Study& study, Dice& dice) {
  AcceptanceSpec& spec = study.acceptance;
  spec.model =
      dice.any({AcceptanceModel::constant, AcceptanceModel::ratio, AcceptanceModel::positions, AcceptanceModel::lengths,
                AcceptanceModel::captured, AcceptanceModel::coverage, AcceptanceModel::ngram, AcceptanceModel::rounds});
  if (study.mode == Mode::replay) {
    spec.model = dice.any({AcceptanceModel::constant, AcceptanceModel::ngram, AcceptanceModel::rounds});
  }
  spec.rejected_routing = dice.any({RejectedRouting::trace, RejectedRouting::resample});
  spec.alpha = study.mode == Mode::replay ? dice.any({0.0, 1.0}) : dice.any({0.0, 0.4, 0.7, 0.9, 1.0});
  if (spec.model == AcceptanceModel::rounds) {
    spec.rejected_routing = dice.any({RejectedRouting::trace, RejectedRouting::captured});
  }
  for (std::uint32_t i = 0; i < kMostDrafted; ++i) {
    spec.positions.push_back(dice.below(11) / 10.0);
    spec.lengths.push_back(dice.below(20));
  }
  spec.lengths.push_back(1);
  spec.longest = dice.between(1, 3);
  if (spec.model == AcceptanceModel::coverage) {
    spec.b0 = dice.any({-1.0, -3.0});
    spec.b1 = dice.any({0.0, 3.0, 6.0});
  }
  if (spec.model == AcceptanceModel::captured) study.grid.bits = dice.any({std::vector<std::uint32_t>{4}, {3, 5}, {8}});
}

/// The first studies stay what they were when tests/golden/tallies.txt was made: they choose from the policies of then,
/// and ask for no histogram.
constexpr std::uint32_t kGoldenStudies = 120, kGoldenPolicies = 9;

void choose_policies(Study& study, std::uint32_t number, Dice& dice) {
  std::set<Policy> policies;
  const std::uint32_t count = dice.any({1U, 1U, 2U, 3U}), known = number < kGoldenStudies ? kGoldenPolicies : kPolicies;
  while (policies.size() < count) policies.insert(static_cast<Policy>(dice.below(known)));
  study.grid.policy = {policies.begin(), policies.end()};
  if (policies.count(Policy::slru) > 0) study.cache.parameters["protected"] = dice.any({0.0, 0.3, 0.5, 0.9, 1.0});
  if (policies.count(Policy::hotness) > 0) study.cache.parameters["decay"] = dice.any({0.0, 0.5, 0.875});
  if (policies.count(Policy::window) > 0) study.cache.parameters["window"] = dice.any({1.0, 2.0, 7.0});
}

/// Objects that a layer's cache can hold.
std::uint32_t objects_of(const Study& study, const Trace& trace) {
  return static_cast<std::uint32_t>(trace.experts) * (study.cache.objects == Objects::slices ? 2 : 1);
}

/// The study of a kind: what the others have with a small probability, a kind has for sure.
Study propose_study(std::uint32_t number, const Trace& trace, Dice& dice) {
  const std::uint32_t kind = number % 10;
  Study study;
  study.seed = dice.below(1000);
  study.rounds = dice.between(1, 5);
  study.warmup = dice.any({0U, 0U, 1U, 3U});
  study.start = dice.any({Start::warm, Start::cold});
  study.calibration = dice.heads() ? std::optional<double>(dice.any({0.2, 0.5})) : std::nullopt;
  study.grid.batch = dice.some({1, 2, 3, 4}, 2);
  study.grid.depth = dice.some({0, 1, 2, 3, kMostDrafted}, 2);
  study.mode = kind == 4 ? Mode::exhaustive : kind == 5 ? Mode::replay : kind == 6 ? Mode::perturbed : Mode::random;
  choose_policies(study, number, dice);
  choose_acceptance(study, dice);
  if (kind == 0) study.grid.policy = {Policy::static_residents};
  if (kind == 1) study.grid.policy = {Policy::lru};
  if (kind == 2) study.acceptance.model = dice.any({AcceptanceModel::ngram, AcceptanceModel::captured});
  if (study.mode == Mode::exhaustive) study.grid.policy = {Policy::static_residents};
  if (study.mode == Mode::exhaustive || study.mode == Mode::replay) study.grid.batch = {1}, study.warmup = 0;
  if (study.mode == Mode::perturbed) {
    study.temperature = dice.any({0.3, 1.0, 3.0});
    study.redraw = dice.any({Redraw::alias, Redraw::gumbel});
  }
  if (kind == 7 || dice.below(6) == 0) study.cache.scope = Scope::pool;
  if (kind == 8 || dice.below(6) == 0) study.cache.objects = Objects::slices, study.grid.bits = {4};
  if (kind == 9 || dice.below(6) == 0) {
    study.draft.width = dice.between(2, 3);
    study.draft.verify_tokens = dice.any({0U, study.grid.depth.back(), study.grid.depth.back() + 1});
    study.draft.sibling_routing = dice.any({0.0, 0.3, 0.8, 1.0});
  }
  study.draft.gate_mass = dice.heads();
  const std::uint32_t all = objects_of(study, trace);
  std::set<std::uint32_t> slots;
  const std::uint32_t most = study.cache.scope == Scope::pool ? all * static_cast<std::uint32_t>(trace.layers) : all;
  for (std::uint32_t i = dice.between(1, kind == 1 ? 5 : 2); i > 0; --i) {
    slots.insert(dice.any({1U, std::min(all, 3U), std::max(1U, most / 3), std::max(1U, most / 2), most}));
  }
  (study.cache.scope == Scope::pool ? study.grid.pool : study.grid.capacity).assign(slots.begin(), slots.end());
  return study;
}

/// Coarse distances between experts, with ties.
void add_distances(Trace& trace, Dice& dice) {
  trace.apart.assign(trace.layers, std::vector(trace.experts, std::vector<double>(trace.experts)));
  for (auto& layer : trace.apart) {
    for (std::vector<double>& row : layer) {
      for (double& distance : row) distance = dice.below(6) / 4.0;
    }
  }
}

/// Magnitudes of a few words of channels, and scales that are exact in float32.
void add_magnitudes(Trace& trace, Dice& dice) {
  const std::uint32_t channels = dice.any({1U, 5U, 64U, 70U});
  for (int layer = 0; layer < trace.layers; ++layer) trace.scale.push_back(dice.any({0.25, 1.0}));
  trace.magnitude.assign(trace.tokens(), std::vector(trace.layers, std::vector<int>(channels)));
  for (auto& token : trace.magnitude) {
    for (std::vector<int>& layer : token) {
      for (int& magnitude : layer) magnitude = static_cast<int>(dice.below(256));
    }
  }
}

/// What the trace of a study with demand rules holds besides; whether it can serve it.
bool add_demanded(RandomStudy& one, Dice& dice) {
  const DemandSpec& demand = *one.study.demand;
  if (std::any_of(demand.rules.begin(), demand.rules.end(), drafts_nearest)) add_distances(one.trace, dice);
  if (drops_channels(demand)) add_magnitudes(one.trace, dice);
  if (demand.path == PathProbability::acceptance && weighs_paths(one.study) && dice.below(3) == 0) {
    for (int token = 0; token < one.trace.tokens(); ++token) one.trace.drafted.push_back(dice.below(65) / 64.0);
  }
  const bool gates = std::any_of(demand.rules.begin(), demand.rules.end(), reads_gates) || drops_channels(demand) ||
                     (one.study.histograms & set_of<GateProducts>()) != 0;
  return !gates || !one.trace.weight.empty();
}

/// What columns of later studies ask for: rules and what each takes, at random.
void choose_demand(Study& study, Dice& dice) {
  DemandSpec demand;
  demand.rules.clear();
  const std::vector<DemandRule> rules = all_demand_rules();
  for (const DemandRule rule : rules) {
    if (needs_slices(rule) && study.cache.objects != Objects::slices) continue;
    const std::uint32_t of = needs_slices(rule) ? 3 : static_cast<std::uint32_t>(rules.size());
    if (dice.below(of) < 2) demand.rules.push_back(rule);
  }
  if (demand.rules.empty()) demand.rules.push_back(DemandRule::all);
  for (const DemandRule rule : demand.rules) {
    const bool takes_first = dice.heads();
    std::size_t lists = 0;
    for (const DemandParameter& one : parameters_of(rule)) {
      if (takes_one_list(rule) && one.is_list() && (++lists == 1) != takes_first) continue;
      if (one.is_optional && dice.heads()) continue;
      std::vector<double>& values = demand.stated[one.key];
      const auto words = static_cast<std::uint32_t>(
          std::count_if(std::begin(one.words), std::end(one.words), [](const char* word) { return word != nullptr; }));
      values = one.kind == DemandParameter::Kind::numbers ? std::vector<double>{dice.any({0.0, 0.02, 0.1, 0.3, 0.7})}
               : one.is_list()                            ? std::vector<double>{dice.any({1.0, 2.0, 4.0, 9.0})}
               : one.kind == DemandParameter::Kind::file  ? std::vector<double>{0}
               : one.kind == DemandParameter::Kind::flag  ? std::vector<double>{dice.any({0.0, 1.0})}
                                                          : std::vector<double>{static_cast<double>(dice.below(words))};
    }
  }
  demand.path = dice.any(
      {PathProbability::acceptance, PathProbability::acceptance, PathProbability::one, PathProbability::listed});
  if (demand.path == PathProbability::listed) demand.confidences = {1, 0.8, 0.5, 0.5, 0.1};
  if (dice.below(3) == 0) demand.channels = dice.heads() ? std::vector<double>{8} : std::vector<double>{0, 30};
  if (dice.below(3) == 0) study.histograms = set_of<GateProducts>();
  study.demand = demand;
}

bool is_possible(const Study& study, const Trace& trace) {
  if (study.calibration && trace.lengths.size() < 3) return false;
  if (study.acceptance.model == AcceptanceModel::coverage && trace.weight.empty()) return false;
  if (study.mode == Mode::perturbed && trace.logit.empty()) return false;
  const bool cuts_rounds = std::any_of(study.grid.depth.begin(), study.grid.depth.end(),
                                       [](std::uint32_t depth) { return depth > 0 && depth < kMostDrafted; });
  if (study.acceptance.model == AcceptanceModel::rounds && cuts_rounds) return false;
  try {
    check_study(study, "study");
  } catch (const Error&) {
    return false;
  }
  return true;
}

/// Of later studies: ranges of layers, and a design point that drafts where a rule is about drafts alone.
void add_later_designs(RandomStudy& one, Dice& dice) {
  if (one.trace.layers > 1 && dice.heads()) {
    const auto most = static_cast<std::uint32_t>(one.trace.layers) - 1;
    one.study.layer_ranges = dice.some({1, most}, 2);
  }
  if (!one.study.demand) return;
  const std::vector<DemandRule>& rules = one.study.demand->rules;
  if (std::none_of(rules.begin(), rules.end(), drafts_nearest)) return;
  const Capacity half{(objects_of(one.study, one.trace) + 1) / 2, 0};
  one.implied.push_back({one.study.grid.batch.back(), false, half});
}

}  // namespace

RandomStudy random_study(std::uint32_t number) {
  Dice dice(number);
  const std::uint32_t kind = number % 10;
  RandomStudy one;
  do {
    const bool logits = dice.heads() || kind == 6;
    one.trace = make_trace(logits, logits || dice.below(4) > 0, dice);
    one.study = propose_study(number, one.trace, dice);
  } while (!is_possible(one.study, one.trace));
  const Study& study = one.study;
  if (dice.below(3) == 0) {
    const Capacity capacity{dice.below(objects_of(study, one.trace)),
                            dice.below(static_cast<std::uint32_t>(one.trace.layers) + 1)};
    one.implied.push_back({study.grid.batch.back(), dice.below(4) == 0, capacity});
    if (dice.heads()) one.study.draft.replacements = Replacements::popularity;
  }
  if (number >= kGoldenStudies && (number % 3 == 0 || number % 6 == 4)) {
    one.study.histograms = asked_by_name() & ~set_of<GateProducts>();
  }
  if (number >= kGoldenStudies && number % 3 == 1) {
    choose_demand(one.study, dice);
    if (!is_possible(one.study, one.trace) || !add_demanded(one, dice)) {
      one.study.histograms = 0;
      *one.study.demand = {};
    }
    if (!is_possible(one.study, one.trace)) one.study.demand.reset();
  }
  if (number >= kGoldenStudies) add_later_designs(one, dice);
  std::vector<const char*> policies, demands;
  for (const DemandRule rule : study.demand ? study.demand->rules : std::vector<DemandRule>{}) {
    demands.push_back(to_string(rule));
  }
  for (const Policy policy : study.grid.policy) policies.push_back(to_string(policy));
  one.description = fmt::format(
      "study {}: mode {}, {}, policies {}, batches {}, depths {}, width {}, {}{}, {} layers, top-{} of {}{}{}", number,
      to_string(study.mode), to_string(study.acceptance.model), fmt::join(policies, " "), study.grid.batch,
      study.grid.depth, study.draft.width, study.cache.scope == Scope::pool ? "pool" : "per layer",
      study.cache.objects == Objects::slices ? " of slices" : "", one.trace.layers, one.trace.top_k, one.trace.experts,
      demands.empty() ? "" : ", demands ", fmt::join(demands, " "));
  return one;
}

}  // namespace moecarlo::testing
