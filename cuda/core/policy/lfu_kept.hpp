#pragma once

#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// Least frequently used, where uses are counted for ever: those of an object that is evicted go on when it comes back.
/// One list in the order of uses and then of recency; a newcomer looks for its place from the back, and a hit from its
/// old one. At most 2^32 - 1 references after `clear`.
struct LfuKept : PolicyTraits {
  static constexpr const char* kName = "lfu-kept";
  static constexpr const char* kNote =
      "counts uses for ever: an object's count goes on when it is evicted; ties evict the least recently used";

  MOECARLO_HOST_DEVICE static constexpr CacheShape shape() { return {1, false, false}; }

  /// Uses stand where other rules keep a group; vector_caches.hpp has them elsewhere in the nodes.
  MOECARLO_HOST_DEVICE static void clear(const CacheState& cache) {
    for (std::uint32_t object = 0; object < cache.objects; ++object) cache.nodes[object] = {};
  }

  MOECARLO_HOST_DEVICE static void reference(const CacheState& cache, std::uint32_t object, std::uint32_t /*draw*/) {
    const std::uint32_t uses = ++cache.nodes[object].group;
    std::uint32_t place = cache.head(0);
    if (cache.contains(object)) {
      place = cache.nodes[object].next;
      cache.unlink(object);
    } else if (cache.full()) {
      const std::uint32_t victim = cache.back(0);
      cache.unlink(victim);
      cache.replace(victim, object);
    } else {
      cache.admit(object);
    }
    for (std::uint32_t ahead = cache.nodes[place].previous; ahead != cache.head(0) && cache.nodes[ahead].group <= uses;
         ahead = cache.nodes[ahead].previous) {
      place = ahead;
    }
    cache.link_before(place, object);
  }
};

}  // namespace moecarlo
