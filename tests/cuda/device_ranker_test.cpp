#include "cuda/device_ranker.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "cuda/device_backend.hpp"

namespace moecarlo {
namespace {

/// Masks of expert indices, low ones more popular and many equally so; half of the sequences calibrate.
RoutingTable random_table(std::uint32_t experts, std::uint32_t layers, std::mt19937& random) {
  RoutingTable table;
  table.experts = experts;
  table.layers = layers;
  table.words = mask_words(experts);
  for (std::uint32_t s = 0; s < 20; ++s) {
    table.sequences.push_back({table.tokens, static_cast<std::uint32_t>(1 + random() % 300)});
    table.tokens += table.sequences.back().length;
    (random() % 2 == 0 ? table.split.calibration : table.split.evaluation).push_back(s);
  }
  table.rows = table.tokens + 1;
  const auto words = static_cast<std::size_t>(table.words);
  table.masks.resize(std::size_t{table.rows} * layers * words);
  for (std::size_t row = 0; row < std::size_t{table.tokens} * layers; ++row) {
    for (int i = 0; i < 6; ++i) {
      const std::uint32_t expert = static_cast<std::uint32_t>(std::min(random() % experts, random() % experts));
      table.masks[row * words + expert / 64] |= std::uint64_t{1} << (expert % 64);
    }
  }
  return table;
}

TEST(DeviceRanker, ranks_and_permutes_as_the_host_does) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937 random(8);
  for (const std::uint32_t experts : {1U, 7U, 32U, 64U, 65U, 128U, 200U, 256U, 512U, 1024U}) {
    const std::uint32_t layers = 1 + random() % 50;
    RoutingTable expected = random_table(experts, layers, random);
    RoutingTable whole = expected, in_pieces = expected;
    make_host_ranker(0)->rank(expected);
    make_device_ranker(0)->rank(whole);
    make_device_ranker(0, in_pieces.masks.size() * 8 / 3)->rank(in_pieces);
    for (const RoutingTable* found : {&whole, &in_pieces}) {
      SCOPED_TRACE(experts);
      ASSERT_EQ(found->popularity, expected.popularity);
      ASSERT_EQ(found->expert_of_rank, expected.expert_of_rank);
      ASSERT_EQ(found->rank_of_expert, expected.rank_of_expert);
      ASSERT_EQ(found->masks, expected.masks);
    }
  }
}

TEST(DeviceRanker, splits_sequences_as_the_host_does) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937 random(9);
  for (const std::uint32_t sequences : {2U, 10U, 1000U, 300'000U}) {  // draws of the last are equal now and then
    std::vector<std::uint64_t> file_index(sequences);
    std::uint64_t next = 0;
    for (std::uint64_t& index : file_index) index = next += 1 + random() % 3;
    const std::uint32_t count = 1 + random() % (sequences - 1);
    EXPECT_EQ(make_device_ranker(0)->calibrating(file_index, sequences, count),
              make_host_ranker(1)->calibrating(file_index, sequences, count));
  }
}

}  // namespace
}  // namespace moecarlo
