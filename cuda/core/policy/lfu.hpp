#pragma once

#include "cuda/core/policy/traits.hpp"

namespace moecarlo {

/// Least frequently used, in constant time: one list ordered by uses since admission and then by recency, and a bucket
/// for each use count that occurs, which knows the front of its residents. A use moves an object to the front of the
/// next bucket. Uses are forgotten on eviction. At most 2^32 - 1 references after `clear`.
/// Source: Shah, Mitra, Matani, "An O(1) algorithm for implementing the LFU cache eviction scheme", 2010.
struct Lfu : PolicyTraits {
  static constexpr const char* kName = "lfu";
  static constexpr const char* kNote =
      "counts uses since admission: a count is forgotten when its object is evicted; ties evict the least recently "
      "used";
  MOECARLO_HOST_DEVICE static constexpr CacheShape shape() { return {1, false, true}; }

  MOECARLO_HOST_DEVICE static void reference(const CacheState& cache, std::uint32_t object, std::uint32_t /*draw*/) {
    if (cache.contains(object)) {
      use(cache, object);
      return;
    }
    if (cache.full()) {
      const std::uint32_t victim = cache.back(0);
      take_out(cache, victim);
      cache.replace(victim, object);
    } else {
      cache.admit(object);
    }
    put(cache, object, 1, cache.back(0), cache.head(0));
  }

  /// One more use of a resident.
  MOECARLO_HOST_DEVICE static void use(const CacheState& cache, std::uint32_t object) {
    const std::uint32_t bucket = cache.nodes[object].group;
    const std::uint32_t front = cache.buckets[bucket].front;
    const std::uint32_t ahead = cache.nodes[front].previous;  // the back of the bucket of the next use count, if any
    const std::uint32_t uses = cache.buckets[bucket].uses + 1;
    const std::uint32_t behind = cache.nodes[object].next;
    const bool alone = front == object && (behind == cache.head(0) || cache.nodes[behind].group != bucket);
    const bool joins = ahead != cache.head(0) && cache.buckets[cache.nodes[ahead].group].uses == uses;
    if (alone && !joins) {
      cache.buckets[bucket].uses = uses;
      return;
    }
    take_out(cache, object);
    put(cache, object, uses, ahead, front == object ? behind : front);
  }

  /// Puts an object that is in no list to the front of the bucket of `uses`: that of `ahead`, or else a new one between
  /// the neighbours `ahead` and `behind`.
  MOECARLO_HOST_DEVICE static void put(const CacheState& cache, std::uint32_t object, std::uint32_t uses,
                                       std::uint32_t ahead, std::uint32_t behind) {
    std::uint32_t bucket = ahead == cache.head(0) ? cache.capacity : cache.nodes[ahead].group;
    if (bucket != cache.capacity && cache.buckets[bucket].uses == uses) {
      behind = cache.buckets[bucket].front;
    } else {
      bucket = new_bucket(cache);
      cache.buckets[bucket].uses = uses;
    }
    cache.link_before(behind, object);
    cache.buckets[bucket].front = object;
    cache.nodes[object].group = bucket;
  }

  MOECARLO_HOST_DEVICE static void take_out(const CacheState& cache, std::uint32_t object) {
    const std::uint32_t bucket = cache.nodes[object].group, behind = cache.nodes[object].next;
    cache.unlink(object);
    if (cache.buckets[bucket].front != object) return;
    if (behind != cache.head(0) && cache.nodes[behind].group == bucket) {
      cache.buckets[bucket].front = behind;
    } else {  // empty now
      cache.buckets[bucket].front = cache.counts->free_bucket;
      cache.counts->free_bucket = bucket + 1;
    }
  }

  MOECARLO_HOST_DEVICE static std::uint32_t new_bucket(const CacheState& cache) {
    if (cache.counts->free_bucket == 0) return cache.counts->fresh_bucket++;
    const std::uint32_t bucket = cache.counts->free_bucket - 1;
    cache.counts->free_bucket = cache.buckets[bucket].front;
    return bucket;
  }
};

}  // namespace moecarlo
