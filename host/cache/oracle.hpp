#pragma once

#include <cstdint>
#include <vector>

#include "host/cache/cache_events.hpp"

namespace moecarlo {

/// Whether the last object of an event has to stay in its cache, or may be used in passing as well.
enum class Admission { forced, bypass };

/// The offline optimum: after each event its cache keeps, of the residents and the event's objects, those whose next
/// use is nearest, ties (and objects not used again) to the lower number. `start` is [caches][start_count], resident at
/// the start; start_count <= capacity. [lookups] 1 for a hit. Sources: Belady, "A study of replacement algorithms for a
/// virtual-storage computer", IBM Systems Journal 5(2), 1966; with bypass: McFarling, "Cache replacement with dynamic
/// exclusion", ISCA 1992.
std::vector<std::uint8_t> replay_oracle(const CacheEvents& events, std::uint32_t capacity, Admission admission,
                                        const std::vector<std::uint32_t>& start, std::uint32_t start_count);

}  // namespace moecarlo
