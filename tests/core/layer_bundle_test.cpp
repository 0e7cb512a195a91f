#include "cuda/core/layer_bundle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace moecarlo {
namespace {

template <int Words>
std::vector<std::uint64_t> words_of(const ExpertMask<Words>& mask) {
  return {mask.word, mask.word + Words};
}

/// Masks of `Lanes` layers one after the other, sparse to full.
template <int Words, int Lanes>
std::vector<std::uint64_t> random_masks(std::mt19937_64& random) {
  std::vector<std::uint64_t> masks(Words * Lanes);
  for (std::uint64_t& word : masks) {
    const std::uint64_t density = random() % 4;
    word = density == 0 ? 0 : density == 1 ? random() & random() : density == 2 ? random() : ~std::uint64_t{0};
  }
  return masks;
}

template <int Words, int Lanes>
void expect_each_lane_is_a_mask() {
  using Bundle = LayerBundle<Words, Lanes>;
  std::mt19937_64 random(Words * 100 + Lanes);
  for (int i = 0; i < 300; ++i) {
    const auto masks_a = random_masks<Words, Lanes>(random), masks_b = random_masks<Words, Lanes>(random);
    const Bundle a = Bundle::gather(masks_a.data()), b = Bundle::gather(masks_b.data());
    std::uint64_t wanted[Lanes], chosen[Lanes];
    for (int lane = 0; lane < Lanes; ++lane) {
      wanted[lane] = random() % (64 * Words + 3);
      chosen[lane] = random() % 2 == 0 ? 0 : ~std::uint64_t{0};
    }
    const Bundle lowest = a.lowest(LaneWord<Lanes>::load(wanted));
    const Bundle selected = select(LaneWord<Lanes>::load(chosen), a, b);
    for (int lane = 0; lane < Lanes; ++lane) {
      const auto one = ExpertMask<Words>::load(&masks_a[static_cast<std::size_t>(lane * Words)]);
      const auto other = ExpertMask<Words>::load(&masks_b[static_cast<std::size_t>(lane * Words)]);
      ASSERT_EQ(words_of(a.lane(lane)), words_of(one));
      ASSERT_EQ(words_of((a | b).lane(lane)), words_of(one | other));
      ASSERT_EQ(words_of((a & b).lane(lane)), words_of(one & other));
      ASSERT_EQ(words_of(without(a, b).lane(lane)), words_of(without(one, other)));
      ASSERT_EQ(a.count()[lane], one.count());
      ASSERT_EQ(words_of(lowest.lane(lane)), words_of(one.lowest(static_cast<std::uint32_t>(wanted[lane]))));
      ASSERT_EQ(words_of(selected.lane(lane)), words_of(chosen[lane] != 0 ? one : other));
      Bundle changed = a;
      changed.set_lane(lane, other);
      std::vector<std::uint64_t> masks = masks_a;
      std::copy_n(other.word, Words, masks.begin() + lane * Words);
      std::vector<std::uint64_t> scattered(masks.size());
      changed.scatter(scattered.data());
      ASSERT_EQ(scattered, masks);
    }
  }
}

TEST(LayerBundle, is_a_mask_in_each_lane) {
  expect_each_lane_is_a_mask<1, 1>();
  expect_each_lane_is_a_mask<4, 1>();
  expect_each_lane_is_a_mask<16, 1>();
  expect_each_lane_is_a_mask<1, 8>();
  expect_each_lane_is_a_mask<2, 8>();
  expect_each_lane_is_a_mask<4, 8>();
}

TEST(LayerBundle, loads_neighbouring_layers_of_a_token) {
  constexpr std::uint32_t layers = 11;
  std::vector<std::uint64_t> masks(3 * layers * 2);
  for (std::size_t i = 0; i < masks.size(); ++i) masks[i] = i + 1;
  const RoutingView routing{masks.data(), 3, layers, 128, 2};
  const auto bundle = LayerBundle<2, 8>::load(routing, 1, 3);
  for (std::uint32_t lane = 0; lane < 8; ++lane) {
    EXPECT_EQ(words_of(bundle.lane(static_cast<int>(lane))), words_of(routing.mask<2>(1, 3 + lane)));
  }
}

TEST(RoutingView, finds_layers_in_rows_that_hold_a_part_of_them) {
  constexpr std::uint32_t layers = 11;
  std::vector<std::uint64_t> masks(3 * layers * 2),
      part(2 * 2);  // layers 2 .. 9; room for where layers 0 and 1 would lie
  for (std::size_t i = 0; i < masks.size(); ++i) masks[i] = i + 1;
  const RoutingView whole{masks.data(), 3, layers, 128, 2, 3};
  for (std::size_t token = 0; token < 3; ++token) {
    const auto from = masks.begin() + static_cast<std::ptrdiff_t>((token * layers + 2) * 2);
    part.insert(part.end(), from, from + 8 * 2);
  }
  const RoutingView routing{part.data(), 3, layers, 128, 2, 3, 8};
  for (std::uint32_t token = 0; token < 3; ++token) {
    const auto bundle = LayerBundle<2, 8>::load(routing, token, 2);
    for (std::uint32_t layer = 2; layer < 10; ++layer) {
      EXPECT_EQ(words_of(routing.mask<2>(token, layer)), words_of(whole.mask<2>(token, layer)));
      EXPECT_EQ(words_of(bundle.lane(static_cast<int>(layer - 2))), words_of(whole.mask<2>(token, layer)));
    }
  }
}

}  // namespace
}  // namespace moecarlo
