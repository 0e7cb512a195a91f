#include "cuda/core/policy/lru_settled.hpp"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <set>

namespace moecarlo {
namespace {

using Experts = std::set<std::uint32_t>;

template <int Words>
Experts members(const ExpertMask<Words>& mask) {
  Experts experts;
  for (std::uint32_t e = 0; e < 64U * Words; ++e) {
    if (mask.contains(e)) experts.insert(e);
  }
  return experts;
}

/// An LRU cache of one layer as an ordered list of at most `capacity` experts, the most recent first.
class ListCache {
 public:
  ListCache(std::uint32_t capacity, bool warm) : capacity_(capacity) {
    for (std::uint32_t e = 0; warm && e < capacity; ++e) order_.push_back(e);
  }
  void touch(std::uint32_t expert) {
    order_.remove(expert);
    order_.push_front(expert);
    if (order_.size() > capacity_) order_.pop_back();
  }
  Experts residents() const { return {order_.begin(), order_.end()}; }

 private:
  std::uint32_t capacity_;
  std::list<std::uint32_t> order_;
};

/// Passes of random tokens over random masks of ten layers.
template <int Words>
struct Passes {
  static constexpr std::uint32_t kLayers = 10;
  std::uint32_t experts, count, touches;
  std::vector<std::uint64_t> masks;
  std::vector<std::uint32_t> tokens;  // [count][touches]

  Passes(std::uint32_t expert_count, std::mt19937& random)
      : experts(expert_count), count(1 + random() % 6), touches(1 + random() % 6) {
    const std::uint32_t top_k = 1 + random() % std::min(experts, 8U), token_count = 12;
    const std::uint32_t reach = 1 + random() % experts;  // choices among the lowest ranks only: few or many repeats
    masks.resize(std::size_t{token_count} * kLayers * Words, 0);
    for (std::uint32_t row = 0; row < token_count * kLayers; ++row) {
      for (std::uint32_t i = 0; i < top_k; ++i) {
        const std::uint32_t expert = random() % reach;
        masks[row * Words + expert / 64] |= std::uint64_t{1} << (expert % 64);
      }
    }
    for (std::uint32_t i = 0; i < count * touches; ++i) tokens.push_back(random() % token_count);
  }

  RoutingView view() const { return {masks.data(), 12, kLayers, experts, 8}; }

  Experts listed(std::uint32_t layer, std::uint32_t passes, std::uint32_t capacity, bool warm) const {
    ListCache cache(capacity, warm);
    for (std::uint32_t i = 0; i < passes * touches; ++i) {
      const auto chosen = view().template mask<Words>(tokens[i], layer);
      for (std::uint32_t e = experts; e-- > 0;) {
        if (chosen.contains(e)) cache.touch(e);
      }
    }
    return cache.residents();
  }
};

/// The residents after the first `passes` passes, as one walk gives them: [lane][capacity].
template <int Words, int Lanes>
std::vector<std::vector<Experts>> walked(const Passes<Words>& trace, std::uint32_t first_layer, std::uint32_t passes,
                                         const std::vector<Capacity>& capacities, bool warm) {
  using Bundle = LayerBundle<Words, Lanes>;
  std::vector<Bundle> unions(trace.count);
  for (std::uint32_t i = 0; i < trace.count * trace.touches; ++i) {
    unions[i / trace.touches] |= Bundle::load(trace.view(), trace.tokens[i], first_layer);
  }
  const RoutingView view = trace.view();
  const ColumnMasks<Words, Lanes> columns{RowMasks<Words, Lanes>::of(view, first_layer), trace.tokens.data()};
  const PassHistory<Words, Lanes> history{columns, unions.data(), passes, trace.touches, trace.touches, warm};
  std::vector<FoundResidents<Words, Lanes>> found(capacities.size());
  walk_lru(view.experts, first_layer, history, capacities.data(), static_cast<std::uint32_t>(capacities.size()),
           [&](std::uint32_t index, const auto& lanes, const auto& one) { found[index].take(lanes, one); });
  std::vector<std::vector<Experts>> residents(Lanes);
  for (int lane = 0; lane < Lanes; ++lane) {
    for (const auto& one : found) {
      residents[static_cast<std::size_t>(lane)].push_back(members(one.residents().lane(lane)));
    }
  }
  return residents;
}

template <int Words, int Lanes>
void expect_walk_equals_list(std::uint32_t experts, int cases, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Capacity> capacities;
  for (std::uint32_t c = 0; c <= experts; ++c) capacities.push_back({c, 0});
  for (int i = 0; i < cases; ++i) {
    const Passes<Words> trace(experts, random);
    const bool warm = random() % 2 == 0;
    const std::uint32_t passes = random() % (trace.count + 1);
    const std::uint32_t first_layer = random() % (trace.kLayers - Lanes + 1);
    const auto residents = walked<Words, Lanes>(trace, first_layer, passes, capacities, warm);
    for (std::uint32_t lane = 0; lane < Lanes; ++lane) {
      ASSERT_EQ(residents[lane].size(), capacities.size());
      for (std::uint32_t c = 0; c <= experts; ++c) {
        ASSERT_EQ(residents[lane][c], trace.listed(first_layer + lane, passes, c, warm))
            << "capacity " << c << " after " << passes << " passes, " << (warm ? "warm" : "cold");
      }
    }
  }
}

TEST(WalkLru, equals_an_ordered_list_at_every_capacity) {
  expect_walk_equals_list<1, 1>(1, 200, 1);
  expect_walk_equals_list<1, 1>(6, 3000, 2);
  expect_walk_equals_list<1, 1>(20, 500, 3);
  expect_walk_equals_list<1, 1>(64, 50, 4);
  expect_walk_equals_list<2, 1>(70, 50, 5);
  expect_walk_equals_list<4, 1>(200, 10, 6);
  expect_walk_equals_list<8, 1>(260, 5, 7);
  expect_walk_equals_list<16, 1>(520, 2, 8);
}

TEST(WalkLru, of_eight_layers_at_once_is_that_of_each_layer) {
  expect_walk_equals_list<1, 8>(6, 500, 11);
  expect_walk_equals_list<1, 8>(20, 100, 12);
  expect_walk_equals_list<2, 8>(70, 10, 13);
  expect_walk_equals_list<4, 8>(200, 2, 14);
}

/// A long episode's residents after every 61st pass, by walks over a history that is settled on the way.
template <int Words, int Lanes>
void expect_settled_walk_equals_list(std::uint32_t experts, std::uint32_t passes, unsigned seed) {
  using Bundle = LayerBundle<Words, Lanes>;
  std::mt19937 random(seed);
  Passes<Words> trace(experts, random);
  trace.count = passes;
  trace.tokens.resize(std::size_t{passes} * trace.touches);
  for (std::size_t i = 0; i < trace.tokens.size(); ++i) {
    trace.tokens[i] = random() % (i < trace.tokens.size() / 3 ? 12 : 4);  // later on some are not touched any more
  }
  const RoutingView view = trace.view();
  const ColumnMasks<Words, Lanes> columns{RowMasks<Words, Lanes>::of(view, 1), trace.tokens.data()};
  std::vector<Capacity> capacities;
  for (std::uint32_t c = 0; c <= experts; ++c) capacities.push_back({c, 0});
  for (const bool warm : {false, true}) {
    std::vector<Bundle> unions(passes), scratch(2 * (1 + experts), Bundle{});
    for (std::uint32_t pass = 0; pass < passes; ++pass) {
      for (std::uint32_t i = 0; i < trace.touches; ++i) {
        unions[pass] |= Bundle::load(view, trace.tokens[pass * trace.touches + i], 1);
      }
      const auto history = settled_history(
          PassHistory<Words, Lanes>{columns, unions.data(), pass + 1, trace.touches, trace.touches, warm}, experts,
          scratch.data());
      ASSERT_LE(history.passes - history.first, kSettlePasses) << "the walk would be longer with every pass";
      if (pass % 61 != 0) continue;
      std::vector<FoundResidents<Words, Lanes>> found(capacities.size());
      walk_lru(experts, 1, history, capacities.data(), experts + 1,
               [&](std::uint32_t index, const auto& lanes, const auto& one) { found[index].take(lanes, one); });
      for (std::uint32_t lane = 0; lane < Lanes; ++lane) {
        for (std::uint32_t c = 0; c <= experts; ++c) {
          ASSERT_EQ(members(found[c].residents().lane(static_cast<int>(lane))),
                    trace.listed(1 + lane, pass + 1, c, warm))
              << "capacity " << c << " after pass " << pass << (warm ? ", warm" : ", cold");
        }
      }
    }
  }
}

TEST(WalkLru, over_a_settled_history_equals_an_ordered_list) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    expect_settled_walk_equals_list<1, 1>(20, 400, seed);
    expect_settled_walk_equals_list<1, 8>(9, 300, seed);
  }
  expect_settled_walk_equals_list<1, 1>(64, 300, 5);
  expect_settled_walk_equals_list<2, 8>(70, 200, 6);
}

TEST(WalkLru, gives_one_expert_more_to_the_first_layers_of_a_fractional_capacity) {
  std::mt19937 random(9);
  const std::vector<Capacity> capacities = {{2, 0}, {2, 1}, {2, 7}, {3, 0}, {5, 2}};
  for (int i = 0; i < 300; ++i) {
    const Passes<1> trace(10, random);
    const auto residents = walked<1, 8>(trace, 0, trace.count, capacities, true);
    for (std::uint32_t layer = 0; layer < 8; ++layer) {
      const std::vector<std::uint32_t> sizes = {2, layer < 1 ? 3U : 2U, layer < 7 ? 3U : 2U, 3, layer < 2 ? 6U : 5U};
      for (std::size_t c = 0; c < sizes.size(); ++c) {
        ASSERT_EQ(residents[layer][c], trace.listed(layer, trace.count, sizes[c], true)) << layer << " " << c;
      }
    }
  }
}

TEST(WalkLru, touches_the_tokens_of_a_pass_in_order_and_the_lowest_bit_last) {
  std::mt19937 random(1);
  Passes<1> trace(4, random);
  trace.count = 1;
  trace.touches = 3;
  trace.tokens = {0, 1, 2};
  trace.masks.assign(12 * Passes<1>::kLayers, 0);
  trace.masks[0 * Passes<1>::kLayers] = 0b0011;
  trace.masks[1 * Passes<1>::kLayers] = 0b1100;
  trace.masks[2 * Passes<1>::kLayers] = 0b0110;  // touched in all: 1, 0, 3, 2, 2, 1
  const auto residents = walked<1, 1>(trace, 0, 1, {{1, 0}, {2, 0}, {3, 0}, {4, 0}}, false);
  EXPECT_EQ(residents[0], (std::vector<Experts>{{1}, {1, 2}, {1, 2, 3}, {0, 1, 2, 3}}));
}

TEST(StaticResidents, are_the_most_popular_ranks) {
  EXPECT_EQ(members(static_residents<2>({65, 3}, 2)), members(ExpertMask<2>::first(66)));
  EXPECT_EQ(members(static_residents<2>({65, 3}, 3)), members(ExpertMask<2>::first(65)));
  const auto bundle = static_residents<2, 8>({65, 3}, 1);
  for (std::uint32_t lane = 0; lane < 8; ++lane) {
    EXPECT_EQ(members(bundle.lane(static_cast<int>(lane))), members(ExpertMask<2>::first(lane < 2 ? 66 : 65)));
  }
}

}  // namespace
}  // namespace moecarlo
