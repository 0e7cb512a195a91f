#include "cuda/core/expert_mask.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "cuda/core/routing_view.hpp"

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

template <int Words>
ExpertMask<Words> mask_of(const Experts& experts) {
  ExpertMask<Words> mask;
  for (const std::uint32_t e : experts) mask.insert(e);
  return mask;
}

Experts lowest_of(const Experts& experts, std::uint32_t wanted) {
  Experts lowest;
  for (const std::uint32_t e : experts) {
    if (lowest.size() < wanted) lowest.insert(e);
  }
  return lowest;
}

/// Sets of every density, the empty and the full one among them.
Experts random_experts(std::uint32_t size, std::mt19937& random) {
  const std::uint32_t density = random() % 9;
  Experts experts;
  for (std::uint32_t e = 0; e < size; ++e) {
    if (random() % 8 < density) experts.insert(e);
  }
  return experts;
}

template <class Width>
class ExpertMaskOf : public ::testing::Test {};

template <int Words>
using Width = std::integral_constant<int, Words>;
using Widths = ::testing::Types<Width<1>, Width<2>, Width<4>, Width<8>, Width<16>>;
TYPED_TEST_SUITE(ExpertMaskOf, Widths);

TYPED_TEST(ExpertMaskOf, set_algebra_is_that_of_sets) {
  constexpr int words = TypeParam::value;
  std::mt19937 random(words);
  for (int i = 0; i < 500; ++i) {
    const Experts a = random_experts(64U * words, random);
    const Experts b = random_experts(64U * words, random);
    Experts both, either = a, left;
    either.insert(b.begin(), b.end());
    for (const std::uint32_t e : a) (b.contains(e) ? both : left).insert(e);
    const auto mask_a = mask_of<words>(a);
    const auto mask_b = mask_of<words>(b);
    ASSERT_EQ(members(mask_a), a);
    ASSERT_EQ(members(mask_a | mask_b), either);
    ASSERT_EQ(members(mask_a & mask_b), both);
    ASSERT_EQ(members(without(mask_a, mask_b)), left);
    ASSERT_EQ(mask_a.count(), a.size());
    auto sum = mask_a;
    ASSERT_EQ(members(sum |= mask_b), either);
  }
}

TYPED_TEST(ExpertMaskOf, lowest_takes_the_lowest_members_and_no_more_than_there_are) {
  constexpr int words = TypeParam::value;
  std::mt19937 random(words + 100);
  for (int i = 0; i < 200; ++i) {
    const Experts experts = random_experts(64U * words, random);
    const auto mask = mask_of<words>(experts);
    for (const std::uint32_t wanted :
         {0U, 1U, static_cast<std::uint32_t>(random() % (64U * words)), 64U * words, 5000U}) {
      ASSERT_EQ(members(mask.lowest(wanted)), lowest_of(experts, wanted));
    }
  }
}

TYPED_TEST(ExpertMaskOf, first_holds_the_most_popular_ranks) {
  constexpr int words = TypeParam::value;
  Experts expected;
  for (std::uint32_t count = 0; count <= 64U * words; ++count) {
    ASSERT_EQ(members(ExpertMask<words>::first(count)), expected) << count;
    expected.insert(count);
  }
}

TYPED_TEST(ExpertMaskOf, load_reads_the_words_in_order) {
  constexpr int words = TypeParam::value;
  std::mt19937_64 random(words);
  std::uint64_t memory[words];
  Experts expected;
  for (std::uint32_t w = 0; w < words; ++w) {
    memory[w] = random();
    for (std::uint32_t b = 0; b < 64; ++b) {
      if ((memory[w] >> b & 1U) != 0) expected.insert(64 * w + b);
    }
  }
  EXPECT_EQ(members(ExpertMask<words>::load(memory)), expected);
}

TEST(BitFunctions, agree_with_a_loop_over_the_bits) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t word = (random() & random()) >> (random() % 64);
    std::uint32_t count = 0, lowest = 64, highest = 64;
    for (std::uint32_t b = 0; b < 64; ++b) {
      if ((word >> b & 1U) == 0) continue;
      ++count;
      if (lowest == 64) lowest = b;
      highest = b;
    }
    ASSERT_EQ(count_bits(word), count);
    ASSERT_EQ(lowest_bit(word), lowest);
    if (word != 0) {
      ASSERT_EQ(highest_bit(word), highest);
    }
  }
  EXPECT_EQ(lowest_bit(0), 64U);
  EXPECT_EQ(count_bits(~std::uint64_t{0}), 64U);
  EXPECT_EQ(lowest_bit(std::uint64_t{1} << 63), 63U);
  EXPECT_EQ(highest_bit(1), 0U);
}

TEST(MaskWords, are_the_smallest_compiled_width_that_holds_all_experts) {
  for (std::uint32_t experts = 1; experts <= 1024; ++experts) {
    const int expected = experts <= 64 ? 1 : experts <= 128 ? 2 : experts <= 256 ? 4 : 16;
    ASSERT_EQ(mask_words(experts), expected) << experts;
  }
}

}  // namespace
}  // namespace moecarlo
