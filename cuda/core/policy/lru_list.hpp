#pragma once

#include "cuda/core/policy/cache_state.hpp"

namespace moecarlo {

/// Least recently used: one list in the order of the last reference. Whoever needs only the residents after a pass, at
/// many capacities, walks back over the passes instead (cuda/core/policy/lru.hpp).
struct LruList {
  MOECARLO_HOST_DEVICE static constexpr CacheShape shape() { return {1, false, false}; }

  MOECARLO_HOST_DEVICE static void reference(const CacheState& cache, std::uint32_t object, std::uint32_t /*draw*/) {
    const bool resident = cache.contains(object);
    if (resident || cache.full()) {
      const std::uint32_t leaving = resident ? object : cache.back(0);
      cache.unlink(leaving);
      cache.replace(leaving, object);
    } else {
      cache.admit(object);
    }
    cache.link_front(0, object);
  }
};

}  // namespace moecarlo
