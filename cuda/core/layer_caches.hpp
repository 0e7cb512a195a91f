#pragma once

#include "cuda/core/columns.hpp"
#include "cuda/core/episode_path.hpp"
#include "cuda/core/policy/list_caches.hpp"
#include "cuda/core/policy/vector_caches.hpp"

namespace moecarlo {

/// The caches of a bundle of layers, each with slots of its own: what is resident at every design point of a cell, and
/// how it changes after a pass. Which experts a policy keeps stands in cuda/core/policy/.
template <int Words, int Lanes, class Columns = ColumnMasks<Words, Lanes>>
struct LayerCaches {
  using Bundle = LayerBundle<Words, Lanes>;
  using Found = FoundResidents<Words, Lanes>;
  using History = PassHistory<Words, Lanes>;
  static constexpr int kLanes = Lanes;
  static constexpr bool kVectors = Lanes == kVectorLayers && Words <= 4;  ///< whether lists can be vectors

  const RoutingView& routing;
  const PlanView& plan;
  const Cell& cell;
  const TrajectoryId& id;
  EpisodePath path;
  Columns columns;
  std::uint32_t first_layer;
  Bundle* unions;           ///< scratch, [passes] experts of each pass; those to come too, for belady
  Bundle* residents;        ///< scratch, [policies][capacities], at the start of the current pass
  Found* found;             ///< scratch, [capacities], where there are several lanes
  Bundle* hotness;          ///< scratch, [plan.hotness_planes] bit-sliced counts of drafted choices
  std::uint64_t* lists;     ///< scratch, [policies][capacities][Lanes][plan.list_words]
  ExpertMask<Words>* last;  ///< scratch, [verified columns][batch] last touches of a pass
  Bundle* settled;          ///< scratch, [2][1 + experts], see settled_history; null in short episodes

  /// The same caches of columns that ask for less than the router chose.
  template <class Asked>
  MOECARLO_HOST_DEVICE LayerCaches<Words, Lanes, Asked> with(const Asked& asked) const {
    return {routing, plan, cell, id, path, asked, first_layer, unions, residents, found, hotness, lists, last, settled};
  }

  MOECARLO_HOST_DEVICE Policy policy(std::uint32_t point) const {
    return plan.policies[cell.first_policy + point / cell.capacity_count];
  }
  MOECARLO_HOST_DEVICE const Capacity& capacity(std::uint32_t point) const {
    return plan.capacities[cell.first_capacity + point % cell.capacity_count];
  }
  MOECARLO_HOST_DEVICE std::uint64_t* list_block(std::uint32_t point, int lane) const {
    return lists + (std::size_t{point} * Lanes + static_cast<std::size_t>(lane)) * plan.list_words;
  }
  MOECARLO_HOST_DEVICE ListCache list(std::uint32_t point, int lane) const {
    const std::uint32_t slots = capacity(point).at(first_layer + static_cast<std::uint32_t>(lane));
    return list_cache(plan, policy(point), routing.experts, slots, list_block(point, lane));
  }

  MOECARLO_HOST_DEVICE void start() const {
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      const bool filled = has_capacity(policy(point)) && (plan.warm || never_changes(policy(point)));
      residents[point] = filled ? static_residents<Words, Lanes>(capacity(point), first_layer) : Bundle{};
      if (plan.scope == Scope::pool || !keeps_lists(policy(point))) continue;
      for (int lane = 0; lane < Lanes; ++lane) list(point, lane).clear();
      if (filled) fill_lists(point);
    }
    if (Lanes > 1) {
      for (std::uint32_t index = 0; index < cell.capacity_count; ++index) found[index] = {};
    }
    for (std::uint32_t p = 0; p < plan.hotness_planes; ++p) hotness[p] = {};
  }

  /// Fills empty lists with the static set. Rank 0 comes last: it is the most recent.
  MOECARLO_HOST_DEVICE void fill_lists(std::uint32_t point) const {
#if defined(MOECARLO_VECTOR_CACHES)
    if constexpr (kVectors) {
      if (keeps_vectors(point)) {
        ReferenceList references[Lanes];
        for (int lane = 0; lane < Lanes; ++lane) references[lane] = ReferenceList::first(list(point, lane).capacity);
        reference_vectors(0, point, references);
      }
    }
#endif
    for (int lane = 0; !keeps_vectors(point) && lane < Lanes; ++lane) {
      const ListCache cache = list(point, lane);
      for (std::uint32_t rank = cache.capacity; rank-- > 0;) reference_one(policy(point), cache, rank);
    }
  }

  /// What a draft step chose originally.
  MOECARLO_HOST_DEVICE void hear(const Bundle& chosen) const {
    count_choices(hotness, plan.hotness_planes, plan.decay.fraction_bits(), chosen);
  }

  /// Residents after a pass, for every design point. unions[pass] is known. `wrote(point, experts)` hears what came in.
  template <class Wrote>
  MOECARLO_HOST_DEVICE void update(std::uint32_t pass, const Wrote& wrote) const {
    for (std::uint32_t p = 0; p < cell.policy_count; ++p) {
      const std::uint32_t first = p * cell.capacity_count;
      with_rule(policy(first), [&](auto rule) MOECARLO_INLINED {
        using Rule = decltype(rule);
        if constexpr (!RuleOfReferences<Rule> || Rule::kWalksLayers) Rule::update(*this, pass, first, wrote);
      });
    }
    update_lists(pass, wrote);
    if (plan.hotness_planes > 0) fade_counts(hotness, plan.hotness_planes, plan.decay);
  }

  template <class Wrote>
  MOECARLO_HOST_DEVICE void replace(std::uint32_t point, const Bundle& now, const Wrote& wrote) const {
    wrote(point, without(now, residents[point]));
    residents[point] = now;
  }

  /// What the last verify column uses that was drafted, and uses any; the lowest bit is the pass's last reference.
  MOECARLO_HOST_DEVICE Bundle last_referenced(std::uint32_t pass) const {
    const std::size_t first = EpisodePath::slot(cell, pass, 0);
    for (std::size_t i = std::size_t{cell.verified()} * cell.batch; i-- > 0;) {
      const Bundle used = columns.used(first + i);
      if (any(used.count())) return used;
    }
    return {};
  }

  /// List policies: the references of a layer in order, then every point's list of them.
  template <class Wrote>
  MOECARLO_HOST_DEVICE void update_lists(std::uint32_t pass, const Wrote& wrote) const {
    if (plan.list_words == 0) return;
#if defined(MOECARLO_VECTOR_CACHES)
    if constexpr (kVectors) {
      reference_vectors(pass);
    }
#endif
    bool one_by_one = false;
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      one_by_one = one_by_one || (keeps_lists(policy(point)) && !keeps_vectors(point));
    }
    for (int lane = 0; one_by_one && lane < Lanes; ++lane) {
      find_last_touches(pass, lane);
      const Eviction eviction{eviction_at(pass, lane)};
      for (std::uint32_t point = 0; point < cell.points(); ++point) {
        if (!keeps_lists(policy(point)) || keeps_vectors(point)) continue;
        reference_pass(policy(point), list(point, lane), last, touches(), 0, eviction);
      }
    }
    std::uint64_t masks[Lanes * Words];
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      if (!keeps_lists(policy(point))) continue;
      for (int lane = 0; lane < Lanes; ++lane) {
        const std::uint64_t* bits = ListCache::residents_in(list_block(point, lane));
        for (int w = 0; w < Words; ++w) masks[lane * Words + w] = bits[w];
      }
      replace(point, Bundle::gather(masks), wrote);
    }
  }

  MOECARLO_HOST_DEVICE std::uint32_t touches() const {
    return cell.verified() * cell.batch;
  }

  MOECARLO_HOST_DEVICE void find_last_touches(std::uint32_t pass, int lane) const {
    const std::size_t first_slot = EpisodePath::slot(cell, pass, 0);
    last_touches<Words>(
        touches(), [&](std::uint32_t i) MOECARLO_INLINED { return columns.used(first_slot + i, lane); }, last);
  }

  MOECARLO_HOST_DEVICE DrawAddress eviction_at(std::uint32_t pass, int lane) const {
    return {plan.seed, id.stream,         id.number, pass,
            0,         Purpose::eviction, 0,         first_layer + static_cast<std::uint32_t>(lane)};
  }

  /// Whether the lists of a design point are vectors, in all layers.
  MOECARLO_HOST_DEVICE bool keeps_vectors(std::uint32_t point) const {
#if defined(MOECARLO_VECTOR_CACHES)
    return kVectors && has_vectors(policy(point)) && capacity(point).at(0) <= kVectorSlots &&
           routing.experts <= kVectorObjects && routing.experts >= kLeastVectorObjects && path.passes < kVectorUses;
#else
    static_cast<void>(point);
    return false;
#endif
  }

#if defined(MOECARLO_VECTOR_CACHES)
  MOECARLO_HOST_DEVICE void reference_vectors(std::uint32_t pass) const {
    ReferenceList references[Lanes];
    bool listed = false;
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      if (!keeps_lists(policy(point)) || !keeps_vectors(point)) continue;
      for (int lane = 0; lane < Lanes && !listed; ++lane) {
        find_last_touches(pass, lane);
        references[lane].list(last, touches());
      }
      listed = true;
      reference_vectors(pass, point, references);
    }
  }

  MOECARLO_HOST_DEVICE void reference_vectors(std::uint32_t pass, std::uint32_t point,
                                              const ReferenceList* references) const {
    ListCache caches[Lanes];
    for (int lane = 0; lane < Lanes; ++lane) caches[lane] = list(point, lane);
    reference_lists<Words>(policy(point), capacity(point).at(0), caches, references, eviction_at(pass, 0));
  }
#endif
};

}  // namespace moecarlo
