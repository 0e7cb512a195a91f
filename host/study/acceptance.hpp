#pragma once

#include <vector>

#include "cuda/core/random.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// Conditional acceptance of each draft position at this depth as 32-bit thresholds: position i is accepted, given that
/// all before it were, with probability thresholds[i] / 2^32. Built once on the host and stored with the tallies.
///
///   constant   alpha at every position
///   ratio      the b with b (1 - b^d) / (1 - b) = alpha d, so that E[a] / d = alpha (how ELMoE-3D's Table 3 reads)
///   positions  the given conditional probabilities; at least `depth` of them
///   lengths    the hazards of the given histogram of accepted lengths, min(a, d)
/// Empty under the models that look at the trace (reads_trace).
/// Throws a usage error where `positions` is shorter than the depth.
std::vector<Threshold> acceptance_thresholds(const AcceptanceSpec& spec, std::uint32_t depth);

/// P(accepted length = 0 .. depth) under conditional thresholds.
std::vector<double> accepted_length_law(const std::vector<Threshold>& thresholds);

}  // namespace moecarlo
