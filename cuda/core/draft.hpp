#pragma once

#include "cuda/core/random.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// A member of the non-empty `candidates`, drawn with probability proportional to its weight. weights: [experts] by rank,
/// 1 .. 65535 each.
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

/// Different residents that one draft step of the elastic self-draft touches in one layer. Every request routes among the
/// residents only: choices that are resident stay, each absent one is replaced by a resident that the token did not choose,
/// drawn by popularity without replacement. (The masks do not hold the scores of experts outside the top k.)
/// tokens: [batch], the tokens that this step routes like. `at` names round and draft column; its other fields are set here.
/// top_k <= 256.
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
    const ExpertMask<Words> chosen = routing.mask<Words>(tokens[request], layer);
    const ExpertMask<Words> kept = chosen & residents;
    const std::uint32_t missing = used - kept.count();
    touched |= kept;
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
