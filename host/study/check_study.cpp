#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "cuda/core/histogram/histograms.hpp"
#include "cuda/core/prefetch/predictors.hpp"
#include "host/study/acceptance.hpp"
#include "host/study/limits.hpp"
#include "host/study/names.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

/// The rules that concern more than one key. A refusal names the keys and the reason.
struct Rules {
  const Study& study;
  const std::string& name;

  [[noreturn]] void refuse(const std::string& what, const std::string& why, const std::string& expected,
                           const std::string& found) const {
    fail(ErrorKind::usage, "{}: {} {} (expected {}, found {})", name, what, why, expected, found);
  }
  /// The first policy of the grid of which `holds` is true.
  std::optional<Policy> policy_that(bool (*holds)(Policy)) const {
    const auto found = std::find_if(study.grid.policy.begin(), study.grid.policy.end(), holds);
    return found == study.grid.policy.end() ? std::nullopt : std::optional(*found);
  }

  void check_pool() const {
    const bool pool = study.cache.scope == Scope::pool;
    if (pool && !study.grid.capacity.empty()) {
      refuse("cache.scope = \"global\"", "has one pool, and grid.capacity counts slots per layer",
             "grid.pool, the slots of all layers together", "grid.capacity");
    }
    if (!pool && !study.grid.pool.empty()) {
      refuse("grid.pool", "counts the slots of all layers together, and here each layer has its own",
             "cache.scope = \"global\", or grid.capacity", "cache.scope = \"layer\"");
    }
  }

  /// Hits of a smaller cache are hits of a larger one where it holds whatever the smaller one does, pass by pass.
  void check_nested() const {
    const auto& nested = study.grid.nested;
    if (nested.empty()) return;
    const auto not_nested = policy_that([](Policy policy) { return policy != Policy::lru && !never_changes(policy); });
    if (not_nested) {
      refuse("grid.nested", "needs caches of which the larger holds whatever the smaller one does",
             "static and lru in grid.policy", to_string(*not_nested));
    }
    const Acceptance rule = rule_of(study.acceptance.model);
    if (rule == Acceptance::by_token || rule == Acceptance::by_coverage) {
      refuse("grid.nested", "needs capacities that share their rounds",
             "an acceptance.model that does not look at the cache", to_string(study.acceptance.model));
    }
    if (study.demand && looks_at_residents(*study.demand)) {
      refuse("grid.nested", "needs capacities that are asked for the same", "a demand that does not look at residents",
             "one that does");
    }
    for (auto one = nested.begin(); one != nested.end(); ++one) {
      const auto same = [&](const NestedCapacities& other) { return other.far == one->far; };
      if (std::any_of(nested.begin(), one, same)) {
        refuse("grid.nested", "gives one capacity two smaller ones", "each larger capacity once",
               std::to_string(one->far));
      }
    }
  }

  void check_draft() const {
    const std::uint32_t deepest = study.grid.depth.back();
    if (std::uint64_t{deepest} * study.draft.width > kMostDraftTokens) {
      refuse("draft.width", "makes the tree too large",
             fmt::format("grid.depth x draft.width up to {}", kMostDraftTokens),
             fmt::format("{} x {}", deepest, study.draft.width));
    }
    if (study.draft.width > 1 && deepest == 0) {
      refuse("draft.width", "has no draft to shape", "a depth above 0 in grid.depth", "0");
    }
    if (study.draft.replacements == Replacements::popularity && !study.hardware) {
      refuse("draft.replacements", "decides which residents a draft touches, which only [hardware] asks for",
             "[hardware]", "none");
    }
    if (study.draft.verify_tokens != 0 && study.draft.verify_tokens < deepest) {
      refuse("draft.verify_tokens", "leaves out a part of the path", fmt::format("at least grid.depth, {}", deepest),
             std::to_string(study.draft.verify_tokens));
    }
  }

  /// Bits act through slices of experts that some schemes keep, or choose among captured acceptances.
  void check_bits() const {
    const bool whole = study.grid.bits == std::vector<std::uint32_t>{8};
    if (study.cache.objects == Objects::slices) {
      if (study.hardware && study.prefill) {
        refuse("cache.objects = \"slices\"", "has no hardware rows of prompts", "no [prefill]", "one");
      }
      if (study.grid.bits != std::vector<std::uint32_t>{4}) {
        refuse("grid.bits", "does not cut a weight into two slices of equal size", "[4]",
               fmt::format("[{}]", fmt::join(study.grid.bits, ", ")));
      }
      return;
    }
    if (whole || study.hardware || rule_of(study.acceptance.model) == Acceptance::by_token) return;
    refuse("grid.bits", "has no slices to act on: these policies hold whole experts",
           "[hardware], acceptance.model = \"captured\" or cache.objects = \"slices\"", "none of them");
  }

  void check_acceptance() const {
    const bool recorded = traits_of(study.acceptance.model).recorded;
    if (recorded && study.mode != Mode::replay) {
      refuse("acceptance.model = \"rounds\"", "replays recorded rounds in order", "study.mode = \"replay\"",
             to_string(study.mode));
    }
    if (study.rounds_rows && !recorded) {
      refuse("study.rounds_rows", "cuts recorded rounds", "acceptance.model = \"rounds\"",
             to_string(study.acceptance.model));
    }
    if (study.acceptance.rejected_routing == RejectedRouting::captured && !recorded) {
      refuse("acceptance.rejected_routing = \"captured\"", "takes the columns of recorded rounds",
             "acceptance.model = \"rounds\"", to_string(study.acceptance.model));
    }
    if (study.mode == Mode::perturbed && rule_of(study.acceptance.model) == Acceptance::by_coverage) {
      refuse("acceptance.model = \"coverage\"", "knows the gate mass of the trace's own routing only",
             "another mode than perturbed", "perturbed");
    }
  }

  void check_policies() const {
    if (const auto oracle = policy_that(reads_future);
        oracle && rule_of(study.acceptance.model) == Acceptance::by_coverage) {
      refuse(fmt::format("grid.policy = \"{}\"", to_string(*oracle)),
             "needs a future that does not depend on the cache", "an acceptance.model other than coverage", "coverage");
    }
    const auto hears = policy_that(hears_drafts);
    if (hears && study.grid.depth.back() == 0) {
      refuse(fmt::format("grid.policy = \"{}\"", to_string(*hears)), "counts what drafts choose",
             "a depth above 0 in grid.depth", "0");
    }
    for (std::uint32_t i = 0; i < kPolicies; ++i) {
      const PolicyParameter& parameter = parameter_of(Policy{i});
      const auto& policies = study.grid.policy;
      if (parameter.key == nullptr || study.cache.parameter(Policy{i}) == parameter.usual) continue;
      if (std::find(policies.begin(), policies.end(), Policy{i}) != policies.end()) continue;
      refuse(fmt::format("cache.{}", parameter.key), fmt::format("is a number of {}", to_string(Policy{i})),
             fmt::format("{} in grid.policy", to_string(Policy{i})), "none");
    }
    const auto unsized = policy_that([](Policy policy) { return !has_capacity(policy); });
    if (unsized && rule_of(study.acceptance.model) == Acceptance::by_token) {
      refuse(fmt::format("grid.policy = \"{}\"", to_string(*unsized)),
             "has no capacity, and captured acceptance is known by the share of experts that are resident",
             "policies that have one", to_string(study.acceptance.model));
    }
    if (unsized && study.hardware) {
      refuse(fmt::format("grid.policy = \"{}\"", to_string(*unsized)),
             "has no capacity, and [hardware] places as many experts as fit", "policies that have one", "[hardware]");
    }
  }

  void check_replay() const {
    if (study.mode != Mode::replay) return;
    const auto no = [&](const char* key, const char* expected, const std::string& found) {
      refuse(key, "is not possible in mode replay", expected, found);
    };
    if (study.grid.batch != std::vector<std::uint32_t>{1}) {
      no("grid.batch", "[1]", fmt::format("[{}]", fmt::join(study.grid.batch, ", ")));
    }
    const AcceptanceModel model = study.acceptance.model;
    const bool fixed = traits_of(model).in_order || study.grid.depth.back() == 0 ||
                       (model == AcceptanceModel::constant && study.acceptance.alphas.empty() &&
                        (*study.acceptance.alpha == 0 || *study.acceptance.alpha == 1));
    if (!fixed) {
      no("acceptance.model", "one that fixes every length: ngram, rounds, constant with alpha 0 or 1, or depth 0 alone",
         to_string(model));
    }
    if (study.acceptance.rejected_routing == RejectedRouting::resample)
      no("acceptance.rejected_routing", "trace", "resample");
    if (study.draft.width > 1) no("draft.width", "1, a chain", std::to_string(study.draft.width));
    if (study.warmup > 0) no("study.warmup", "0", std::to_string(study.warmup));
    if (study.stop) no("[stop]", "no adaptive stop", "one");
    if (const auto drawing = policy_that(draws)) no("grid.policy", "policies that draw nothing", to_string(*drawing));
  }

  void check_perturbed() const {
    if (study.mode == Mode::perturbed) {
      if (study.cache.objects == Objects::slices) {
        refuse("cache.objects = \"slices\"", "knows the trace's own routing only", "another mode than perturbed",
               "perturbed");
      }
      return;
    }
    if (study.temperature != 1 || study.redraw != Redraw::alias) {
      refuse(study.temperature != 1 ? "study.temperature" : "study.redraw", "redraws routing from the logits",
             "study.mode = \"perturbed\"", to_string(study.mode));
    }
  }

  /// Prefills are walked once, and nothing is drafted or drawn in them.
  void check_prefill() const {
    if (!study.prefill) return;
    for (const auto& [cannot, why] :
         {std::pair{policy_that(hears_drafts), "counts what drafts choose, and a prefill has none"},
          std::pair{policy_that(draws), "draws, and a prefill is walked once"}}) {
      if (!cannot) continue;
      refuse(fmt::format("grid.policy = \"{}\"", to_string(*cannot)), why, "other policies beside [prefill]",
             to_string(*cannot));
    }
    if (study.mode == Mode::perturbed) {
      refuse("[prefill]", "knows the trace's own routing only", "another mode than perturbed", "perturbed");
    }
    if (study.prefill->mixed) check_mixed();
  }

  /// Mixed rounds are walked by themselves, their drafts accepted by position.
  void check_mixed() const {
    if (!study.hardware) {
      refuse("prefill.mixed", "changes the rounds of hardware rows", "[hardware]", "none");
    } else if (rule_of(study.acceptance.model) != Acceptance::by_position) {
      refuse("prefill.mixed", "draws what is accepted by position alone",
             "constant, ratio, positions, marginal or lengths", to_string(study.acceptance.model));
    } else if (study.acceptance.rejected_routing != RejectedRouting::trace) {
      refuse("prefill.mixed", "routes rejected tokens as the trace does", "acceptance.rejected_routing = \"trace\"",
             to_string(study.acceptance.rejected_routing));
    } else if (study.draft.width > 1) {
      refuse("prefill.mixed", "walks chains", "draft.width 1", std::to_string(study.draft.width));
    } else if (study.demand) {
      refuse("prefill.mixed", "takes whatever the router chose", "no [demand]", "one");
    } else if (study.cache.objects == Objects::slices) {
      refuse("prefill.mixed", "walks whole experts", "cache.objects = \"experts\"", "slices");
    }
  }

  /// What is fetched ahead is counted in episodes, one cache a layer, of whole experts.
  void check_prefetch() const {
    if (!study.prefetch) return;
    with_predictor(study.prefetch->predictor, [&](auto predictor) {
      using Predictor = decltype(predictor);
      const std::string name_of_it = fmt::format("prefetch.predictor = \"{}\"", Predictor::kName);
      if (Predictor::kNeedsDraft && study.grid.depth.back() == 0) {
        refuse(name_of_it, "looks at what drafts choose", "a depth above 0 in grid.depth", "0");
      }
      if (Predictor::kNeedsTokens && (study.draft.width > 1 || study.mode == Mode::perturbed)) {
        refuse(name_of_it, "knows the trace's own routing only", "a chain, and another mode than perturbed",
               study.draft.width > 1 ? "a tree" : "perturbed");
      }
      if (!Predictor::kTakesExperts && study.prefetch->experts) {
        refuse("prefetch.experts", "is a number of popularity and layers", "one of these in prefetch.predictor",
               Predictor::kName);
      }
    });
    if (study.mode == Mode::exhaustive) {
      refuse("[prefetch]", "is counted along episodes", "another mode than exhaustive", "exhaustive");
    }
    if (study.cache.scope == Scope::pool || study.cache.objects == Objects::slices) {
      refuse("[prefetch]", "fetches whole experts into the caches of their layers",
             "cache.scope = \"layer\" and cache.objects = \"experts\"",
             study.cache.scope == Scope::pool ? "one pool" : "slices");
    }
  }

  void check_demand() const {
    const bool counts_products = (study.histograms & set_of<GateProducts>()) != 0;
    if (!study.demand) {
      if (counts_products) {
        refuse("study.histograms", "counts what demand rules look at", "a table [demand]", "none");
      }
      return;
    }
    if (counts_products) check_gates(fmt::format("study.histograms = \"{}\"", GateProducts::kName));
    if (drops_channels(*study.demand)) check_gates("demand.channels");
    check_paths();
    const std::vector<DemandRule>& rules = study.demand->rules;
    for (const auto& [key, values] : study.demand->stated) {
      const auto takes = [&key = key](DemandRule rule) {
        const auto parameters = parameters_of(rule);
        return std::any_of(parameters.begin(), parameters.end(), [&](const auto& one) { return key == one.key; });
      };
      if (std::any_of(rules.begin(), rules.end(), takes)) continue;
      const auto& names = demand_rule_names();
      const auto owner = std::find_if(names.begin(), names.end(), [&](const auto& one) { return takes(one.second); });
      refuse("demand." + key, fmt::format("is a key of {}", owner->first),
             fmt::format("{} in demand.rule", owner->first), "none");
    }
    const auto oracle = policy_that(reads_future);
    if (oracle && looks_at_residents(*study.demand)) {
      refuse(fmt::format("grid.policy = \"{}\"", to_string(*oracle)),
             "needs a future that does not depend on the cache", "a demand that does not look at residents",
             "one that does");
    }
    for (const DemandRule rule : rules) {
      if (rule != DemandRule::all) check_rule(rule);
    }
    for (const DemandPoint& point : demand_points(*study.demand)) {
      const Misfit misfit = moecarlo::misfit(point.demand);
      if (misfit.why != nullptr) {
        refuse(fmt::format("demand.rule = \"{}\"", to_string(point.demand.rule)), misfit.why, misfit.expected,
               misfit.found);
      }
    }
  }

  /// Of a rule that looks at what columns are worth.
  void check_rule(DemandRule rule) const {
    const std::string name_of_rule = fmt::format("demand.rule = \"{}\"", to_string(rule));
    if (needs_slices(rule) && study.cache.objects != Objects::slices) {
      refuse(name_of_rule, "asks for slices of experts", "cache.objects = \"slices\"", to_string(study.cache.objects));
    }
    if (reads_gates(rule)) check_gates(name_of_rule);
  }

  void check_paths() const {
    const std::uint32_t deepest = study.grid.depth.back();
    const bool by_position = !traits_of(study.acceptance.model).unknown_odds;
    if (study.demand->path == PathProbability::acceptance && deepest > 0 && weighs_paths(study) && !by_position) {
      refuse("demand.path = \"acceptance\"", "needs to know how likely each draft token is accepted",
             "\"one\" or a list by depth", to_string(study.acceptance.model));
    }
    if (study.demand->path == PathProbability::listed && study.demand->confidences.size() <= deepest) {
      refuse("demand.path", "is too short for the deepest draft", fmt::format("{} values", deepest + 1),
             std::to_string(study.demand->confidences.size()));
    }
  }

  void check_gates(const std::string& key) const {
    if (study.mode == Mode::perturbed) {
      refuse(key, "knows the gates of the trace's own routing only", "another mode than perturbed", "perturbed");
    }
    if (study.acceptance.rejected_routing == RejectedRouting::captured) {
      refuse(key, "needs gates, which recorded columns do not have",
             "another acceptance.rejected_routing than captured", "captured");
    }
  }

  void check_exhaustive() const {
    const auto no = [&](const char* key, const char* expected, const std::string& found) {
      fail(ErrorKind::usage, "{}: {} is not possible in exhaustive mode (expected {}, found {})", name, key, expected,
           found);
    };
    if (study.grid.batch != std::vector<std::uint32_t>{1}) {
      no("grid.batch", "[1]", fmt::format("[{}]", fmt::join(study.grid.batch, ", ")));
    }
    for (const Policy policy : study.grid.policy) {
      if (!never_changes(policy)) no("grid.policy", "stateless policies: static", to_string(policy));
    }
    if (study.acceptance.rejected_routing != RejectedRouting::trace) {
      no("acceptance.rejected_routing", "trace", to_string(study.acceptance.rejected_routing));
    }
    if (study.stop) no("[stop]", "no adaptive stop", "one");
    if (reads_trace(study.acceptance.model)) {
      no("acceptance.model", "a law of the draft position: constant, ratio, positions or lengths",
         to_string(study.acceptance.model));
    }
    if (study.draft.width > 1) no("draft.width", "1, a chain", std::to_string(study.draft.width));
    if (study.cache.scope != Scope::layer) no("cache.scope", "layer", to_string(study.cache.scope));
    if (study.cache.objects != Objects::experts) no("cache.objects", "experts", to_string(study.cache.objects));
  }
};

}  // namespace

bool shares_starts(const Study& study) {
  const auto& policies = study.grid.policy;
  const bool forgets = std::all_of(policies.begin(), policies.end(), never_changes);
  return forgets && study.mode == Mode::random && study.draft.width == 1 && study.cache.scope == Scope::layer &&
         study.cache.objects == Objects::experts && !reads_trace(study.acceptance.model) && !study.demand &&
         !study.prefetch;
}

bool weighs_paths(const Study& study) {
  if (!study.demand) return false;
  const std::vector<DemandRule>& rules = study.demand->rules;
  return std::any_of(rules.begin(), rules.end(), reads_paths) || (study.histograms & set_of<GateProducts>()) != 0;
}

void check_study(const Study& study, const std::string& name) {
  if (study.rounds + study.warmup > kMostRounds) {
    fail(ErrorKind::usage, "{}: study.rounds + study.warmup is too large (expected at most {}, found {})", name,
         kMostRounds, study.rounds + study.warmup);
  }
  acceptance_thresholds(study.acceptance, study.grid.depth.back(), name);
  const Rules rules{study, name};
  if (study.mode == Mode::exhaustive) rules.check_exhaustive();
  rules.check_pool();
  rules.check_nested();
  rules.check_draft();
  rules.check_bits();
  rules.check_acceptance();
  rules.check_policies();
  rules.check_replay();
  rules.check_perturbed();
  rules.check_demand();
  rules.check_prefill();
  rules.check_prefetch();
}

}  // namespace moecarlo
