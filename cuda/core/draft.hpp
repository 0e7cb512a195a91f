#pragma once

#include "cuda/core/demand/nearest.hpp"
#include "cuda/core/random.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

// Draft steps of trajectories are sampled: coverage is counted on one step of each round, the residents touched on one
// step of every 16th round; what is enumerated or replayed counts every step. The residents do not change inside a
// round and positions are uniform, so a mean over steps loses nothing but samples, of which there are far more than the
// trace can support. All steps come in turn; where a trajectory begins is hashed from its number, so that no group of
// trajectories sees some steps or rounds more than others.

/// Most experts a token chooses where absent ones are replaced: one draw for each.
constexpr std::uint32_t kMostDraftedChoices = DrawAddress::kDraws;

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

/// A token of a draft step in one layer.
template <int Words>
struct StepToken {
  ExpertMask<Words> chosen;                    ///< its original routing; empty where this step never drafted it
  const std::uint16_t* score_order = nullptr;  ///< [experts] all experts, best first; null where scores are not known
  std::uint32_t request = 0, column = 0;       ///< which token of the round it is
};

/// What a draft among residents needs to know of a layer.
struct DraftLayer {
  std::uint32_t experts = 0, top_k = 0;
  const std::uint32_t* weights = nullptr;  ///< [experts] popularity by rank, 1 .. 65535
  const std::uint16_t* nearest = nullptr;  ///< see nearest_routing; null where distances do not matter
};

/// The residents that a token of the elastic self-draft uses: its routing restricted to the residents, in score order.
/// Choices that are resident stay. An absent one is replaced by the best-scoring resident where the scores are known;
/// else by a resident that the token did not choose, drawn by popularity without replacement; or where a demand rule
/// says so by the nearest resident. `at` names the round; its other fields are set here. top_k <= kMostDraftedChoices.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> restricted_routing(const DraftLayer& layer, const StepToken<Words>& token,
                                                          const ExpertMask<Words>& residents, DrawAddress at) {
  if (layer.nearest != nullptr) return nearest_routing(layer.nearest, layer.experts, token.chosen, residents);
  ExpertMask<Words> used = token.chosen & residents;
  const std::uint32_t resident_count = residents.count();
  const std::uint32_t wanted = layer.top_k < resident_count ? layer.top_k : resident_count;
  std::uint32_t missing = wanted - used.count();
  if (token.score_order != nullptr) {
    const ExpertMask<Words> open = without(residents, used);
    for (std::uint32_t i = 0; missing > 0; ++i) {
      MOECARLO_EXPECT(i < layer.experts);
      const std::uint32_t expert = token.score_order[i];
      const bool taken = open.contains(expert);
      used.insert(expert, taken);
      missing -= taken ? 1 : 0;
    }
    return used;
  }
  at.purpose = Purpose::draft_replacement;
  at.request = token.request;
  at.column = token.column;
  ExpertMask<Words> candidates = without(residents, token.chosen);
  RandomBlock block{};
  for (std::uint32_t i = 0; i < missing; ++i) {
    if (i % 4 == 0) block = at.block(i / 4);
    ExpertMask<Words> replacement;
    replacement.insert(draw_by_weight(candidates, layer.weights, block.word[i % 4]));
    candidates = without(candidates, replacement);
    used |= replacement;
  }
  return used;
}

/// Different residents that one draft step touches in one layer. `step(i)`: its tokens, i < count.
template <int Words, class Step>
MOECARLO_HOST_DEVICE std::uint32_t draft_distinct(const DraftLayer& layer, const Step& step, std::uint32_t count,
                                                  const ExpertMask<Words>& residents, const DrawAddress& at) {
  const std::uint32_t resident_count = residents.count();
  ExpertMask<Words> touched;
  for (std::uint32_t i = 0; i < count; ++i) touched |= step(i).chosen & residents;
  // Once every resident is touched no further draw can change the count; large batches get there at once.
  for (std::uint32_t i = 0; i < count && touched.count() < resident_count; ++i) {
    const StepToken<Words> token = step(i);
    if (token.chosen.count() > 0) touched |= restricted_routing(layer, token, residents, at);
  }
  return touched.count();
}

/// Gate mass of a token's choices: all of it, and what is resident. mass: [top_k] by ascending bit.
struct GateMass {
  std::uint32_t all = 0, resident = 0;
};

template <int Words>
MOECARLO_HOST_DEVICE GateMass gate_mass_of(const ExpertMask<Words>& chosen, const ExpertMask<Words>& residents,
                                           const std::uint16_t* mass) {
  GateMass sum;
  for (int w = 0; w < Words; ++w) {
    for (std::uint64_t rest = chosen.word[w]; rest != 0; rest &= rest - 1) {
      const std::uint32_t share = *mass++;
      sum.all += share;
      if ((residents.word[w] & rest & (0 - rest)) != 0) sum.resident += share;
    }
  }
  return sum;
}

}  // namespace moecarlo
