#include "host/study/names.hpp"

#include <algorithm>

#include "cuda/core/demand/demands.hpp"
#include "cuda/core/histogram/histograms.hpp"

namespace moecarlo {
namespace {

template <class T>
const char* name_in(const Names<T>& names, T value) {
  return std::find_if(names.begin(), names.end(), [&](const auto& entry) { return entry.second == value; })->first;
}

}  // namespace

const Names<Mode>& mode_names() {
  static const Names<Mode> names = {{"random", Mode::random},
                                    {"exhaustive", Mode::exhaustive},
                                    {"replay", Mode::replay},
                                    {"perturbed", Mode::perturbed}};
  return names;
}
const Names<Start>& start_names() {
  static const Names<Start> names = {{"warm", Start::warm}, {"cold", Start::cold}};
  return names;
}
const Names<Policy>& policy_names() {
  static const Names<Policy> names = [] {
    Names<Policy> all;
    for (std::uint32_t i = 0; i < kPolicies; ++i) {
      all.emplace_back(with_rule(Policy{i}, [](auto rule) { return decltype(rule)::kName; }), Policy{i});
    }
    return all;
  }();
  return names;
}
const Names<Scope>& scope_names() {
  static const Names<Scope> names = {{"layer", Scope::layer}, {"global", Scope::pool}};
  return names;
}
const Names<Objects>& objects_names() {
  static const Names<Objects> names = {{"experts", Objects::experts}, {"slices", Objects::slices}};
  return names;
}
const Names<Replacements>& replacements_names() {
  static const Names<Replacements> names = {{"scores", Replacements::scores}, {"popularity", Replacements::popularity}};
  return names;
}
const Names<Redraw>& redraw_names() {
  static const Names<Redraw> names = {{"alias", Redraw::alias}, {"gumbel", Redraw::gumbel}};
  return names;
}
const Names<RejectedRouting>& rejected_routing_names() {
  static const Names<RejectedRouting> names = {{"trace", RejectedRouting::trace},
                                               {"resample", RejectedRouting::resample},
                                               {"captured", RejectedRouting::captured}};
  return names;
}

const Names<DemandRule>& demand_rule_names() {
  static const Names<DemandRule> names = [] {
    Names<DemandRule> all;
    for (const DemandRule rule : all_demand_rules()) all.emplace_back(to_string(rule), rule);
    for (const auto& [system, rule] : {std::pair{"taer", ThresholdDemand::kName}, {"coalesce", SalientDemand::kName}})
      all.emplace_back(system, demand_rule(rule).value());
    return all;
  }();
  return names;
}
const Names<PathProbability>& path_probability_names() {
  static const Names<PathProbability> names = {{"acceptance", PathProbability::acceptance},
                                               {"one", PathProbability::one}};
  return names;
}
const Names<Predictor>& predictor_names() {
  static const Names<Predictor> names = []<std::uint32_t... place>(std::integer_sequence<std::uint32_t, place...>) {
    return Names<Predictor>{{std::tuple_element_t<place, Predictors>::kName, Predictor{place}}...};
  }
  (std::make_integer_sequence<std::uint32_t, kPredictors>{});
  return names;
}

const Names<std::uint32_t>& asked_histogram_names() {
  static const Names<std::uint32_t> names = [] {
    Names<std::uint32_t> asked;
    for (const auto& [name, place] : histogram_names()) {
      if ((asked_by_name() >> place & 1U) != 0) asked.emplace_back(name, place);
    }
    return asked;
  }();
  return names;
}

const Names<std::uint32_t>& histogram_names() {
  static const Names<std::uint32_t> names = []<std::size_t... place>(std::index_sequence<place...>) {
    return Names<std::uint32_t>{{std::tuple_element_t<place, Histograms>::kName, place}...};
  }
  (std::make_index_sequence<kHistograms>{});
  return names;
}

const char* to_string(Mode value) {
  return name_in(mode_names(), value);
}
const char* to_string(Start value) {
  return name_in(start_names(), value);
}
const char* to_string(Policy value) {
  return name_in(policy_names(), value);
}
const char* to_string(Scope value) {
  return name_in(scope_names(), value);
}
const char* to_string(Predictor value) {
  return name_in(predictor_names(), value);
}
const char* to_string(Objects value) {
  return name_in(objects_names(), value);
}
const char* to_string(Replacements value) {
  return name_in(replacements_names(), value);
}
const char* to_string(Redraw value) {
  return name_in(redraw_names(), value);
}
const char* to_string(AcceptanceModel value) {
  return name_in(acceptance_names(), value);
}
const char* to_string(RejectedRouting value) {
  return name_in(rejected_routing_names(), value);
}

}  // namespace moecarlo
