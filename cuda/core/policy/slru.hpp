#pragma once

#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// Segmented LRU: residents used once since admission are on probation, those used again are protected, and each
/// segment is an LRU list. A protected segment over its size gives its back to the front of probation. The back of
/// probation is evicted; the back of the protected segment only where nobody is on probation. Without a protected
/// segment this is LRU. Source: Karedla, Love, Wherry, "Caching strategies to improve disk system performance",
/// Computer 27(3), 1994.
struct Slru : PolicyTraits {
  static constexpr const char* kName = "slru";
  static constexpr bool kHasProtected = true;
  static constexpr PolicyParameter kParameter{
      "protected",
      0.8,
      "a number, 0 to 1",
      "share of slots",
      "the protected segment",
      [](double share) { return share >= 0 && share <= 1; },
      [](double share) {  // protected slots of 2^16, rounded up, so that 0.9 of ten slots are nine
        const double slots = share * 65536;
        const auto whole = static_cast<std::uint32_t>(slots);
        return whole + (whole < slots ? 1U : 0U);
      }};
  MOECARLO_HOST_DEVICE static constexpr CacheShape shape() { return {2, false, false}; }
  static constexpr std::uint32_t kProbation = 0, kProtected = 1;

  MOECARLO_HOST_DEVICE static void reference(const CacheState& cache, std::uint32_t object, std::uint32_t /*draw*/) {
    const bool resident = cache.contains(object);
    if (!resident && !cache.full()) {
      put(cache, kProbation, object);
      cache.admit(object);
      return;
    }
    const std::uint32_t leaving = resident ? object : victim(cache);
    const bool was_protected = cache.nodes[leaving].group == kProtected;
    cache.unlink(leaving);
    cache.replace(leaving, object);
    put(cache, resident ? kProtected : kProbation, object);
    const std::uint32_t count = cache.counts->protected_residents + (resident ? 1 : 0) - (was_protected ? 1 : 0);
    if (count > cache.protected_capacity) {
      const std::uint32_t demoted = cache.back(kProtected);
      cache.unlink(demoted);
      put(cache, kProbation, demoted);
    }
    cache.counts->protected_residents = count > cache.protected_capacity ? cache.protected_capacity : count;
  }

  MOECARLO_HOST_DEVICE static void put(const CacheState& cache, std::uint32_t segment, std::uint32_t object) {
    cache.link_front(segment, object);
    cache.nodes[object].group = segment;
  }

  MOECARLO_HOST_DEVICE static std::uint32_t victim(const CacheState& cache) {
    const std::uint32_t waiting = cache.back(kProbation);
    return waiting != cache.head(kProbation) ? waiting : cache.back(kProtected);
  }
};

}  // namespace moecarlo
