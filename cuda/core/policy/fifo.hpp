#pragma once

#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// First in, first out: the slots are a ring, and the newcomer takes the slot of the oldest admission. A hit changes
/// nothing.
struct Fifo : PolicyTraits {
  static constexpr const char* kName = "fifo";
  static constexpr const char* kNote = "may evict any object at every look-up, one of the token at hand too";
  static constexpr const char* kEventNote =
      "judges the experts of a token together, then admits one by one: an expert of the token at hand may be evicted "
      "by "
      "a later one of the same token";
  static constexpr bool kHitsChangeNothing = true;
  MOECARLO_HOST_DEVICE static constexpr CacheShape shape() { return {0, true, false}; }

  MOECARLO_HOST_DEVICE static void reference(const CacheState& cache, std::uint32_t object, std::uint32_t /*draw*/) {
    const bool resident = cache.contains(object);
    if (!cache.full()) {
      if (!resident) cache.append(object);
      return;
    }
    const std::uint32_t slot = cache.counts->hand, oldest = cache.slots[slot];
    const std::uint32_t after = slot + 1 == cache.capacity ? 0 : slot + 1;
    cache.replace(resident ? object : oldest, object);
    cache.slots[slot] = resident ? oldest : object;
    cache.counts->hand = resident ? slot : after;
  }
};

}  // namespace moecarlo
