#pragma once

#include <utility>
#include <vector>

#include "host/study/study.hpp"

namespace moecarlo {

/// The words a key may take and what they mean.
template <class T>
using Names = std::vector<std::pair<const char*, T>>;

// The one place that gives each choice of a study its word.
const Names<Mode>& mode_names();
const Names<Start>& start_names();
const Names<Policy>& policy_names();
const Names<Scope>& scope_names();
const Names<Objects>& objects_names();
const Names<Replacements>& replacements_names();
const Names<Redraw>& redraw_names();
const Names<AcceptanceModel>& acceptance_names();
const Names<RejectedRouting>& rejected_routing_names();
const Names<DemandRule>& demand_rule_names();
const Names<PathProbability>& path_probability_names();  ///< but for a list
const Names<std::uint32_t>& histogram_names();           ///< their places in a HistogramSet
const Names<Predictor>& predictor_names();
const Names<std::uint32_t>& asked_histogram_names();  ///< those that a study asks for by name

const char* to_string(Mode mode);
const char* to_string(Start start);
const char* to_string(Policy policy);
const char* to_string(Scope scope);
const char* to_string(Predictor predictor);
const char* to_string(Objects objects);
const char* to_string(Replacements replacements);
const char* to_string(Redraw redraw);
const char* to_string(AcceptanceModel model);
const char* to_string(RejectedRouting routing);

}  // namespace moecarlo
