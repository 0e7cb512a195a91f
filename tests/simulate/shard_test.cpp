#include "host/simulate/shard.hpp"

#include <gtest/gtest.h>

namespace moecarlo {
namespace {

TEST(Shard, of_one_is_the_whole) {
  EXPECT_TRUE(Shard{}.is_whole());
  EXPECT_EQ(Shard{}.first(1000), 0U);
  EXPECT_EQ(Shard{}.part(1000), 1000U);
}

TEST(Shard, takes_its_turn_and_leaves_nothing_out) {
  for (const std::uint64_t all :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{40'064}, (std::uint64_t{1} << 62) - 1}) {
    for (const std::uint32_t count : {1U, 2U, 3U, 7U, 64U, 1000U, Shard::kMost}) {
      std::uint64_t next = 0;
      for (Shard shard{0, count}; shard.index < count; ++shard.index) {
        ASSERT_EQ(shard.first(all), next);
        next += shard.part(all);
        ASSERT_LE(shard.part(all), all / count + 1);
        ASSERT_GE(shard.part(all), all / count);
      }
      EXPECT_EQ(next, all);
    }
  }
}

TEST(ParseShard, reads_what_a_shard_writes) {
  for (const Shard shard : {Shard{0, 1}, Shard{3, 4}, Shard{65535, 65536}}) {
    EXPECT_EQ(parse_shard(shard.text()), shard);
  }
}

TEST(ParseShard, refuses_everything_else) {
  for (const char* text : {"", "/", "1", "1/", "/2", "2/2", "3/2", "0/0", "-1/2", "0/65537", "1/2/3", "1 /2", " 0/2",
                           "0/2x", "0.5/2", "99999999999/2"}) {
    EXPECT_FALSE(parse_shard(text)) << text;
  }
}

}  // namespace
}  // namespace moecarlo
