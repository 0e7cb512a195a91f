#pragma once

#include "cuda/core/layer_caches.hpp"

namespace moecarlo {

/// One pool of slots for the experts of all layers. An event is one layer's part of a pass: it is judged against the
/// pool as it stands when the layer begins, and then updates it; some policies choose once a pass, after its last
/// layer. Object layer * 64 * Words + bit.
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
  MOECARLO_HOST_DEVICE const std::uint64_t* bits() const { return references(policy) ? list().residents() : state; }
  MOECARLO_HOST_DEVICE Mask residents(std::uint32_t layer) const {
    return Mask::load(bits() + std::size_t{layer} * Words);
  }
  MOECARLO_HOST_DEVICE void store(std::uint32_t layer, const Mask& mask) const {
    for (int w = 0; w < Words; ++w) state[std::size_t{layer} * Words + static_cast<std::size_t>(w)] = mask.word[w];
  }

  /// Warm: the most popular experts of all layers, the most popular most recent.
  MOECARLO_OUTLINED void start() const {
    const bool filled = has_capacity(policy) && (plan.warm || never_changes(policy));
    if (references(policy)) {
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
  MOECARLO_OUTLINED void update(std::uint32_t pass, std::uint32_t layer, const CachesOf& caches) const {
    if (references(policy)) {
      const auto own = caches(layer);
      const std::size_t first_slot = EpisodePath::slot(own.cell, pass, 0);
      const std::uint32_t tokens = own.cell.verified() * own.cell.batch;
      last_touches<Words>(
          tokens, [&](std::uint32_t i) MOECARLO_INLINED { return own.columns.used(first_slot + i, 0); }, last);
      const Eviction eviction{{plan.seed, id.stream, id.number, pass, 0, Purpose::eviction, 0, layer}};
      reference_pass(policy, list(), last, tokens, layer * 64U * Words, eviction);
      return;
    }
    with_rule(policy, [&](auto rule) MOECARLO_INLINED {
      using Rule = decltype(rule);
      if constexpr (!RuleOfReferences<Rule> && !Rule::kChoosesPerPass) Rule::update_pool(*this, pass, layer, caches);
    });
  }

  /// After the last layer of a pass, under a policy that chooses then.
  template <class CachesOf>
  MOECARLO_OUTLINED void end_pass(std::uint32_t pass, const CachesOf& caches) const {
    with_rule(policy, [&](auto rule) MOECARLO_INLINED {
      if constexpr (decltype(rule)::kChoosesPerPass) decltype(rule)::update_pool(*this, pass, caches);
    });
  }
};

}  // namespace moecarlo
