#include "host/simulate/mixed.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "cuda/core/episode_path.hpp"
#include "host/simulate/prefill.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo::testing {
namespace {

constexpr std::uint32_t kDepth = 2, kRequests = 2;

/// Sequences that decode, and the same as prompts.
RoutingTable decode_table() {
  TableSpec spec;
  spec.layers = 2;
  spec.lengths = {40, 30, 20, 25, 7};
  return random_table(spec);
}

Study mixed_study(std::uint32_t chunk, double share) {
  Study study;
  study.calibration.reset();
  study.grid.batch = {kRequests};
  study.grid.depth = {0, kDepth};
  study.grid.policy = {Policy::static_residents};
  study.acceptance.alpha = 0.5;
  study.prefill = PrefillSpec{chunk, std::nullopt, false, share};
  return study;
}

std::vector<ImpliedCapacity> implied(const Capacity& capacity) {
  return {{kRequests, true, capacity, 8}, {kRequests, false, capacity, 8}};
}

struct Mixed {
  RoutingTable decode = decode_table(), both = with_prompts(decode, decode);
  Plan plan;
  Mixed(std::uint32_t chunk, double share)
      : plan(plan_mixed(mixed_study(chunk, share), implied({3, 0}), both,
                        static_cast<std::uint32_t>(decode.sequences.size()))) {}

  const Cell& cell() const { return plan.layout.cells.back(); }
  const CellShape& shape() const { return plan.shape.cells.back(); }
  /// What a request's column routes like in a round; the empty row where nothing stands there.
  std::uint32_t row(std::uint32_t round, std::uint32_t column, std::uint32_t request) const {
    return plan.replay_rows[cell().first_slot + EpisodePath::slot(cell(), round, column) + request];
  }
  std::uint32_t accepted(std::uint32_t round, std::uint32_t request) const {
    return plan.replay_accepted[(cell().first_pass + round) * cell().batch + request];
  }
  std::uint32_t group(std::uint32_t round) const { return plan.replay_group[cell().first_pass + round]; }
  /// Tokens of the chunk that a round takes along, in their order.
  std::vector<std::uint32_t> chunk(std::uint32_t round) const {
    std::vector<std::uint32_t> tokens;
    for (std::uint32_t request = kRequests; request < cell().batch; ++request) {
      for (std::uint32_t column = 0; column < cell().columns(); ++column) {
        if (row(round, column, request) != plan.tokens) tokens.push_back(row(round, column, request));
      }
    }
    return tokens;
  }
};

TEST(Mixed, TableHoldsBothAndItsLastRowIsEmpty) {
  const RoutingTable decode = decode_table(), both = with_prompts(decode, decode);
  EXPECT_EQ(both.tokens, 2 * decode.tokens);
  EXPECT_EQ(both.sequences.size(), 2 * decode.sequences.size());
  EXPECT_EQ(both.sequences[decode.sequences.size()].first, decode.tokens);
  const std::size_t row = decode.masks.size() / decode.rows;
  const auto rows = [&](const RoutingTable& table, std::uint32_t first, std::uint32_t count) {
    const auto begin = table.masks.begin() + static_cast<std::ptrdiff_t>(first * row);
    return std::vector<std::uint64_t>(begin, begin + static_cast<std::ptrdiff_t>(count * row));
  };
  EXPECT_EQ(rows(both, 0, decode.tokens), rows(decode, 0, decode.tokens));
  EXPECT_EQ(rows(both, decode.tokens, decode.tokens), rows(decode, 0, decode.tokens));
  EXPECT_EQ(rows(both, both.tokens, 1), std::vector<std::uint64_t>(row, 0));
  EXPECT_EQ(both.rows, both.tokens + 1);
}

/// Chunks of 7 of sequences of 40, 30, 20, 25 and 7 tokens: 6 + 5 + 3 + 4 + 1.
TEST(Mixed, PromptsGoByInOrderEvenlySpaced) {
  const Mixed mixed(7, 0.25);
  constexpr std::uint32_t chunks = 19;
  EXPECT_EQ(mixed.shape().chunk_requests, 3U);  // of 3 columns each
  EXPECT_EQ(mixed.cell().batch, kRequests + 3);
  std::vector<std::uint32_t> first;  // of each chunk
  std::uint32_t expected = mixed.decode.tokens;
  for (std::uint32_t round = 0; round < mixed.cell().passes; ++round) {
    const std::vector<std::uint32_t> tokens = mixed.chunk(round);
    EXPECT_EQ(mixed.group(round) % 2, tokens.empty() ? 0U : 1U);
    EXPECT_EQ(tokens.empty(), round % 4 != 3) << round;
    for (const std::uint32_t token : tokens) EXPECT_EQ(token, expected++);
    if (expected == mixed.both.tokens) expected = mixed.decode.tokens;
    if (!tokens.empty()) first.push_back(tokens.front());
  }
  EXPECT_GE(first.size(), kFewestMixedRounds);
  EXPECT_EQ(first.size() % chunks, 0U);
  EXPECT_EQ(first[0], first[chunks]);
  EXPECT_THAT(mixed.plan.shape.prompts, ::testing::ElementsAre(40, 30, 20, 25, 7));
}

TEST(Mixed, RequestsFollowTheirSequencesAndOthersAfterThem) {
  const Mixed mixed(7, 0.25);
  std::uint32_t sum = 0, ended = 0;
  for (std::uint32_t round = 0; round < mixed.cell().passes; ++round) {
    for (std::uint32_t request = 0; request < kRequests; ++request) {
      const std::uint32_t token = mixed.row(round, 0, request), accepted = mixed.accepted(round, request);
      sum += accepted;
      const auto inside = [&](const Sequence& one) { return one.first <= token && token < one.first + one.length; };
      const auto own = std::find_if(mixed.decode.sequences.begin(), mixed.decode.sequences.end(), inside);
      ASSERT_NE(own, mixed.decode.sequences.end());
      for (std::uint32_t column = 1; column <= kDepth; ++column)
        EXPECT_EQ(mixed.row(round, column, request), token + column);
      EXPECT_LT(token + kDepth, own->first + own->length);
      if (round + 1 == mixed.cell().passes) continue;
      const std::uint32_t next = mixed.row(round + 1, 0, request);
      if (token + accepted + 1 + kDepth < own->first + own->length) {
        EXPECT_EQ(next, token + accepted + 1);
      } else {
        ++ended;  // another one begins at its first token
        EXPECT_TRUE(std::any_of(mixed.decode.sequences.begin(), mixed.decode.sequences.end(),
                                [&](const Sequence& one) { return one.first == next; }));
      }
    }
  }
  EXPECT_GT(ended, 20U);
  const double requests = kRequests * static_cast<double>(mixed.cell().passes);
  EXPECT_NEAR(sum / requests, 0.5 + 0.25, 5 * std::sqrt(0.7 / requests));  // half, and half of half
}

/// The pass of a mixed round touches what any of its requests' columns or its chunk's tokens does; a static cache holds
/// the most popular.
TEST(Mixed, PassesAreUnionsOfColumnsAndChunk) {
  const Mixed mixed(7, 0.25);
  const Tallies tallies = count_prefills(mixed.plan, mixed.both, 1).tallies;
  const std::size_t index = mixed.plan.shape.cells.size() - 1;
  const Cell& cell = tallies.layout.cells[index];
  std::vector<std::uint64_t> distinct(tallies.shape.groups.groups, 0), rounds(distinct);
  for (std::uint32_t round = 0; round < mixed.cell().passes; ++round) {
    ++rounds[mixed.group(round)];
    for (std::uint32_t layer = 0; layer < mixed.both.layers; ++layer) {
      std::set<std::uint32_t> touched;
      for (std::uint32_t column = 0; column <= kDepth; ++column) {
        for (std::uint32_t request = 0; request < cell.batch; ++request) {
          for (std::uint32_t rank = 0; rank < mixed.both.experts; ++rank) {
            if (mixed.both.view().mask<1>(mixed.row(round, column, request), layer).contains(rank))
              touched.insert(rank);
          }
        }
      }
      distinct[mixed.group(round)] += touched.size();
    }
  }
  double plain = 0, with_chunk = 0;
  for (std::uint32_t g = 0; g < tallies.shape.groups.groups; ++g) {
    EXPECT_EQ(tallies.counters[cell.rounds + g], rounds[g]);
    EXPECT_EQ(tallies.counters[cell.unions_by_group + g * cell.union_width()], distinct[g]) << g;
    (g % 2 == 0 ? plain : with_chunk) += static_cast<double>(distinct[g]) / static_cast<double>(rounds[g]);
  }
  EXPECT_GT(with_chunk, 1.3 * plain);
}

}  // namespace
}  // namespace moecarlo::testing
