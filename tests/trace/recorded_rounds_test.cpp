#include <gtest/gtest.h>

#include <set>

#include "host/trace/recorded_rounds.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "tests/trace/refused_read.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

// The experts of a row, by their number in the file.
std::set<int> experts_of(const RoutingTable& table, std::uint32_t row, std::uint32_t layer) {
  std::set<int> found;
  const std::uint64_t* mask = &table.masks[(std::size_t{row} * table.layers + layer) * table.words];
  for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
    if (((mask[rank / 64] >> (rank % 64)) & 1U) != 0) found.insert(table.expert_of_rank[layer * table.experts + rank]);
  }
  return found;
}

TEST(RecordedRounds, BecomeRowsBehindTheEmptyOne) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "ids.h5");
  RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});  // tokens 1, 2, 3 and 5 of the file
  const std::vector<std::uint64_t> before = table.masks;
  const auto rounds = append_recorded_rounds(path, table);
  ASSERT_EQ(rounds.size(), 2U);
  const auto expect_round = [](const RecordedRound& round, std::uint32_t token, std::uint32_t drafted,
                               std::uint32_t accepted, std::uint32_t row) {
    EXPECT_EQ(round.sequence, 0U);
    EXPECT_EQ(round.token, token);
    EXPECT_EQ(round.drafted, drafted);
    EXPECT_EQ(round.accepted, accepted);
    EXPECT_EQ(round.first_row, row);
  };
  expect_round(rounds[0], 0, 1, 1, 5);
  expect_round(rounds[1], 2, 0, 0, 7);
  EXPECT_EQ(table.tokens, 4U);
  EXPECT_EQ(table.rows, 8U);
  EXPECT_EQ(table.view().rows, 8U);
  EXPECT_EQ(table.masks.size(), 8U * layers);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), table.masks.begin()));
  const std::vector<std::vector<std::set<int>>> expected = {
      {{}, {}}, {{0, 1}, {2, 3}}, {{4, 5}, {6, 7}}, {{0, 7}, {1, 2}}};
  for (std::uint32_t row = 4; row < 8; ++row) {
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      EXPECT_EQ(experts_of(table, row, layer), expected[row - 4][layer]) << row << ", " << layer;
    }
  }
}

TEST(RecordedRounds, FindTheSequenceOfTheirToken) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "ids.h5", [](hid_t file) {
    const hid_t rounds = H5Gopen2(file, "rounds", H5P_DEFAULT);
    put_integers(rounds, "position", H5T_STD_I64LE, {2}, {5, 3});
    H5Gclose(rounds);
  });
  RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
  const auto rounds = append_recorded_rounds(path, table);
  EXPECT_EQ(rounds[0].sequence, 1U);
  EXPECT_EQ(rounds[0].token, 3U);
  EXPECT_EQ(rounds[1].sequence, 0U);
  EXPECT_EQ(rounds[1].token, 2U);
}

TEST(RecordedRounds, AreRefusedWhereTheyCannotBeReplayed) {
  const ScratchFolder folder;
  const auto refuse = [&](const std::function<void(hid_t rounds)>& spoil, const char* message) {
    const auto path = make_id_trace(folder / "ids.h5", [&](hid_t file) {
      const hid_t rounds = H5Gopen2(file, "rounds", H5P_DEFAULT);
      spoil(rounds);
      H5Gclose(rounds);
    });
    RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
    expect_error([&] { append_recorded_rounds(path, table); }, message);
  };
  refuse(
      [](hid_t rounds) {
        put_integers(rounds, "position", H5T_STD_I64LE, {2}, {1, 4});
      },
      "/rounds/position: the round at [1] starts at token 4, which is not kept");
  refuse([](hid_t rounds) { put_integers(rounds, "position", H5T_STD_I64LE, {2}, {1, 6}); }, "/rounds/position");
  refuse([](hid_t rounds) { put_integers(rounds, "accepted", H5T_STD_I64LE, {2}, {2, 0}); }, "/rounds/accepted");

  const auto without = make_id_trace(folder / "ids.h5", [](hid_t file) { remove_object(file, "rounds"); });
  RoutingTable table = build_routing_table(without, {{}, 0, 1, {}});
  expect_error([&] { append_recorded_rounds(without, table); }, "acceptance.model = \"rounds\" needs the group rounds");
  table.tokens = 3;
  expect_error([&] { append_recorded_rounds(without, table); }, "changed since its routing table was built");
}

struct Recorded {
  const char* file;
  std::size_t rounds;
  double emitted, distinct, distinct_accepted;
};

// Figures found from the file by a few lines of NumPy.
TEST(RecordedRounds, OfHy3) {
  for (const Recorded& expected : {Recorded{"hy3_chatprose_k1.h5", 88, 1.44318, 13.0667, 10.2798},
                                   Recorded{"hy3_chatprose_k2.h5", 81, 1.58025, 17.2193, 10.8170},
                                   Recorded{"hy3_chatprose_k4.h5", 79, 1.63291, 24.2743, 11.0215}}) {
    const std::filesystem::path path = std::filesystem::path(MOECARLO_RECORDED_TRACES) / expected.file;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
    RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
    const auto rounds = append_recorded_rounds(path, table);
    ASSERT_EQ(rounds.size(), expected.rounds);
    double emitted = 0, distinct = 0, distinct_accepted = 0;
    for (const RecordedRound& round : rounds) {
      emitted += round.accepted + 1;
      EXPECT_EQ(round.sequence, 0U);
      for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
        std::set<int> seen;
        for (std::uint32_t column = 0; column <= round.drafted; ++column) {
          const auto experts = experts_of(table, round.first_row + column, layer);
          EXPECT_EQ(experts.size(), 8U);
          if (column <= round.accepted && round.token + column < table.tokens) {
            EXPECT_EQ(experts, experts_of(table, round.token + column, layer)) << "kept columns are plain decoding";
          }
          seen.insert(experts.begin(), experts.end());
          if (column == round.accepted) distinct_accepted += static_cast<double>(seen.size());
        }
        distinct += static_cast<double>(seen.size());
      }
    }
    const auto count = static_cast<double>(rounds.size());
    EXPECT_NEAR(emitted / count, expected.emitted, 5e-6);
    EXPECT_NEAR(distinct / count / table.layers, expected.distinct, 5e-5);
    EXPECT_NEAR(distinct_accepted / count / table.layers, expected.distinct_accepted, 5e-5);
  }
}

}  // namespace
}  // namespace moecarlo
