#include "host/cache/replay.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "cuda/core/policy/list_cache.hpp"
#include "cuda/core/random.hpp"
#include "host/cache/oracle.hpp"

namespace moecarlo {
namespace {

/// The word that decides whom a look-up of the random policy evicts.
std::uint32_t eviction_word(std::uint32_t seed, std::uint64_t lookup) {
  DrawAddress address;
  address.seed = seed;
  address.stream = Stream::setup;
  address.trajectory = lookup;
  address.purpose = Purpose::eviction;
  return address.draw(0);
}

template <RuleOfReferences Rule>
std::vector<std::uint8_t> replay_list(const CacheEvents& events, const ReplayOptions& options,
                                      const std::vector<std::uint32_t>& start) {
  const std::size_t words = ListCache::bytes(options.policy, events.objects, options.capacity) / sizeof(std::uint64_t);
  std::vector<std::uint64_t> block(words * events.caches);
  const auto cache_at = [&](std::uint32_t number) {
    return ListCache::over(block.data() + words * number, options.policy, events.objects, options.capacity,
                           options.protected_capacity);
  };
  for (std::uint32_t number = 0; number < events.caches; ++number) {
    const ListCache cache = cache_at(number);
    cache.clear();
    const std::size_t count = start.size() / events.caches;
    for (std::size_t i = count; i-- > 0;) reference<Rule>(cache, start[number * count + i], 0);
  }
  std::vector<std::uint8_t> hits(events.lookups());
  for (std::uint64_t event = 0; event < events.events(); ++event) {
    const ListCache cache = cache_at(events.cache[event]);
    const std::uint64_t begin = events.offsets[event], end = events.offsets[event + 1];
    for (std::uint64_t i = begin; i < end; ++i) hits[i] = cache.contains(events.object[i]);
    for (std::uint64_t i = begin; i < end; ++i) {
      reference<Rule>(cache, events.object[i], Rule::kDraws ? eviction_word(options.seed, i) : 0);
    }
  }
  return hits;
}

std::vector<std::uint8_t> replay_static(const CacheEvents& events, const std::vector<std::uint32_t>& members) {
  std::vector<std::uint8_t> resident(std::size_t{events.caches} * events.objects);
  const std::size_t count = members.size() / events.caches;
  for (std::size_t i = 0; i < members.size(); ++i) resident[i / count * events.objects + members[i]] = 1;
  std::vector<std::uint8_t> hits(events.lookups());
  for (std::uint64_t event = 0; event < events.events(); ++event) {
    for (std::uint64_t i = events.offsets[event]; i < events.offsets[event + 1]; ++i) {
      hits[i] = resident[std::size_t{events.cache[event]} * events.objects + events.object[i]];
    }
  }
  return hits;
}

}  // namespace

std::vector<std::uint32_t> most_referenced(const CacheEvents& events, std::uint32_t count) {
  std::vector<std::uint64_t> references(std::size_t{events.caches} * events.objects);
  for (std::uint64_t event = 0; event < events.events(); ++event) {
    for (std::uint64_t i = events.offsets[event]; i < events.offsets[event + 1]; ++i) {
      ++references[std::size_t{events.cache[event]} * events.objects + events.object[i]];
    }
  }
  std::vector<std::uint32_t> members, order(events.objects);
  for (std::uint32_t cache = 0; cache < events.caches; ++cache) {
    const std::uint64_t* counts = references.data() + std::size_t{cache} * events.objects;
    std::iota(order.begin(), order.end(), 0U);
    const auto more = [counts](std::uint32_t a, std::uint32_t b) {
      return counts[a] != counts[b] ? counts[a] > counts[b] : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + count, order.end(), more);
    members.insert(members.end(), order.begin(), order.begin() + count);
  }
  return members;
}

std::vector<std::uint8_t> replay(const CacheEvents& events, const ReplayOptions& options) {
  const bool starts_full = options.warm || never_changes(options.policy);
  const std::uint32_t start_count = starts_full ? options.capacity : 0;
  const std::vector<std::uint32_t> start = most_referenced(events, start_count);
  return with_rule(options.policy, [&](auto rule) -> std::vector<std::uint8_t> {
    using Rule = decltype(rule);
    if constexpr (RuleOfReferences<Rule>) {
      return replay_list<Rule>(events, options, start);
    } else if constexpr (Rule::kNeverChanges) {
      return replay_static(events, start);
    } else if constexpr (Rule::kReadsFuture) {
      return replay_oracle(events, options.capacity, Rule::kForced ? Admission::forced : Admission::bypass, start,
                           start_count);
    } else {
      static_assert(Rule::kNeedsRounds);
      throw std::invalid_argument(std::string(Rule::kName) + " has no replay: it needs rounds");
    }
  });
}

HitCounts count_hits(const CacheEvents& events, const std::vector<std::uint8_t>& hits) {
  HitCounts counts;
  counts.lookups = events.lookups();
  counts.layer_lookups.resize(events.layers);
  counts.layer_hits.resize(events.layers);
  for (std::size_t i = 0; i < hits.size(); ++i) {
    ++counts.layer_lookups[events.layer[i]];
    counts.layer_hits[events.layer[i]] += hits[i];
  }
  counts.hits = std::accumulate(counts.layer_hits.begin(), counts.layer_hits.end(), std::uint64_t{0});
  return counts;
}

}  // namespace moecarlo
