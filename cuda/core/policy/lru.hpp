#pragma once

#include "cuda/core/policy/lru_settled.hpp"
#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// Least recently used: one list in the order of the last reference; in a layer of its own, where only the residents
/// after each pass are needed, at many capacities, a walk back over the passes (lru_walk.hpp).
struct Lru : PolicyTraits {
  static constexpr const char* kName = "lru";
  static constexpr bool kWalksLayers = true;

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

  template <class Caches, class Wrote>
  MOECARLO_HOST_DEVICE static void update(const Caches& caches, std::uint32_t pass, std::uint32_t first,
                                          const Wrote& wrote) {
    constexpr int kLanes = Caches::kLanes;
    using Found = typename Caches::Found;
    const auto& cell = caches.cell;
    typename Caches::History history{
        caches.columns.all_used(),   caches.unions,   pass + 1, cell.verified() * cell.batch,
        cell.columns() * cell.batch, caches.plan.warm};
    if (caches.settled != nullptr) history = settled_history(history, caches.routing.experts, caches.settled);
    const auto walk = [&](const auto& take) MOECARLO_INLINED {
      walk_lru(caches.routing.experts, caches.first_layer, history, caches.plan.capacities + cell.first_capacity,
               cell.capacity_count, take);
    };
    if constexpr (kLanes == 1) {
      walk([&](std::uint32_t index, const LaneWord<1>& lanes, const Found& one) MOECARLO_INLINED {
        if (any(lanes)) caches.replace(first + index, one.residents(), wrote);
      });
    } else {  // lanes find a capacity at different steps of the walk
      walk([&](std::uint32_t index, const LaneWord<kLanes>& lanes, const Found& one)
               MOECARLO_INLINED { caches.found[index].take(lanes, one); });
      for (std::uint32_t index = 0; index < cell.capacity_count; ++index)
        caches.replace(first + index, caches.found[index].residents(), wrote);
    }
  }
};

}  // namespace moecarlo
