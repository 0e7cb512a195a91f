#pragma once

#include "cuda/core/policy/policies.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// A cache of `capacity` slots over the objects 0 .. objects - 1 that admits whatever is referenced, under one of the
/// policies that `references`. A cheap view; all state lives in a scratch block of the caller's, so the same code
/// serves one layer's experts in a hot loop and a pool of all experts in the replay of a log. Every reference takes
/// constant time; references after `clear` number less than 2^32.
struct ListCache : CacheState {
  Policy policy;

  /// The 64-bit words of `residents()`: as many as ExpertMask<mask_words(objects)>::load reads for up to 1024 objects,
  /// else ceil(objects / 64).
  MOECARLO_HOST_DEVICE static constexpr std::uint32_t resident_words(std::uint32_t objects) {
    return objects <= 1024 ? static_cast<std::uint32_t>(mask_words(objects)) : (objects - 1) / 64 + 1;
  }

  /// Size of the scratch block, a multiple of 8.
  MOECARLO_HOST_DEVICE static constexpr std::size_t bytes(Policy policy, std::uint32_t objects,
                                                          std::uint32_t capacity) {
    const CacheShape shape = cache_shape(policy);
    std::size_t total = sizeof(CacheCounts) + std::size_t{8} * resident_words(objects);
    if (shape.lists != 0) total += sizeof(CacheNode) * (std::size_t{objects} + shape.lists);
    if (shape.has_slots) total += sizeof(std::uint32_t) * std::size_t{capacity};
    if (shape.has_buckets) total += sizeof(UseBucket) * std::size_t{capacity};
    return (total + 7) / 8 * 8;
  }

  /// The view of a block of `bytes(policy, objects, capacity)` bytes, aligned to 8. It does not touch the block: call
  /// `clear` before the first use. objects >= 1, capacity <= objects, protected_capacity <= capacity (slru only).
  MOECARLO_HOST_DEVICE static ListCache over(void* block, Policy policy, std::uint32_t objects, std::uint32_t capacity,
                                             std::uint32_t protected_capacity) {
    const CacheShape shape = cache_shape(policy);
    ListCache cache{};
    cache.bits = static_cast<std::uint64_t*>(block);
    cache.counts = reinterpret_cast<CacheCounts*>(cache.bits + resident_words(objects));
    cache.nodes = reinterpret_cast<CacheNode*>(cache.counts + 1);
    CacheNode* const end = cache.nodes + (shape.lists != 0 ? std::size_t{objects} + shape.lists : 0);
    cache.slots = reinterpret_cast<std::uint32_t*>(end);
    cache.buckets = reinterpret_cast<UseBucket*>(end);
    cache.objects = objects;
    cache.capacity = capacity;
    cache.protected_capacity = protected_capacity;
    cache.policy = policy;
    return cache;
  }

  /// Empties the cache. Under most policies that takes time by the words of `residents()`, not by the objects.
  MOECARLO_HOST_DEVICE void clear() const {
    for (std::uint32_t w = 0; w < resident_words(objects); ++w) bits[w] = 0;
    *counts = CacheCounts{};
    const std::uint32_t lists = cache_shape(policy).lists;
    for (std::uint32_t list = 0; list < lists; ++list) nodes[head(list)] = {head(list), head(list), 0};
    with_rule(policy, [&](auto rule) MOECARLO_INLINED {
      if constexpr (RuleOfReferences<decltype(rule)>) decltype(rule)::clear(*this);
    });
  }

  MOECARLO_HOST_DEVICE std::uint32_t size() const { return counts->residents; }

  /// [resident_words(objects)] object o is bit o % 64 of word o / 64.
  MOECARLO_HOST_DEVICE const std::uint64_t* residents() const { return bits; }
  /// Those of the cache in a block.
  MOECARLO_HOST_DEVICE static const std::uint64_t* residents_in(const std::uint64_t* block) { return block; }
};

/// One use of an object: the bookkeeping of a hit, or its admission in place of the policy's victim. A cache of
/// capacity 0 admits nothing. `policy` is the one the cache was made for; `draw` is a uniform 32-bit word that only
/// `random` reads, and only when it evicts.
template <RuleOfReferences Rule>
MOECARLO_HOST_DEVICE void reference(const ListCache& cache, std::uint32_t object, std::uint32_t draw) {
  if (cache.capacity > 0) Rule::reference(cache, object, draw);
}

}  // namespace moecarlo
