#pragma once

#include "cuda/core/random.hpp"
#include "cuda/core/tree.hpp"

namespace moecarlo {

/// What decides how many draft tokens of a round are accepted.
enum class Acceptance : std::uint32_t {
  by_position,  ///< a probability for each draft position
  by_token,     ///< a captured probability for each token of the trace
  proposals,    ///< a drafter replayed on the token ids: what it proposed, and how much of it was right
  by_coverage,  ///< a probability that grows with the gate mass that the residents cover
};

struct AcceptanceRule {
  Acceptance kind = Acceptance::by_position;
  std::uint32_t table = 0;   ///< by_token: which table of captured probabilities
  bool independent = false;  ///< by_token, proposals: a control, which drafts in one walk and routes in another
};

/// One round's draft of one request. 0 <= accepted <= drafted <= depth.
struct Draft {
  std::uint32_t drafted = 0;
  std::uint32_t accepted = 0;
};

/// A drafter's proposal at a token: how many draft tokens, and how many of them agree with what the target emitted.
struct ProposedDraft {
  std::uint8_t proposed = 0;
  std::uint8_t agreed = 0;
};

/// Steps into which covered gate mass, 0 .. 1, is divided where a table maps it to an acceptance threshold.
constexpr std::uint32_t kCoverageSteps = 1024;

/// Accepted length of one request in one round: draft position i is accepted with conditional probability
/// threshold(i) / 2^32, and the first rejection ends it. 0 .. depth; depth 0 is autoregressive decoding.
///
/// Position i always uses draw i, so that all depths of a study share their uniforms.
template <class ThresholdOf>
MOECARLO_HOST_DEVICE std::uint32_t accepted_length(DrawAddress at, std::uint32_t depth, const ThresholdOf& threshold) {
  at.purpose = Purpose::acceptance;
  RandomBlock block{};
  for (std::uint32_t i = 0; i < depth; ++i) {
    if (i % 4 == 0) block = at.block(i / 4);
    if (!happens(block.word[i % 4], threshold(i))) return i;
  }
  return depth;
}

/// The same by position.
struct PositionThresholds {
  const Threshold* thresholds;
  MOECARLO_HOST_DEVICE Threshold operator()(std::uint32_t position) const { return thresholds[position]; }
};
MOECARLO_HOST_DEVICE std::uint32_t accepted_length(DrawAddress at, const Threshold* thresholds, std::uint32_t depth) {
  return accepted_length(at, depth, PositionThresholds{thresholds});
}

}  // namespace moecarlo
