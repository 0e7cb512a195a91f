#include "cuda/core/random.hpp"

#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <array>
#include <random>
#include <set>

#include "tests/shared/chi_square.hpp"
#include "tests/shared/philox_answers.hpp"

namespace moecarlo {
namespace {

using testing::kLargestDeviate;
using testing::uniform_deviate;
__extension__ typedef unsigned __int128 Wide;
using Block = std::array<std::uint32_t, 4>;

Block words(const RandomBlock& block) {
  return {block.word[0], block.word[1], block.word[2], block.word[3]};
}

Block random123(const Block& counter, std::uint32_t key_0, std::uint32_t key_1) {
  const philox4x32_ctr_t c = {{counter[0], counter[1], counter[2], counter[3]}};
  const philox4x32_key_t k = {{key_0, key_1}};
  const philox4x32_ctr_t result = philox4x32(c, k);
  return {result.v[0], result.v[1], result.v[2], result.v[3]};
}

TEST(Philox, gives_the_published_known_answers) {
  for (const testing::PhiloxAnswer& v : testing::kPhiloxAnswers) {
    EXPECT_EQ(words(philox(v[0], v[1], v[2], v[3], v[4], v[5])), (Block{v[6], v[7], v[8], v[9]}));
    EXPECT_EQ(random123({v[0], v[1], v[2], v[3]}, v[4], v[5]), (Block{v[6], v[7], v[8], v[9]}));
  }
}

TEST(Philox, agrees_with_Random123) {
  std::mt19937 generator(3);
  const auto random = [&] { return static_cast<std::uint32_t>(generator()); };
  for (int i = 0; i < 10'000; ++i) {
    const Block counter = {random(), random(), random(), random()};
    const std::uint32_t key_0 = random(), key_1 = random();
    ASSERT_EQ(words(philox(counter[0], counter[1], counter[2], counter[3], key_0, key_1)),
              random123(counter, key_0, key_1));
  }
}

TEST(DrawAddress, follows_the_published_counter_layout) {
  const DrawAddress at{11, Stream::replicates, (std::uint64_t{5} << 32) + 7, 300, 20, Purpose::resample, 9, 600};
  const std::uint32_t purpose = 3, q = 41;
  EXPECT_EQ(words(at.block(q)),
            random123({7, 5, 300U * 65536 + 20, (purpose << 24) + (9U << 16) + (q << 10) + 600}, 11, 1));
  EXPECT_EQ(at.draw(4 * q + 2), at.block(q).word[2]);
}

// What limits a study: a number that is too large for its field carries into the one beside it.
TEST(DrawAddress, has_a_field_for_each_number_up_to_its_limit) {
  const DrawAddress first{};
  DrawAddress at = first;
  at.layer = DrawAddress::kLayers - 1;
  EXPECT_NE(words(at.block(0)), words(first.block(0)));
  EXPECT_NE(words(at.block(0)), words(first.block(1)));
  at = first;
  at.column = 1;
  EXPECT_NE(at.draw(0), first.draw(DrawAddress::kDraws - 1));
}

#if !defined(MOECARLO_CHECKED)  // what a checked build refuses, see Expectations
TEST(DrawAddress, past_a_limit_is_another_address) {
  const DrawAddress first{};
  DrawAddress at = first, next = first;
  at.layer = DrawAddress::kLayers;
  EXPECT_EQ(words(at.block(0)), words(first.block(1)));
  at = first;
  at.column = 1;
  EXPECT_EQ(at.draw(0), first.draw(DrawAddress::kDraws));
  at.column = DrawAddress::kColumns;
  next.purpose = static_cast<Purpose>(1);
  EXPECT_EQ(words(at.block(0)), words(next.block(0)));
  at = next = first;
  at.request = DrawAddress::kRequests;
  next.round = 1;
  EXPECT_EQ(words(at.block(0)), words(next.block(0)));
}
#endif

template <int Count>
void expect_single_blocks(DrawAddress at, std::uint32_t q) {
  const DrawAddress first = at;
  const RandomBlocks<Count> following = first.blocks<Count>(q), layers = first.layer_blocks<Count>(q);
  for (std::uint32_t i = 0; i < Count; ++i) {
    at.layer = first.layer + i;
    for (std::uint32_t w = 0; w < 4; ++w) {
      EXPECT_EQ(following.word[w][i], first.block(q + i).word[w]);
      EXPECT_EQ(layers.word[w][i], at.block(q).word[w]);
    }
  }
}

TEST(DrawAddress, gives_the_same_blocks_together_as_alone) {
  const DrawAddress at{0xfffffff0, Stream::replicates, ~std::uint64_t{5}, 65535, 20, Purpose::perturb, 255, 1016};
  expect_single_blocks<1>(at, 63);
  expect_single_blocks<4>(at, 60);
  expect_single_blocks<8>(at, 56);
  expect_single_blocks<8>(DrawAddress{}, 0);
}

// Philox is a bijection of the counter under each key, so equal blocks would mean equal counters.
TEST(DrawAddress, never_shares_a_counter_at_the_extremes_of_its_ranges) {
  std::set<Block> blocks;
  std::size_t addresses = 0;
  for (const std::uint64_t trajectory : {std::uint64_t{0}, std::uint64_t{0xffffffff}, ~std::uint64_t{0}}) {
    for (const std::uint32_t round : {0U, 1U, 65534U, 65535U}) {
      for (const std::uint32_t request : {0U, 1U, 65535U}) {
        for (std::uint32_t purpose = 0; purpose < 8; ++purpose) {
          for (const std::uint32_t column : {0U, 1U, 254U, 255U}) {
            for (const std::uint32_t layer : {0U, 1U, 1023U}) {
              DrawAddress at{1, Stream::main, trajectory, round, request, static_cast<Purpose>(purpose), column, layer};
              for (const std::uint32_t q : {0U, 1U, 63U}) {
                blocks.insert(words(at.block(q)));
                ++addresses;
              }
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(blocks.size(), addresses);
}

TEST(DrawAddress, seed_and_stream_give_other_numbers) {
  std::set<Block> blocks;
  for (const std::uint32_t seed : {0U, 1U, 2U, 0xffffffffU}) {
    for (const Stream stream : {Stream::main, Stream::replicates, Stream::setup}) {
      blocks.insert(words(DrawAddress{seed, stream}.block(0)));
    }
  }
  EXPECT_EQ(blocks.size(), 12U);
}

TEST(UniformBelow, is_uniform) {
  for (const std::uint32_t n : {2U, 3U, 7U, 100U, 1000U}) {
    std::vector<std::uint64_t> counts(n, 0);
    DrawAddress at{5, Stream::setup};
    for (; at.trajectory < 400ULL * n; ++at.trajectory) {
      const RandomBlock block = at.block(0);
      const std::uint32_t value = uniform_below(n, block.word[0], block.word[1]);
      ASSERT_LT(value, n);
      ++counts[value];
    }
    EXPECT_LT(uniform_deviate(counts), kLargestDeviate) << n;
  }
}

TEST(UniformBelow, is_the_floor_of_n_times_the_64_bit_fraction) {
  std::mt19937 random(9);
  for (int i = 0; i < 10'000; ++i) {
    const std::uint32_t n = 1 + random() % (i % 2 == 0 ? 10U : 0xfffffffeU);
    const std::uint32_t high = random(), low = random();
    const Wide fraction = (std::uint64_t{high} << 32) + low;
    ASSERT_EQ(uniform_below(n, high, low), static_cast<std::uint32_t>((fraction * n) >> 64));
  }
  EXPECT_EQ(uniform_below(1, ~0U, ~0U), 0U);
  EXPECT_EQ(uniform_below(~0U, ~0U, ~0U), ~0U - 1);
}

TEST(Threshold, zero_never_happens_and_certainty_always) {
  for (const std::uint32_t draw : {0U, 1U, 0x80000000U, ~0U}) {
    EXPECT_FALSE(happens(draw, 0));
    EXPECT_TRUE(happens(draw, std::uint64_t{1} << 32));
  }
  EXPECT_TRUE(happens(~0U - 1, ~0U));
  EXPECT_FALSE(happens(~0U, ~0U));
}

}  // namespace
}  // namespace moecarlo
