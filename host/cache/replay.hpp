#pragma once

#include <cstdint>
#include <vector>

#include "cuda/core/plan.hpp"
#include "host/cache/cache_events.hpp"

namespace moecarlo {

struct ReplayOptions {
  Policy policy = Policy::lru;           ///< any but hotness, which needs drafts (std::invalid_argument)
  std::uint32_t capacity = 1;            ///< slots of each cache, 0 .. objects
  std::uint32_t protected_capacity = 0;  ///< slru: slots of the protected segment, 0 .. capacity
  bool warm = false;                     ///< start with the most referenced objects; a static cache always does
  std::uint32_t seed = 1;                ///< random
};

/// Plays events through one cache of the policy each; no cache is ever emptied. [lookups] 1 where the object was
/// resident at the start of its event.
std::vector<std::uint8_t> replay(const CacheEvents& events, const ReplayOptions& options);

/// The `count` most referenced objects of each cache, over all events: [caches][count], most referenced first, ties to
/// the lower number. That is the static set, and a warm start, in which the most referenced is the most recent.
std::vector<std::uint32_t> most_referenced(const CacheEvents& events, std::uint32_t count);

/// How a replay went, in whole and by layer.
struct HitCounts {
  std::uint64_t lookups = 0, hits = 0;
  std::vector<std::uint64_t> layer_lookups, layer_hits;  ///< [layers]
};

HitCounts count_hits(const CacheEvents& events, const std::vector<std::uint8_t>& hits);

}  // namespace moecarlo
