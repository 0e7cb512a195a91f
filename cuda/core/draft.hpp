#pragma once

#include "cuda/core/random.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

// Draft steps are sampled: coverage is counted on one step of each round, the residents touched on one step of every
// 16th round. The residents do not change inside a round and positions are uniform, so a mean over steps loses nothing
// but samples, of which there are far more than the trace can support. All steps come in turn; where a trajectory
// begins is hashed from its number, so that no group of trajectories sees some steps or rounds more than others.

/// Replacements of one token draw from 64 blocks of four numbers.
constexpr std::uint32_t kMostDraftedChoices = 256;

/// A hash of the trajectory's number: multiplication by 2^32 / golden ratio (Knuth, vol. 3, section 6.4); the high bits
/// mix best.
MOECARLO_HOST_DEVICE std::uint32_t sampling_phase(std::uint64_t trajectory) {
  return static_cast<std::uint32_t>(trajectory) * 0x9E3779B9U;
}

/// The draft step of a round that is counted. depth >= 1.
MOECARLO_HOST_DEVICE std::uint32_t counted_step(std::uint64_t trajectory, std::uint32_t round, std::uint32_t depth) {
  return ((sampling_phase(trajectory) >> 12 & 0xffffU) + round) % depth;
}

/// Whether the round also counts the residents that its step touches: one in 16.
MOECARLO_HOST_DEVICE bool counts_touched(std::uint64_t trajectory, std::uint32_t round) {
  return ((sampling_phase(trajectory) >> 28) + round) % 16 == 0;
}

/// A member of the non-empty `candidates`, drawn with probability proportional to its weight. weights: [experts] by
/// rank, 1 .. 65535 each.
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t draw_by_weight(const ExpertMask<Words>& candidates, const std::uint32_t* weights,
                                                  std::uint32_t draw) {
  std::uint32_t total = 0;
  for (int w = 0; w < Words; ++w) {
    for (std::uint64_t rest = candidates.word[w]; rest != 0; rest &= rest - 1) {
      total += weights[64U * static_cast<std::uint32_t>(w) + lowest_bit(rest)];
    }
  }
  std::uint32_t ticket = static_cast<std::uint32_t>((std::uint64_t{draw} * total) >> 32);
  for (int w = 0; w < Words; ++w) {
    for (std::uint64_t rest = candidates.word[w]; rest != 0; rest &= rest - 1) {
      const std::uint32_t expert = 64U * static_cast<std::uint32_t>(w) + lowest_bit(rest);
      if (ticket < weights[expert]) return expert;
      ticket -= weights[expert];
    }
  }
  return 0;  // not reached: the ticket is smaller than the total
}

/// Choices of the tokens' original routing that are resident, summed over the tokens: the numerator of draft coverage.
/// tokens: [batch].
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t resident_choices(const RoutingView& routing, std::uint32_t layer,
                                                    const std::uint32_t* tokens, std::uint32_t batch,
                                                    const ExpertMask<Words>& residents) {
  std::uint32_t total = 0;
  for (std::uint32_t request = 0; request < batch; ++request) {
    total += (routing.mask<Words>(tokens[request], layer) & residents).count();
  }
  return total;
}

/// Different residents that one draft step of the elastic self-draft touches in one layer. Every request routes among
/// the residents only: choices that are resident stay, each absent one is replaced by a resident that the token did not
/// choose, drawn by popularity without replacement. (The masks do not hold the scores of experts outside the top k.)
/// tokens: [batch], the tokens that this step routes like. `at` names round and draft column; its other fields are set
/// here. top_k <= kMostDraftedChoices.
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t draft_distinct(const RoutingView& routing, std::uint32_t layer,
                                                  const std::uint32_t* tokens, std::uint32_t batch,
                                                  const ExpertMask<Words>& residents, const std::uint32_t* weights,
                                                  DrawAddress at) {
  at.purpose = Purpose::draft_replacement;
  at.layer = layer;
  const std::uint32_t resident_count = residents.count();
  const std::uint32_t used = routing.top_k < resident_count ? routing.top_k : resident_count;
  if (batch == 1) return used;  // choices and replacements of one token are distinct by construction
  ExpertMask<Words> touched;
  for (std::uint32_t request = 0; request < batch; ++request) {
    touched |= routing.mask<Words>(tokens[request], layer) & residents;
  }
  // Once every resident is touched no further draw can change the count; large batches get there at once.
  for (std::uint32_t request = 0; request < batch && touched.count() < resident_count; ++request) {
    const ExpertMask<Words> chosen = routing.mask<Words>(tokens[request], layer);
    const std::uint32_t missing = used - (chosen & residents).count();
    at.request = request;
    ExpertMask<Words> candidates = without(residents, chosen);
    RandomBlock block{};
    for (std::uint32_t i = 0; i < missing; ++i) {
      if (i % 4 == 0) block = at.block(i / 4);
      ExpertMask<Words> replacement;
      replacement.insert(draw_by_weight(candidates, weights, block.word[i % 4]));
      candidates = without(candidates, replacement);
      touched |= replacement;
    }
  }
  return touched.count();
}

}  // namespace moecarlo
