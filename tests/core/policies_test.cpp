#include "tests/oracle/policy_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "cuda/core/policy/list_cache.hpp"
#include "cuda/core/policy/lru_walk.hpp"
#include "cuda/core/policy/reference_order.hpp"

namespace moecarlo {
namespace {

using oracle::misses_of;
using oracle::ObjectList;
using oracle::PolicyCache;
using oracle::reference_order;
using oracle::Touches;
using Setup = PolicyCache::Setup;

constexpr Policy kListPolicies[] = {Policy::lru,  Policy::fifo,   Policy::lfu,
                                    Policy::slru, Policy::random, Policy::lfu_kept};

/// Any word, the same for the same place: what the random policy draws.
std::uint32_t word_at(std::uint32_t pass, std::uint32_t index) {
  return static_cast<std::uint32_t>(std::mt19937(pass * 1000 + index + 1)());
}

/// Random passes over `objects` objects; few or many repeats.
std::vector<Touches> random_passes(std::uint32_t objects, std::uint32_t count, std::mt19937& random) {
  const std::uint32_t reach = 1 + random() % objects, top_k = 1 + random() % std::min(reach, 8U);
  const std::uint32_t offset = random() % (objects - reach + 1);
  std::vector<Touches> passes(count);
  for (Touches& pass : passes) {
    pass.resize(1 + random() % 5);
    for (ObjectList& token : pass) {
      while (token.size() < top_k) {
        const std::uint32_t object = offset + random() % reach;
        if (std::find(token.begin(), token.end(), object) == token.end()) token.push_back(object);
      }
      std::sort(token.rbegin(), token.rend());  // as the bits of a mask are touched
    }
  }
  return passes;
}

/// Nobody or some objects in some order, as many as there are slots.
ObjectList random_start(std::uint32_t objects, std::uint32_t capacity, std::mt19937& random) {
  if (random() % 2 == 0) return {};
  ObjectList start(objects);
  std::iota(start.begin(), start.end(), 0U);
  std::shuffle(start.begin(), start.end(), random);
  start.resize(capacity);
  return start;
}

template <int Words>
std::vector<std::uint64_t> masks_of(const Touches& pass) {
  std::vector<std::uint64_t> words(pass.size() * Words);
  for (std::size_t i = 0; i < pass.size(); ++i) {
    for (const std::uint32_t object : pass[i]) words[i * Words + object / 64] |= std::uint64_t{1} << (object % 64);
  }
  return words;
}

template <int Words>
ObjectList fast_order(const Touches& pass) {
  const std::vector<std::uint64_t> masks = masks_of<Words>(pass);
  const auto tokens = static_cast<std::uint32_t>(pass.size());
  std::vector<ExpertMask<Words>> last(tokens);
  const auto mask_at = [&](std::uint32_t i) { return ExpertMask<Words>::load(masks.data() + i * Words); };
  last_touches<Words>(tokens, mask_at, last.data());
  ObjectList order;
  for_each_reference(last.data(), tokens, [&](std::uint32_t object) { order.push_back(object); });
  return order;
}

/// A list cache in a block of its own, filled with rubbish that `clear` has to do away with.
struct Block {
  Block(Policy policy, std::uint32_t objects, std::uint32_t capacity, std::uint32_t protected_capacity)
      : words(ListCache::bytes(policy, objects, capacity) / 8 + 1, 0xDEADBEEFCAFEF00DU),
        cache(ListCache::over(words.data(), policy, objects, capacity, protected_capacity)) {
    cache.clear();
  }
  bool end_is_untouched() const { return words.back() == 0xDEADBEEFCAFEF00DU; }

  std::vector<std::uint64_t> words;
  ListCache cache;
};

template <Policy policy, int Words>
void expect_list_equals_slow(std::uint32_t objects, std::uint32_t capacity, std::mt19937& random) {
  const auto protected_capacity = static_cast<std::uint32_t>(random() % (capacity + 1));
  Setup setup{policy, objects, capacity, protected_capacity, {}, {}, word_at};
  setup.start = random_start(objects, capacity, random);
  PolicyCache slow(setup);
  const Block block(policy, objects, capacity, setup.protected_capacity);
  const ListCache& cache = block.cache;
  for (auto object = setup.start.rbegin(); object != setup.start.rend(); ++object)
    reference<RuleOf<policy>>(cache, *object, 0);

  std::uint32_t number = 0;
  for (const Touches& pass : random_passes(objects, 1 + random() % 12, random)) {
    const ObjectList order = fast_order<Words>(pass);
    ASSERT_EQ(order, reference_order(pass));
    const auto hits = std::count_if(order.begin(), order.end(), [&](auto object) { return cache.contains(object); });
    ASSERT_EQ(hits, slow.judge(pass));
    for (std::uint32_t i = 0; i < order.size(); ++i) reference<RuleOf<policy>>(cache, order[i], word_at(number, i));
    slow.update(pass);
    ++number;

    const std::vector<bool> held = slow.residents();
    const auto residents = ExpertMask<Words>::load(cache.residents());
    ASSERT_EQ(cache.size(), std::count(held.begin(), held.end(), true));
    ASSERT_EQ(residents.count(), cache.size());
    for (std::uint32_t object = 0; object < objects; ++object) {
      ASSERT_EQ(cache.contains(object), held[object]) << "object " << object << ", capacity " << capacity;
      ASSERT_EQ(residents.contains(object), held[object]);
    }
  }
  ASSERT_TRUE(block.end_is_untouched());
}

template <Policy policy, int Words>
void expect_list_equals_slow_at_all_capacities(std::uint32_t objects, int cases, unsigned seed) {
  std::mt19937 random(seed);
  for (int i = 0; i < cases; ++i) {
    for (const std::uint32_t capacity : {0U, 1U, 1 + static_cast<std::uint32_t>(random() % objects), objects}) {
      ASSERT_NO_FATAL_FAILURE((expect_list_equals_slow<policy, Words>(objects, capacity, random)))
          << "policy " << static_cast<int>(policy) << ", case " << i << " of " << objects;
    }
  }
}

template <Policy policy>
void expect_list_equals_slow_at_all_sizes() {
  expect_list_equals_slow_at_all_capacities<policy, 1>(1, 20, 1);
  expect_list_equals_slow_at_all_capacities<policy, 1>(4, 1000, 2);
  expect_list_equals_slow_at_all_capacities<policy, 1>(13, 1000, 3);
  expect_list_equals_slow_at_all_capacities<policy, 1>(64, 50, 4);
  expect_list_equals_slow_at_all_capacities<policy, 2>(65, 50, 5);
  expect_list_equals_slow_at_all_capacities<policy, 4>(130, 40, 6);
}

TEST(ListCache, lru_equals_the_slow_version) {
  expect_list_equals_slow_at_all_sizes<Policy::lru>();
}
TEST(ListCache, fifo_equals_the_slow_version) {
  expect_list_equals_slow_at_all_sizes<Policy::fifo>();
}
TEST(ListCache, lfu_equals_the_slow_version) {
  expect_list_equals_slow_at_all_sizes<Policy::lfu>();
}
TEST(ListCache, lfu_kept_equals_the_slow_version) {
  expect_list_equals_slow_at_all_sizes<Policy::lfu_kept>();
}
TEST(ListCache, slru_equals_the_slow_version) {
  expect_list_equals_slow_at_all_sizes<Policy::slru>();
}
TEST(ListCache, random_equals_the_slow_version) {
  expect_list_equals_slow_at_all_sizes<Policy::random>();
}

TEST(ListCache, holds_more_objects_than_a_mask) {
  const Block block(Policy::lfu, 70001, 3, 0);
  for (const std::uint32_t object : {70000U, 5U, 70000U, 64U, 5U, 9U})
    reference<RuleOf<Policy::lfu>>(block.cache, object, 0);
  EXPECT_EQ(block.cache.size(), 3);
  for (const std::uint32_t object : {70000U, 5U, 9U}) EXPECT_TRUE(block.cache.contains(object));
  EXPECT_FALSE(block.cache.contains(64));
  EXPECT_TRUE(block.end_is_untouched());
}

TEST(ListCache, without_a_protected_segment_slru_is_lru) {
  std::mt19937 random(7);
  for (int i = 0; i < 500; ++i) {
    const std::uint32_t objects = 1 + random() % 20, capacity = 1 + random() % objects;
    const Block lru(Policy::lru, objects, capacity, 0), slru(Policy::slru, objects, capacity, 0);
    for (int use = 0; use < 100; ++use) {
      const std::uint32_t object = random() % objects;
      reference<RuleOf<Policy::lru>>(lru.cache, object, 0);
      reference<RuleOf<Policy::slru>>(slru.cache, object, 0);
      ASSERT_EQ(*lru.cache.residents(), *slru.cache.residents());
    }
  }
}

TEST(ListCache, of_lru_holds_what_a_walk_over_the_passes_finds) {
  std::mt19937 random(8);
  for (int i = 0; i < 500; ++i) {
    const std::uint32_t objects = 1 + random() % 64, tokens = 12, touches = 1 + random() % 5;
    std::vector<Touches> passes = random_passes(objects, 6, random);
    std::vector<std::uint64_t> masks;
    for (const Touches& pass : passes) {
      for (const std::uint64_t mask : masks_of<1>(pass)) masks.push_back(mask);
    }
    masks.resize(tokens);
    const RoutingView view{masks.data(), tokens, 1, objects, 8};
    std::vector<std::uint32_t> touched(4 * touches);
    for (std::uint32_t& token : touched) token = random() % tokens;
    std::vector<LayerBundle<1, 1>> unions(4);
    for (std::size_t t = 0; t < touched.size(); ++t)
      unions[t / touches] |= LayerBundle<1, 1>::load(view, touched[t], 0);

    const Capacity capacity{1 + static_cast<std::uint32_t>(random() % objects), 0};
    const bool warm = random() % 2 == 0;
    FoundResidents<1, 1> found;
    const ColumnMasks<1, 1> columns{RowMasks<1, 1>::of(view, 0), touched.data()};
    walk_lru(objects, 0, PassHistory<1, 1>{columns, unions.data(), 4, touches, touches, warm}, &capacity, 1,
             [&](std::uint32_t, const auto& lanes, const auto& residents) { found.take(lanes, residents); });

    const Block block(Policy::lru, objects, capacity.base, 0);
    for (std::uint32_t rank = capacity.base; warm && rank-- > 0;) reference<RuleOf<Policy::lru>>(block.cache, rank, 0);
    for (int pass = 0; pass < 4; ++pass) {
      std::vector<ExpertMask<1>> last(touches);
      const std::uint32_t* of_pass = touched.data() + static_cast<std::size_t>(pass) * touches;
      const auto mask_at = [&](std::uint32_t t) { return view.mask<1>(of_pass[t], 0); };
      last_touches<1>(touches, mask_at, last.data());
      for_each_reference(last.data(), touches,
                         [&](auto object) { reference<RuleOf<Policy::lru>>(block.cache, object, 0); });
    }
    ASSERT_EQ(*block.cache.residents(), found.residents().lane(0).word[0]);
  }
}

TEST(ListCache, of_lru_holds_whatever_a_smaller_one_holds) {
  std::mt19937 random(9);
  for (int i = 0; i < 300; ++i) {
    const std::uint32_t objects = 2 + random() % 60, capacity = 1 + random() % (objects - 1);
    const Block small(Policy::lru, objects, capacity, 0), large(Policy::lru, objects, capacity + 1, 0);
    for (const Touches& pass : random_passes(objects, 8, random)) {
      for (const std::uint32_t object : fast_order<1>(pass)) {
        reference<RuleOf<Policy::lru>>(small.cache, object, 0);
        reference<RuleOf<Policy::lru>>(large.cache, object, 0);
      }
      ASSERT_EQ(*small.cache.residents() & ~*large.cache.residents(), 0);
    }
  }
}

TEST(ReferenceOrder, is_that_of_the_last_touch_with_the_lowest_bit_last) {
  EXPECT_EQ(fast_order<1>({{1, 0}, {3, 2}, {2, 1}}), (ObjectList{0, 3, 2, 1}));
  EXPECT_EQ(fast_order<1>({}), ObjectList{});
}

/// The least misses of any choice of residents among residents and fetched, by trying all.
std::uint64_t fewest_misses(const std::vector<Touches>& passes, std::size_t at, std::uint32_t residents,
                            std::uint32_t capacity) {
  if (at == passes.size()) return 0;
  std::uint32_t touched = 0;
  for (const std::uint32_t object : reference_order(passes[at])) touched |= 1U << object;
  const std::uint32_t choice = residents | touched;
  std::uint64_t fewest = ~std::uint64_t{0};
  for (std::uint32_t next = choice;; next = (next - 1) & choice) {
    if (count_bits(next) <= capacity) fewest = std::min(fewest, fewest_misses(passes, at + 1, next, capacity));
    if (next == 0) break;
  }
  return fewest + count_bits(touched & ~residents);
}

TEST(SlowOracle, with_bypass_misses_the_least_possible) {
  std::mt19937 random(10);
  for (int i = 0; i < 400; ++i) {
    const std::uint32_t objects = 2 + random() % 4, capacity = 1 + random() % std::min(objects, 3U);
    const std::vector<Touches> passes = random_passes(objects, 1 + random() % 5, random);
    const ObjectList start = random_start(objects, capacity, random);
    std::uint32_t residents = 0;
    for (const std::uint32_t object : start) residents |= 1U << object;
    ASSERT_EQ(misses_of({Policy::belady_bypass, objects, capacity, 0, start, passes, {}}, passes),
              fewest_misses(passes, 0, residents, capacity));
  }
}

TEST(SlowOracle, misses_no_more_than_any_policy) {
  std::mt19937 random(11);
  for (int i = 0; i < 1500; ++i) {
    const std::uint32_t objects = 2 + random() % 20, capacity = 1 + random() % objects;
    const std::vector<Touches> passes = random_passes(objects, 1 + random() % 15, random);
    const ObjectList start = random_start(objects, capacity, random);
    std::vector<std::vector<std::uint32_t>> heat(passes.size(), std::vector<std::uint32_t>(objects));
    for (auto& round : heat) {
      for (std::uint32_t& count : round) count = random() % 3;
    }
    const auto misses = [&](Policy policy) {
      return misses_of({policy, objects, capacity, capacity / 2, start, passes, word_at}, passes, heat);
    };
    const std::uint64_t bypassing = misses(Policy::belady_bypass), admitting = misses(Policy::belady);
    ASSERT_LE(bypassing, admitting);
    ASSERT_LE(bypassing, misses(Policy::static_residents));
    ASSERT_LE(bypassing, misses(Policy::hotness));
    for (const Policy policy : kListPolicies) ASSERT_LE(admitting, misses(policy)) << static_cast<int>(policy);
  }
}

TEST(SlowHotness, keeps_the_hottest_and_then_whoever_is_resident) {
  PolicyCache cache({Policy::hotness, 6, 3, 0, {4, 5}, {}, {}});
  cache.update({{3, 0}}, {0, 0, 0, 2, 0, 0});  // object 0 is fetched but cold
  EXPECT_EQ(cache.residents(), (std::vector<bool>{false, false, false, true, true, true}));
  cache.update({{2, 1}}, {0, 1, 1, 0, 0, 1});
  EXPECT_EQ(cache.residents(), (std::vector<bool>{false, true, true, false, false, true}));
}

}  // namespace
}  // namespace moecarlo
