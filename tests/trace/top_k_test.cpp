#include "host/trace/top_k.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

std::vector<std::uint16_t> sorted(std::span<const float> scores, std::size_t k) {
  std::vector<std::uint16_t> places(scores.size());
  std::iota(places.begin(), places.end(), std::uint16_t{0});
  std::stable_sort(places.begin(), places.end(), [&](auto a, auto b) { return scores[a] > scores[b]; });
  places.resize(k);
  return places;
}

std::vector<std::uint16_t> chosen(std::span<const float> scores, std::size_t k) {
  std::vector<std::uint16_t> ids(k);
  top_k(scores, ids);
  return ids;
}

// Float16 of every kind: few values, so that most rows have ties, or any finite bits, subnormals and both zeros too.
std::uint16_t drawn(std::mt19937& random, bool any) {
  const auto bits = static_cast<std::uint16_t>(random());
  if (any) return float16_is_finite(bits) ? bits : std::uint16_t{0x8000};
  return float_to_float16(static_cast<float>(static_cast<int>(bits % 9) - 4));
}

TEST(TopK, EqualsAStableSortInEitherWidth) {
  std::mt19937 random(7);
  for (const std::size_t experts : {1, 2, 31, 32, 33, 64, 100, 128, 256, 511, 1024}) {
    for (int round = 0; round < 60; ++round) {
      const std::size_t k = 1 + random() % (round % 3 == 0 ? experts : std::min<std::size_t>(experts, 10)), rows = 3;
      std::vector<std::uint16_t> stored(rows * experts), ids(rows * k), ids_of_floats(rows * k);
      for (std::uint16_t& bits : stored) bits = drawn(random, round % 2 == 0);
      std::vector<float> floats(stored.size());
      std::transform(stored.begin(), stored.end(), floats.begin(), float16_to_float);
      const auto width = static_cast<std::uint32_t>(experts), size = static_cast<std::uint32_t>(k);
      ASSERT_FALSE(top_k_of_rows(std::span<const std::uint16_t>(stored), width, size, ids));
      ASSERT_FALSE(top_k_of_rows(std::span<const float>(floats), width, size, ids_of_floats));
      for (std::size_t r = 0; r < rows; ++r) {
        const std::span<const float> row(floats.data() + r * experts, experts);
        const auto expected = sorted(row, k);
        ASSERT_THAT(std::span(ids).subspan(r * k, k), ElementsAreArray(expected)) << experts << " " << k;
        ASSERT_THAT(std::span(ids_of_floats).subspan(r * k, k), ElementsAreArray(expected)) << experts << " " << k;
        ASSERT_EQ(chosen(row, k), expected);
      }
    }
  }
}

TEST(TopK, ZerosOfEitherSignAreEqual) {
  const std::vector<std::uint16_t> row{0x8000, 0x0000, 0x8001, 0x8000, 0x0001};
  std::vector<std::uint16_t> ids(4);
  ASSERT_FALSE(top_k_of_rows(row, 5, 4, ids));
  EXPECT_THAT(ids, ElementsAre(4, 0, 1, 3));
  EXPECT_THAT(chosen(std::vector<float>{-0.0F, 0.0F, -1.0F}, 2), ElementsAre(0, 1));
}

TEST(TopK, ExtremesAreInOrder) {
  constexpr float most = std::numeric_limits<float>::max(), none = -std::numeric_limits<float>::infinity();
  EXPECT_THAT(chosen(std::vector<float>{none, -most, most, none, 0}, 4), ElementsAre(2, 4, 1, 0));
}

TEST(TopK, NamesTheFirstThatIsNotFinite) {
  for (const std::uint16_t bad : {0x7C00, 0xFC00, 0x7E00, 0xFFFF}) {
    std::vector<std::uint16_t> rows(4 * 100, 0x3C00), ids(4 * 2);
    rows[217] = bad;
    rows[250] = bad;
    EXPECT_EQ(top_k_of_rows(rows, 100, 2, ids), 217U);
  }
  std::vector<float> rows(2 * 10, 1);
  std::vector<std::uint16_t> ids(2 * 3);
  rows[19] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(top_k_of_rows(rows, 10, 3, ids), 19U);
}

}  // namespace
}  // namespace moecarlo
