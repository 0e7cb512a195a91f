#pragma once

#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// What the last rounds used, of however many experts that is: `[cache] window` of them, the verified columns of each.
/// Source: Alizadeh et al., "LLM in a flash" (arXiv 2312.11514), section 3.1, for neurons.
struct Window : PolicyTraits {
  static constexpr const char* kName = "window";
  static constexpr bool kHasCapacity = false;
  static constexpr bool kNeedsRounds = true;
  static constexpr PolicyParameter kParameter{
      "window",
      4,
      "an integer from 1 on",
      "rounds",
      "whose experts are kept",
      [](double rounds) { return rounds >= 1 && rounds == static_cast<std::uint32_t>(rounds); },
      [](double rounds) { return static_cast<std::uint32_t>(rounds); }};

  template <class Caches>
  MOECARLO_HOST_DEVICE static auto used(const Caches& caches, std::uint32_t pass, std::uint32_t rounds) {
    typename Caches::Bundle experts;
    for (std::uint32_t ago = 0; ago < rounds && ago <= pass; ++ago) experts |= caches.unions[pass - ago];
    return experts;
  }

  template <class Caches, class Wrote>
  MOECARLO_HOST_DEVICE static void update(const Caches& caches, std::uint32_t pass, std::uint32_t first,
                                          const Wrote& wrote) {
    const auto experts = used(caches, pass, caches.plan.parameter(caches.policy(first)));
    for (std::uint32_t point = first; point < first + caches.cell.capacity_count; ++point) {
      caches.replace(point, experts, wrote);
    }
  }

  template <class Pool, class CachesOf>
  MOECARLO_HOST_DEVICE static void update_pool(const Pool& pool, std::uint32_t pass, std::uint32_t layer,
                                               const CachesOf& caches) {
    pool.store(layer, used(caches(layer), pass, pool.plan.parameter(pool.policy)).lane(0));
  }
};

}  // namespace moecarlo
