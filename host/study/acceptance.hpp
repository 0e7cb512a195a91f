#pragma once

#include <string>
#include <vector>

#include "cuda/core/acceptance.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// What holds at one value of alpha where that is a grid axis; the same where it is none.
AcceptanceSpec at_alpha(AcceptanceSpec spec, const std::optional<double>& alpha);

/// What a model asks of a study besides its own keys.
struct AcceptanceTraits {
  bool has_control = false;   ///< also drawn independently of the routing, to say what that would get wrong
  bool in_order = false;      ///< fixes every length of a trace that is read front to back
  bool unknown_odds = false;  ///< says what is accepted, but not how likely each position was
  bool recorded = false;      ///< has rounds of its own, with the routing of all their columns
};

/// What decides in the engines.
Acceptance rule_of(AcceptanceModel model);
const AcceptanceTraits& traits_of(AcceptanceModel model);

/// Whether the accepted length of a round depends on the token that it starts at.
bool reads_trace(AcceptanceModel model);

/// Conditional acceptance of each draft position at this depth as 32-bit thresholds: position i is accepted, given that
/// all before it were, with probability thresholds[i] / 2^32. Built once on the host and stored with the tallies. Empty
/// under the models that look at the trace. Throws a usage error, about `where`, where the study says too little for
/// this depth.
std::vector<Threshold> acceptance_thresholds(const AcceptanceSpec& spec, std::uint32_t depth,
                                             const std::string& where = "study");

/// P(accepted length = 0 .. depth) under conditional thresholds.
std::vector<double> accepted_length_law(const std::vector<Threshold>& thresholds);

}  // namespace moecarlo
