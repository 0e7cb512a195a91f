#pragma once

#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// Random replacement: the victim is the resident of slot floor(draw * residents / 2^32), and the newcomer takes its
/// slot. Slots fill in the order of admission.
struct RandomEviction : PolicyTraits {
  static constexpr const char* kName = "random";
  static constexpr bool kHitsChangeNothing = true;
  static constexpr bool kDraws = true;
  MOECARLO_HOST_DEVICE static constexpr CacheShape shape() { return {0, true, false}; }

  MOECARLO_HOST_DEVICE static void reference(const CacheState& cache, std::uint32_t object, std::uint32_t draw) {
    const bool resident = cache.contains(object);
    if (!cache.full()) {
      if (!resident) cache.append(object);
      return;
    }
    const auto slot = static_cast<std::uint32_t>((std::uint64_t{draw} * cache.capacity) >> 32);
    const std::uint32_t drawn = cache.slots[slot];
    cache.replace(resident ? object : drawn, object);
    cache.slots[slot] = resident ? drawn : object;
  }
};

}  // namespace moecarlo
