#pragma once

#include "cuda/core/policy/static.hpp"

namespace moecarlo {

/// The residents that an offline optimum keeps after a pass (Belady 1966, for passes that use many experts at once): of
/// `candidates`, those that coming passes need first, up to `size` in each lane; what is needed in the same pass, or
/// never again, by ascending bit. `kept` are taken in any case (an admission that is forced); they are at most `size`.
///
/// Every expert costs the same and a pass is judged as a whole, so that a miss is saved exactly where an expert is kept
/// from one of its passes to the next; dropping the one whose next pass is farthest is then optimal over all passes.
/// ahead: [coming] unions of the passes that follow.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> keep_next_used(const LayerBundle<Words, Lanes>& candidates,
                                                              LayerBundle<Words, Lanes> kept,
                                                              const LaneWord<Lanes>& size,
                                                              const LayerBundle<Words, Lanes>* ahead,
                                                              std::uint32_t coming) {
  using Bundle = LayerBundle<Words, Lanes>;
  Bundle open = without(candidates, kept);
  LaneWord<Lanes> missing = size - kept.count();
  if (!any(less(missing, open.count()))) return kept | open;
  const LaneWord<Lanes> none = LaneWord<Lanes>::all(0);
  for (std::uint32_t pass = 0; pass < coming && any(less(none, missing)); ++pass) {
    const Bundle next = open & ahead[pass];
    const LaneWord<Lanes> count = next.count();
    const LaneWord<Lanes> too_many = less(missing, count);
    Bundle taken = next;
    if (any(too_many)) taken = select(too_many, next.lowest(missing), next);
    kept |= taken;
    open = without(open, taken);
    missing = missing - select(too_many, missing, count);
  }
  return kept | open.lowest(missing);
}

}  // namespace moecarlo
