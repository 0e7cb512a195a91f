#pragma once

#include "cuda/core/layer_caches.hpp"

namespace moecarlo {

/// One pool of slots for the experts of all layers. An event is one layer's part of a pass: it is judged against the
/// pool as it stands when the layer begins, and then updates it. Hotness chooses once a pass, after its last layer.
/// Object layer * 64 * Words + bit.
template <int Words>
struct PoolCache {
  using Bundle = LayerBundle<Words, 1>;
  using Mask = ExpertMask<Words>;

  const PlanView& plan;
  const TrajectoryId& id;
  Policy policy = Policy::static_residents;
  std::uint32_t layers = 0;
  std::uint32_t slots = 0;         ///< of the whole pool
  std::uint64_t* state = nullptr;  ///< scratch, [plan.list_words] list of the pool, or [layers][Words] resident bits
  Mask* open = nullptr;            ///< scratch, [layers]
  Mask* last = nullptr;            ///< scratch, [verified columns][batch] last touches of a pass

  MOECARLO_HOST_DEVICE std::uint32_t objects() const { return layers * 64U * Words; }
  MOECARLO_HOST_DEVICE ListCache list() const { return list_cache(plan, policy, objects(), slots, state); }
  MOECARLO_HOST_DEVICE const std::uint64_t* bits() const { return is_list_policy(policy) ? list().residents() : state; }
  MOECARLO_HOST_DEVICE Mask residents(std::uint32_t layer) const {
    return Mask::load(bits() + std::size_t{layer} * Words);
  }
  MOECARLO_HOST_DEVICE void store(std::uint32_t layer, const Mask& mask) const {
    for (int w = 0; w < Words; ++w) state[std::size_t{layer} * Words + static_cast<std::size_t>(w)] = mask.word[w];
  }

  /// Warm: the most popular experts of all layers, the most popular most recent.
  MOECARLO_HOST_DEVICE void start() const {
    const bool filled = plan.warm || policy == Policy::static_residents;
    if (is_list_policy(policy)) {
      const ListCache cache = list();
      cache.clear();
      for (std::uint32_t i = filled ? slots : 0; i-- > 0;) reference_one(policy, cache, plan.pool_order[i]);
      return;
    }
    for (std::uint32_t layer = 0; layer < layers; ++layer) store(layer, {});
    for (std::uint32_t i = 0; filled && i < slots; ++i) {
      const std::uint32_t object = plan.pool_order[i];
      state[object / 64] |= std::uint64_t{1} << (object % 64);
    }
  }

  /// After one layer's part of a pass. `caches(layer)`: the layers' columns and unions; `last`: of this layer, the
  /// choices of the last column.
  template <class CachesOf>
  MOECARLO_HOST_DEVICE void update(std::uint32_t pass, std::uint32_t layer, const CachesOf& caches) const {
    if (is_list_policy(policy)) {
      const LayerCaches<Words, 1> own = caches(layer);
      const std::size_t first_slot = EpisodePath::slot(own.cell, pass, 0);
      const std::uint32_t tokens = own.cell.verified() * own.cell.batch;
      last_touches<Words>(
          tokens, [&](std::uint32_t i) MOECARLO_INLINED { return own.columns.mask(first_slot + i, 0); }, last);
      const Eviction eviction{{plan.seed, id.stream, id.number, pass, 0, Purpose::eviction, 0, layer}};
      reference_pass(policy, list(), last, tokens, layer * 64U * Words, eviction);
    } else if (policy == Policy::belady || policy == Policy::belady_bypass) {
      keep_next_used_in_pool(pass, layer, caches);
    }
  }

  /// The offline optimum over events: of the residents and this layer's experts, those whose next event comes first.
  template <class CachesOf>
  MOECARLO_HOST_DEVICE void keep_next_used_in_pool(std::uint32_t pass, std::uint32_t layer,
                                                   const CachesOf& caches) const {
    store(layer, residents(layer) | caches(layer).unions[pass].lane(0));
    std::uint32_t candidates = 0;
    for (std::uint32_t l = 0; l < layers; ++l) candidates += residents(l).count();
    if (candidates <= slots) return;
    for (std::uint32_t l = 0; l < layers; ++l) {
      open[l] = residents(l);
      store(l, {});
    }
    std::uint32_t missing = slots;
    const auto take = [&](std::uint32_t l, const Mask& wanted) MOECARLO_INLINED {
      const Mask taken = (open[l] & wanted).lowest(missing);
      missing -= taken.count();
      open[l] = without(open[l], taken);
      store(l, residents(l) | taken);
    };
    if (policy == Policy::belady && slots > 0) take(layer, caches(layer).last_referenced(pass).lane(0).lowest(1));
    const std::uint32_t passes = caches(layer).path.passes;
    std::uint32_t next = pass, l = layer;
    while (missing > 0) {
      if (++l == layers) {
        l = 0;
        if (++next == passes) break;
      }
      take(l, caches(l).unions[next].lane(0));
    }
    for (l = 0; l < layers && missing > 0; ++l) take(l, open[l]);  // never used again: any will do
  }

  /// After the last layer of a pass: the hottest of all that are resident or were fetched; ties go to the lower layer,
  /// then to the lower bit.
  template <class CachesOf>
  MOECARLO_HOST_DEVICE void update_hotness(std::uint32_t pass, const CachesOf& caches) const {
    for (std::uint32_t l = 0; l < layers; ++l) open[l] = residents(l) | caches(l).unions[pass].lane(0);
    std::uint32_t missing = slots;
    bool cold = true;
    // The old residents are needed until the end: the new ones gather in the upper half of the scratch.
    Mask* taken = open + layers;
    for (std::uint32_t l = 0; l < layers; ++l) taken[l] = {};
    const auto split = [&](const auto& hotter_of) MOECARLO_INLINED {
      std::uint32_t count = 0;
      for (std::uint32_t l = 0; l < layers; ++l) count += hotter_of(l).count();
      const bool fits = count <= missing;
      for (std::uint32_t l = 0; l < layers; ++l) {
        const Mask hotter = hotter_of(l);
        if (fits) {
          taken[l] |= hotter;
          open[l] = without(open[l], hotter);
        } else {
          open[l] = hotter;
        }
      }
      if (fits) missing -= count;
      return fits;
    };
    for (std::uint32_t p = plan.hotness_planes; p-- > 0;) {
      cold = split([&](std::uint32_t l) MOECARLO_INLINED { return open[l] & caches(l).hotness[p].lane(0); }) && cold;
    }
    if (cold) split([&](std::uint32_t l) MOECARLO_INLINED { return open[l] & residents(l); });
    for (std::uint32_t l = 0; l < layers; ++l) {
      const Mask rest = open[l].lowest(missing);
      missing -= rest.count();
      store(l, taken[l] | rest);
    }
  }
};

}  // namespace moecarlo
