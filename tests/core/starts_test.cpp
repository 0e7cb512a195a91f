#include "cuda/core/starts.hpp"

#include <gtest/gtest.h>

#include "tests/core/start_table.hpp"
#include "tests/shared/chi_square.hpp"

namespace moecarlo {
namespace {

using testing::kLargestDeviate;
using testing::StartTable;
using testing::uniform_deviate;

const std::vector<std::uint32_t> kLengths = {3, 9, 1, 6, 4, 9, 2};

TEST(Locate, numbers_the_eligible_starts_one_by_one) {
  for (std::uint32_t depth = 0; depth <= 8; ++depth) {
    const StartTable table(kLengths, depth);
    std::uint32_t start = 0;
    for (std::uint32_t e = 0; e < table.eligible(); ++e) {
      for (std::uint32_t position = 0; position + depth < table.entries[e].length; ++position, ++start) {
        const Place place = locate(table.view(), start);
        ASSERT_EQ(place.entry, e);
        ASSERT_EQ(place.position, position);
      }
    }
    EXPECT_EQ(start, table.starts());
  }
}

TEST(DrawStart, is_uniform_over_all_eligible_starts) {
  for (const std::uint32_t depth : {0U, 2U, 5U}) {
    const StartTable table(kLengths, depth);
    std::vector<std::uint64_t> counts(table.starts(), 0);
    DrawAddress at{2, Stream::main};
    for (; at.trajectory < 20'000; ++at.trajectory) {
      const Place place = draw_start(table.view(), at, nullptr, 0, 1);
      ++counts[table.cumulative[place.entry] + place.position];
    }
    EXPECT_LT(uniform_deviate(counts), kLargestDeviate) << depth;
  }
}

/// How many batches of `batch` requests have two requests on one entry, of `draws` batches.
std::uint64_t batches_with_collisions(const StartTable& table, std::uint32_t batch, std::uint64_t draws) {
  std::uint64_t collisions = 0;
  for (std::uint64_t trajectory = 0; trajectory < draws; ++trajectory) {
    std::vector<Place> places(batch);
    bool collided = false;
    for (std::uint32_t request = 0; request < batch; ++request) {
      places[request] =
          draw_start(table.view(), {4, Stream::main, trajectory, 0, request}, places.data(), request, batch);
      collided = collided || is_taken(places.data(), request, places[request].entry);
    }
    collisions += collided ? 1 : 0;
  }
  return collisions;
}

TEST(DrawStart, puts_a_batch_on_different_sequences_where_there_are_twice_as_many) {
  const StartTable table({5, 5, 5, 5, 5, 5, 5, 5}, 1);
  EXPECT_EQ(batches_with_collisions(table, 4, 5000), 0U);
  EXPECT_GT(batches_with_collisions(table, 5, 5000), 3000U);  // 8 entries for 5 requests: allowed, 79.5 % of batches
}

TEST(DrawStart, allows_collisions_as_often_as_independent_draws_do) {
  const StartTable table({5, 5, 5}, 1);
  const std::uint64_t collisions = batches_with_collisions(table, 2, 9000);
  EXPECT_NEAR(static_cast<double>(collisions), 3000, 4 * std::sqrt(9000 * 2.0 / 9));  // one in three
}

/// P(a request that has `left` places to go stops at each eligible start): on into a uniform sequence, through it where
/// it has no more starts than that.
void add_law(const StartTable& table, std::uint32_t left, double probability, std::vector<double>& law) {
  const double share = probability / table.eligible();
  for (std::uint32_t entry = 0; entry < table.eligible(); ++entry) {
    const std::uint32_t starts = table.cumulative[entry + 1] - table.cumulative[entry];
    if (left < starts) {
      law[table.cumulative[entry] + left] += share;
    } else {
      add_law(table, left - starts, share, law);
    }
  }
}

TEST(DrawMove, walks_on_through_sequences_drawn_uniformly) {
  const std::uint32_t depth = 2;
  const StartTable table({9, 9, 8, 5, 4, 4, 3, 2}, depth);
  for (std::uint32_t overshoot = 0; overshoot <= depth; ++overshoot) {
    std::vector<double> law(table.starts(), 0.0);
    add_law(table, overshoot, 1.0, law);
    std::vector<std::uint64_t> counts(table.starts(), 0);
    const Place own{0, 6};
    for (std::uint64_t trajectory = 0; trajectory < 20'000; ++trajectory) {
      const Place place = draw_move(table.view(), {6, Stream::main, trajectory}, &own, 0, 1, overshoot);
      ASSERT_LT(place.entry, table.eligible());
      ++counts[table.cumulative[place.entry] + place.position];
    }
    EXPECT_LT(testing::chi_square_deviate(counts, law), kLargestDeviate) << overshoot;
  }
}

TEST(DrawMove, avoids_the_sequences_of_the_other_requests) {
  const StartTable table({9, 9, 9, 9, 9, 9}, 2);
  const Place places[] = {{1, 0}, {4, 3}, {2, 2}};
  std::vector<std::uint64_t> counts(6, 0);
  for (std::uint64_t trajectory = 0; trajectory < 8000; ++trajectory) {
    ++counts[draw_move(table.view(), {6, Stream::main, trajectory}, places, 1, 3, 0).entry];
  }
  const std::vector<double> law = {0.25, 0, 0, 0.25, 0.25, 0.25};  // all but those of requests 0 and 2
  EXPECT_LT(testing::chi_square_deviate(counts, law), kLargestDeviate);
}

TEST(Draws, for_starts_and_moves_are_independent) {
  const StartTable table(std::vector<std::uint32_t>(8, 4), 0);
  std::vector<std::uint64_t> pairs(64, 0);
  for (std::uint64_t trajectory = 0; trajectory < 32'000; ++trajectory) {
    const DrawAddress at{8, Stream::main, trajectory};
    const Place start = draw_start(table.view(), at, nullptr, 0, 1);
    ++pairs[8 * start.entry + draw_move(table.view(), at, &start, 0, 1, 0).entry];
  }
  EXPECT_LT(uniform_deviate(pairs), kLargestDeviate);
}

}  // namespace
}  // namespace moecarlo
