#include "cuda/piece_plan.hpp"

#include <gmock/gmock.h>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;

/// Sequences of 3, 5, 4 and 8 tokens, of which the second and the last calibrate; 24 bytes a token.
RoutingTable small_table() {
  RoutingTable table;
  table.layers = 3;
  table.words = 1;
  for (const std::uint32_t length : {3U, 5U, 4U, 8U}) {
    table.sequences.push_back({table.tokens, length});
    table.tokens += length;
  }
  table.split.calibration = {1, 3};
  return table;
}

TEST(CalibratingRuns, are_the_calibrating_sequences_of_a_whole_table) {
  const CalibratingRuns runs = calibrating_runs(small_table(), 0, 20);
  EXPECT_THAT(runs.first, ElementsAre(3, 12));
  EXPECT_THAT(runs.start, ElementsAre(0, 5));
  EXPECT_EQ(runs.tokens, 13U);
}

TEST(CalibratingRuns, are_cut_where_a_piece_ends) {
  const RoutingTable table = small_table();
  std::vector<std::uint64_t> calibrating;
  for (std::uint64_t first = 0; first < 20; first += 7) {
    const CalibratingRuns runs = calibrating_runs(table, first, std::min<std::uint64_t>(7, 20 - first));
    const TokenRuns view{runs.first.data(), runs.start.data(), runs.first.size(), runs.tokens};
    for (std::uint64_t place = 0; place < runs.tokens; ++place) calibrating.push_back(first + view.token(place));
  }
  EXPECT_THAT(calibrating, ElementsAre(3, 4, 5, 6, 7, 12, 13, 14, 15, 16, 17, 18, 19));
}

TEST(CalibratingRuns, are_none_where_no_token_calibrates) {
  EXPECT_EQ(calibrating_runs(small_table(), 8, 4).tokens, 0U);
}

TEST(TokensAtATime, are_all_or_what_nine_tenths_of_the_memory_hold) {
  const RoutingTable table = small_table();
  EXPECT_EQ(tokens_at_a_time(table, 1 << 20), 20U);
  EXPECT_EQ(tokens_at_a_time(table, 240), 9U);
  try {
    static_cast<void>(tokens_at_a_time(table, 25));
    ADD_FAILURE() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::machine);
    EXPECT_STREQ(error.what(), "backend cuda: out of device memory (expected 24 bytes for one token, found 25 free)");
  }
}

}  // namespace
}  // namespace moecarlo
