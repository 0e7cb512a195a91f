#include "host/cache/replay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <stdexcept>

#include "host/cache/oracle.hpp"
#include "tests/oracle/policy_cache.hpp"

namespace moecarlo {
namespace {

using oracle::PolicyCache;
using oracle::Touches;

/// Random events over some caches; one look-up an event, or several distinct ones.
CacheEvents random_events(std::mt19937& random) {
  CacheEvents events;
  events.caches = 1 + random() % 3;
  events.layers = 3;
  events.objects = 1 + random() % 70;
  events.offsets = {0};
  const std::uint32_t most = 1 + random() % std::min(events.objects, 6U);
  for (std::uint32_t count = 1 + random() % 60; count > 0; --count) {
    std::vector<std::uint32_t> members;
    for (std::uint32_t i = 1 + random() % most; i > 0; --i) {
      const std::uint32_t object = random() % events.objects;
      if (std::find(members.begin(), members.end(), object) == members.end()) members.push_back(object);
    }
    events.object.insert(events.object.end(), members.begin(), members.end());
    events.layer.resize(events.object.size(), static_cast<std::uint16_t>(random() % 3));
    events.offsets.push_back(events.object.size());
    events.cache.push_back(random() % events.caches);
  }
  return events;
}

/// The events of one cache as passes: each object a token of its own, so that its place in the event is kept.
std::vector<Touches> passes_of(const CacheEvents& events, std::uint32_t cache) {
  std::vector<Touches> passes;
  for (std::uint64_t event = 0; event < events.events(); ++event) {
    if (events.cache[event] != cache) continue;
    Touches& pass = passes.emplace_back();
    for (std::uint64_t i = events.offsets[event]; i < events.offsets[event + 1]; ++i)
      pass.push_back({events.object[i]});
  }
  return passes;
}

std::vector<std::uint8_t> slow_replay(const CacheEvents& events, const ReplayOptions& options) {
  const bool full = options.warm || options.policy == Policy::static_residents;
  const std::vector<std::uint32_t> popular = most_referenced(events, options.capacity);
  std::vector<PolicyCache> caches;
  for (std::uint32_t cache = 0; cache < events.caches; ++cache) {
    PolicyCache::Setup setup{
        options.policy, events.objects, options.capacity, options.protected_capacity, {}, passes_of(events, cache), {}};
    const auto first = popular.begin() + static_cast<std::ptrdiff_t>(cache * options.capacity);
    if (full) setup.start.assign(first, first + options.capacity);
    caches.emplace_back(setup);
  }
  std::vector<std::uint8_t> hits;
  for (std::uint64_t event = 0; event < events.events(); ++event) {
    PolicyCache& cache = caches[events.cache[event]];
    const std::vector<bool> residents = cache.residents();
    Touches pass;
    for (std::uint64_t i = events.offsets[event]; i < events.offsets[event + 1]; ++i) {
      hits.push_back(residents[events.object[i]] ? 1 : 0);
      pass.push_back({events.object[i]});
    }
    cache.update(pass);
  }
  return hits;
}

void expect_slow_hits(Policy policy, unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < 1500; ++i) {
    const CacheEvents events = random_events(random);
    ReplayOptions options;
    options.policy = policy;
    options.capacity = random() % (events.objects + 1);
    options.protected_capacity = random() % (options.capacity + 1);
    options.warm = random() % 2 == 0;
    ASSERT_EQ(replay(events, options), slow_replay(events, options)) << "case " << i;
  }
}

TEST(Replay, of_static_equals_the_slow_version) {
  expect_slow_hits(Policy::static_residents, 1);
}
TEST(Replay, of_lru_equals_the_slow_version) {
  expect_slow_hits(Policy::lru, 2);
}
TEST(Replay, of_fifo_equals_the_slow_version) {
  expect_slow_hits(Policy::fifo, 3);
}
TEST(Replay, of_lfu_equals_the_slow_version) {
  expect_slow_hits(Policy::lfu, 4);
}
TEST(Replay, of_lfu_kept_equals_the_slow_version) {
  expect_slow_hits(Policy::lfu_kept, 14);
}
TEST(Replay, of_slru_equals_the_slow_version) {
  expect_slow_hits(Policy::slru, 5);
}
TEST(Replay, of_belady_equals_the_slow_version) {
  expect_slow_hits(Policy::belady, 6);
}
TEST(Replay, of_belady_with_bypass_equals_the_slow_version) {
  expect_slow_hits(Policy::belady_bypass, 7);
}

TEST(Replay, of_random_depends_on_the_seed_alone) {
  std::mt19937 random(8);
  CacheEvents events;
  events.layers = 1;
  events.objects = 20;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    events.offsets.push_back(i);
    events.object.push_back(random() % 20);
    events.layer.push_back(0);
    events.cache.push_back(0);
  }
  events.offsets.push_back(2000);
  ReplayOptions options;
  options.policy = Policy::random;
  options.capacity = 10;
  const auto hits = replay(events, options);
  EXPECT_EQ(replay(events, options), hits);
  options.seed = 2;
  EXPECT_NE(replay(events, options), hits);
  EXPECT_NEAR(static_cast<double>(std::count(hits.begin(), hits.end(), 1)), 1000, 110);  // half of it is resident
}

TEST(Replay, of_hotness_is_refused) {
  ReplayOptions options;
  options.policy = Policy::hotness;
  EXPECT_THROW(replay(CacheEvents{1, 1, 1, {0}, {0}, {0, 1}, {0}}, options), std::invalid_argument);
}

TEST(MostReferenced, are_counted_by_cache_and_tie_to_the_lower_number) {
  const CacheEvents events{2, 2, 4, {3, 1, 3, 0, 2}, {0, 0, 0, 1, 1}, {0, 1, 2, 3, 4, 5}, {0, 0, 0, 1, 1}};
  EXPECT_EQ(most_referenced(events, 3), (std::vector<std::uint32_t>{3, 1, 0, 0, 2, 1}));
}

TEST(RecordedEvents, number_objects_by_layer_expert_and_part) {
  TraceInfo info;
  info.layers = 2;
  info.experts = 4;
  const Lookups lookups{{0, 2, 1}, {3, 0, 1}, {0, 1, 2}, {0, 0, 0}};  // layer 2 is the drafter's
  const CacheEvents pool = recorded_events(lookups, info, CacheScope::global);
  EXPECT_EQ(pool.objects, 3 * 4 * 3);
  EXPECT_EQ(pool.object, (std::vector<std::uint32_t>{9, 25, 17}));
  EXPECT_EQ(pool.cache, (std::vector<std::uint32_t>{0, 0, 0}));
  const CacheEvents layers = recorded_events(lookups, info, CacheScope::layer);
  EXPECT_EQ(layers.objects, 4 * 3);
  EXPECT_EQ(layers.object, (std::vector<std::uint32_t>{9, 1, 5}));
  EXPECT_EQ(layers.cache, (std::vector<std::uint32_t>{0, 2, 1}));
  EXPECT_EQ(layers.layers, 3);
}

}  // namespace
}  // namespace moecarlo
