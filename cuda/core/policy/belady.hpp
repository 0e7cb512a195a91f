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
  // Passes are taken as a whole while they fit. A lane in which one does not is done: of it, as where passes end of
  // what is left, the lowest are taken.
  const LaneWord<Lanes> none = LaneWord<Lanes>::all(0);
  Bundle partly;
  LaneWord<Lanes> missing_of_it = none;
  for (std::uint32_t pass = 0; pass < coming && any(less(none, missing)); ++pass) {
    Bundle next = open & ahead[pass];
    LaneWord<Lanes> count = next.count();
    const LaneWord<Lanes> done = less(missing, count), goes_on = ~done;
    if (any(done)) {
      partly |= next.where(done);
      missing_of_it = missing_of_it | (missing & done);
      missing = missing & goes_on;
      count = count & goes_on;
      open = open.where(goes_on);
      next = next.where(goes_on);
    }
    kept |= next;
    open = without(open, next);
    missing = missing - count;
  }
  return kept | (partly | open).lowest(missing_of_it | missing);
}

/// The offline optimum. Where whatever is fetched has to be admitted (`forced`), the last reference of a pass stays;
/// else a fetch may pass by the cache.
template <bool forced>
struct OfflineOptimum : PolicyTraits {
  static constexpr bool kReadsFuture = true;
  static constexpr bool kForced = forced;

  template <class Caches, class Wrote>
  MOECARLO_HOST_DEVICE static void update(const Caches& caches, std::uint32_t pass, std::uint32_t first,
                                          const Wrote& wrote) {
    constexpr int kLanes = Caches::kLanes;
    for (std::uint32_t point = first; point < first + caches.cell.capacity_count; ++point) {
      const LaneWord<kLanes> size = capacity_lanes<kLanes>(caches.capacity(point), caches.first_layer);
      typename Caches::Bundle admitted;
      if constexpr (forced) {
        const LaneWord<kLanes> one = LaneWord<kLanes>::all(1);
        admitted = caches.last_referenced(pass).lowest(select(less(size, one), size, one));
      }
      caches.replace(point,
                     keep_next_used(caches.residents[point] | caches.unions[pass], admitted, size,
                                    caches.unions + pass + 1, caches.path.passes - pass - 1),
                     wrote);
    }
  }

  /// Over events: of the residents and this layer's experts, those whose next event comes first.
  template <class Pool, class CachesOf>
  MOECARLO_HOST_DEVICE static void update_pool(const Pool& pool, std::uint32_t pass, std::uint32_t layer,
                                               const CachesOf& caches) {
    using Mask = typename Pool::Mask;
    pool.store(layer, pool.residents(layer) | caches(layer).unions[pass].lane(0));
    std::uint32_t candidates = 0;
    for (std::uint32_t l = 0; l < pool.layers; ++l) candidates += pool.residents(l).count();
    if (candidates <= pool.slots) return;
    for (std::uint32_t l = 0; l < pool.layers; ++l) {
      pool.open[l] = pool.residents(l);
      pool.store(l, {});
    }
    std::uint32_t missing = pool.slots;
    const auto take = [&](std::uint32_t l, const Mask& wanted) MOECARLO_INLINED {
      const Mask taken = (pool.open[l] & wanted).lowest(missing);
      pool.open[l] = without(pool.open[l], taken);
      pool.store(l, pool.residents(l) | taken);
      return taken.count();
    };
    if (forced && pool.slots > 0) missing -= take(layer, caches(layer).last_referenced(pass).lane(0).lowest(1));
    const std::uint32_t passes = caches(layer).path.passes;
    std::uint32_t next = pass, l = layer;
    while (missing > 0) {
      if (++l == pool.layers) {
        l = 0;
        if (++next == passes) break;
      }
      missing -= take(l, caches(l).unions[next].lane(0));
    }
    for (l = 0; l < pool.layers && missing > 0; ++l) missing -= take(l, pool.open[l]);  // never used again: any will do
  }
};

struct Belady : OfflineOptimum<true> {
  static constexpr const char* kName = "belady";
  static constexpr const char* kNote =
      "has to admit what is fetched: every look-up may evict any object, one of the token at hand too, but not itself";
  static constexpr const char* kEventNote =
      "has to admit whatever is fetched one by one, so that of the token at hand only the last expert is sure to stay; "
      "the others may be evicted";
};

struct BeladyBypass : OfflineOptimum<false> {
  static constexpr const char* kName = "belady-bypass";
};

}  // namespace moecarlo
