#pragma once

#include "cuda/core/expert_mask.hpp"

namespace moecarlo {

// The order in which an event-atomic pass references its objects. All of them are judged first, against the residents
// at the start of the pass; then each is referenced once, in the order of its last touch: tokens front to back, inside
// a token by descending bit, so that the lowest bit is the most recent; an object that a later token touches as well
// belongs to that token. An object judged a hit may be evicted by a reference before its own; its own then admits it
// again.

/// For each token of a pass the objects whose last touch is its own: `mask_at(i)` less what later tokens touch.
/// mask_at: i = 0 .. tokens - 1; last: [tokens].
template <int Words, class MaskAt>
MOECARLO_HOST_DEVICE void last_touches(std::uint32_t tokens, const MaskAt& mask_at, ExpertMask<Words>* last) {
  ExpertMask<Words> later;
  for (std::uint32_t i = tokens; i-- > 0;) {
    const ExpertMask<Words> touched = mask_at(i);
    last[i] = without(touched, later);
    later |= touched;
  }
}

/// Calls use(object) for the objects of last_touches in the order of their references.
template <int Words, class Use>
MOECARLO_HOST_DEVICE void for_each_reference(const ExpertMask<Words>* last, std::uint32_t tokens, const Use& use) {
  for (std::uint32_t i = 0; i < tokens; ++i) {
    for (int w = Words; w-- > 0;) {
      for (std::uint64_t rest = last[i].word[w]; rest != 0;) {
        const std::uint32_t bit = highest_bit(rest);
        rest ^= std::uint64_t{1} << bit;
        use(64U * static_cast<std::uint32_t>(w) + bit);
      }
    }
  }
}

/// The same, but only for objects that are not resident when their turn comes: enough for a cache in which a hit
/// changes nothing. residents: [Words], may change under `use`.
template <int Words, class Use>
MOECARLO_HOST_DEVICE void for_each_absent_reference(const ExpertMask<Words>* last, std::uint32_t tokens,
                                                    const std::uint64_t* residents, const Use& use) {
  for (std::uint32_t i = 0; i < tokens; ++i) {
    for (int w = Words; w-- > 0;) {
      std::uint64_t rest = last[i].word[w];
      for (std::uint64_t absent = rest & ~residents[w]; absent != 0; absent = rest & ~residents[w]) {
        const std::uint32_t bit = highest_bit(absent);
        rest &= (std::uint64_t{1} << bit) - 1;
        use(64U * static_cast<std::uint32_t>(w) + bit);
      }
    }
  }
}

}  // namespace moecarlo
