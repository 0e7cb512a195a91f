#include "host/cache/oracle.hpp"

#include <iterator>
#include <set>
#include <utility>

namespace moecarlo {
namespace {

constexpr std::uint64_t kNever = ~std::uint64_t{0};

/// The next event of the same cache that holds the same object: of each look-up, and of each object at the start.
struct NextUses {
  std::vector<std::uint64_t> of_lookup;  ///< [lookups]
  std::vector<std::uint64_t> of_object;  ///< [caches][objects]
};

NextUses find_next_uses(const CacheEvents& events) {
  NextUses next;
  next.of_lookup.resize(events.lookups());
  next.of_object.assign(std::size_t{events.caches} * events.objects, kNever);
  for (std::uint64_t event = events.events(); event-- > 0;) {
    const std::size_t base = std::size_t{events.cache[event]} * events.objects;
    for (std::uint64_t i = events.offsets[event]; i < events.offsets[event + 1]; ++i) {
      next.of_lookup[i] = std::exchange(next.of_object[base + events.object[i]], event);
    }
  }
  return next;
}

/// The residents of one cache, the first to be used again first.
using Residents = std::set<std::pair<std::uint64_t, std::uint32_t>>;

void trim(Residents& residents, std::size_t size) {
  while (residents.size() > size) residents.erase(std::prev(residents.end()));
}

}  // namespace

std::vector<std::uint8_t> replay_oracle(const CacheEvents& events, std::uint32_t capacity, Admission admission,
                                        const std::vector<std::uint32_t>& start, std::uint32_t start_count) {
  const NextUses next = find_next_uses(events);
  std::vector<Residents> caches(events.caches);
  for (std::size_t i = 0; i < start.size(); ++i) {
    const std::size_t cache = i / start_count;
    caches[cache].emplace(next.of_object[cache * events.objects + start[i]], start[i]);
  }
  std::vector<std::uint8_t> hits(events.lookups());
  for (std::uint64_t event = 0; event < events.events(); ++event) {
    Residents& residents = caches[events.cache[event]];
    const std::uint64_t begin = events.offsets[event], end = events.offsets[event + 1];
    if (begin == end) continue;
    for (std::uint64_t i = begin; i < end; ++i) {  // a resident's next use is this event, wherever it stands
      hits[i] = residents.erase({event, events.object[i]}) != 0;
      residents.emplace(next.of_lookup[i], events.object[i]);
    }
    if (residents.size() <= capacity) continue;
    const std::pair last{next.of_lookup[end - 1], events.object[end - 1]};
    if (admission == Admission::forced && capacity > 0) {
      residents.erase(last);
      trim(residents, capacity - 1);
      residents.insert(last);
    } else {
      trim(residents, capacity);
    }
  }
  return hits;
}

}  // namespace moecarlo
