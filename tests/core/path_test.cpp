#include "cuda/core/path.hpp"

#include <gtest/gtest.h>

#include <array>

#include "tests/core/start_table.hpp"
#include "tests/shared/chi_square.hpp"

namespace moecarlo {
namespace {

using testing::kLargestDeviate;
using testing::StartTable;

constexpr std::uint32_t kRounds = 12;

/// A plan of one cell over a start table: what draw_episode reads of it.
struct EpisodePlan {
  StartTable table;
  std::vector<Threshold> thresholds;
  Cell cell;
  moecarlo::StartTable start_table;
  PlanView view;

  EpisodePlan(const std::vector<std::uint32_t>& lengths, std::uint32_t batch, std::vector<Threshold> accept)
      : table(lengths, static_cast<std::uint32_t>(accept.size())), thresholds(std::move(accept)) {
    cell.batch = batch;
    cell.depth = static_cast<std::uint32_t>(thresholds.size());
    start_table.eligible = table.eligible();
    view.rounds = kRounds;
    view.groups = {64, 0, 0};
    view.joint_groups = {16, 0, 0};
    view.max_batch = batch;
    view.max_depth = cell.depth;
    view.cell_count = view.depth_count = 1;
    view.cells = {&cell, 1};
    view.tokens = ~0U;  // no token is the empty row
    view.thresholds = ViewArray<Threshold>::of(thresholds);
    view.start_tables = {&start_table, 1};
    view.entries = ViewArray<Sequence>::of(table.entries);
    view.cumulative = ViewArray<std::uint32_t>::of(table.cumulative);
  }
  /// The number of the eligible start at a token.
  std::uint32_t start_of(std::uint32_t token) const {
    std::uint32_t entry = 0;
    while (token >= table.entries[entry].first + table.entries[entry].length) ++entry;
    return table.cumulative[entry] + token - table.entries[entry].first;
  }
  EpisodePlan(const EpisodePlan&) = delete;
  EpisodePlan& operator=(const EpisodePlan&) = delete;
};

struct Episode {
  std::vector<std::uint32_t> tokens;
  std::vector<std::uint8_t> accepted, drafted;
  std::vector<Place> places, other_places;

  Episode(const EpisodePlan& plan, std::uint64_t trajectory)
      : tokens(std::size_t{kRounds} * plan.cell.batch * (plan.cell.depth + 1)),
        accepted(std::size_t{kRounds} * plan.cell.batch),
        drafted(accepted.size()),
        places(plan.cell.batch),
        other_places(plan.cell.batch) {
    const TrajectoryId id = TrajectoryId::of(plan.view, Stream::main, trajectory);
    Path path;
    path.tokens = tokens.data();
    path.accepted = accepted.data();
    path.drafted = drafted.data();
    path.places = places.data();
    path.other_places = other_places.data();
    draw_episode(plan.view, plan.cell, id, path);
  }
  std::uint32_t token(const EpisodePlan& plan, std::uint32_t round, std::uint32_t column, std::uint32_t request) const {
    return tokens[(round * (plan.cell.depth + 1) + column) * plan.cell.batch + request];
  }
};

constexpr Threshold kHalf = Threshold{1} << 31;

/// Each round stands where the accepted lengths before it lead.
void expect_advances(const EpisodePlan& plan, const Episode& episode) {
  const std::uint32_t depth = plan.cell.depth, batch = plan.cell.batch;
  const auto entry_of = [&](std::uint32_t token) {
    for (const Sequence& s : plan.table.entries) {
      if (token >= s.first && token < s.first + s.length) return s;
    }
    return Sequence{};
  };
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    for (std::uint32_t request = 0; request < batch; ++request) {
      const std::uint32_t first = episode.token(plan, round, 0, request);
      const Sequence sequence = entry_of(first);
      ASSERT_LT(first + depth, sequence.first + sequence.length);
      for (std::uint32_t column = 1; column <= depth; ++column) {
        ASSERT_EQ(episode.token(plan, round, column, request), first + column);
      }
      if (round + 1 == kRounds) continue;
      const std::uint32_t advanced = first + episode.accepted[round * batch + request] + 1;
      const std::uint32_t next = episode.token(plan, round + 1, 0, request);
      const std::uint32_t end = sequence.first + sequence.length - depth;
      if (advanced < end) {
        ASSERT_EQ(next, advanced);
      } else {
        ASSERT_EQ(next - entry_of(next).first, advanced - end);  // the overshoot is the place in the next sequence
      }
    }
  }
}

TEST(Episode, advances_by_accepted_length_plus_one_and_stays_inside_its_sequence) {
  const EpisodePlan plan({30, 12, 9, 8, 8, 7}, 2, {kHalf, kHalf, kHalf});
  for (std::uint64_t trajectory = 0; trajectory < 300; ++trajectory) expect_advances(plan, Episode(plan, trajectory));
}

// One request an episode, so that the counts of a round are independent draws.
TEST(Episode, keeps_positions_uniform_where_acceptance_ignores_position) {
  const EpisodePlan plan({12, 9, 5, 4, 4}, 1, {kHalf, kHalf, kHalf});  // two of them with a single eligible start
  std::array<std::vector<std::uint64_t>, kRounds> counts;
  for (auto& round : counts) round.assign(plan.table.starts(), 0);
  for (std::uint64_t trajectory = 0; trajectory < 20'000; ++trajectory) {
    const Episode episode(plan, trajectory);
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      ++counts[round][plan.start_of(episode.token(plan, round, 0, 0))];
    }
  }
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    EXPECT_LT(testing::uniform_deviate(counts[round]), kLargestDeviate) << "round " << round;
  }
}

/// Drafts of three tokens are accepted whole at a run of eight tokens and rejected at the next eight, and so on.
struct RunsPlan : EpisodePlan {
  std::vector<ProposedDraft> proposals;

  RunsPlan(const std::vector<std::uint32_t>& lengths, std::uint32_t batch) : EpisodePlan(lengths, batch, {0, 0, 0}) {
    for (std::uint32_t token = 0; token < table.entries.back().first + table.entries.back().length; ++token) {
      proposals.push_back({3, token / 8 % 2 == 0 ? std::uint8_t{3} : std::uint8_t{0}});
    }
    view.proposals = ViewArray<ProposedDraft>::of(proposals);
    cell.acceptance.kind = Acceptance::proposals;
  }
};

TEST(Control, takes_the_drafts_of_its_cell_round_for_round_and_advances_by_them) {
  RunsPlan plan({30, 12, 9, 8, 8, 7}, 2);
  for (std::uint64_t trajectory = 0; trajectory < 300; ++trajectory) {
    plan.cell.acceptance.independent = false;
    const Episode paired(plan, trajectory);
    plan.cell.acceptance.independent = true;
    const Episode control(plan, trajectory);
    ASSERT_EQ(control.accepted, paired.accepted);
    ASSERT_EQ(control.drafted, paired.drafted);
    ASSERT_NE(control.tokens, paired.tokens);
    expect_advances(plan, control);
  }
}

TEST(Control, stands_at_uniform_positions_whatever_is_accepted) {
  RunsPlan plan({24, 20, 9, 4, 4}, 1);
  plan.cell.acceptance.independent = true;
  std::array<std::vector<std::uint64_t>, 4> counts;  // by accepted length
  for (auto& length : counts) length.assign(plan.table.starts(), 0);
  for (std::uint64_t trajectory = 0; trajectory < 20'000; ++trajectory) {
    const Episode episode(plan, trajectory);
    ++counts[episode.accepted.back()][plan.start_of(episode.token(plan, kRounds - 1, 0, 0))];
  }
  for (const std::uint32_t length : {0U, 3U}) {
    EXPECT_LT(testing::uniform_deviate(counts[length]), kLargestDeviate) << "accepted length " << length;
  }
}

TEST(Episode, resamples_rejected_columns_only_uniformly_from_the_sequence) {
  EpisodePlan plan({10}, 1, {kHalf, kHalf});
  plan.view.resample_rejected = true;
  std::vector<std::uint64_t> counts(10, 0);
  for (std::uint64_t trajectory = 0; trajectory < 3000; ++trajectory) {
    const Episode episode(plan, trajectory);
    for (std::uint32_t round = 0; round < kRounds; ++round) {
      for (std::uint32_t column = 0; column <= 2; ++column) {
        if (column > episode.accepted[round]) {
          ++counts[episode.token(plan, round, column, 0)];
        } else {
          ASSERT_EQ(episode.token(plan, round, column, 0), episode.token(plan, round, 0, 0) + column);
        }
      }
    }
  }
  EXPECT_LT(testing::uniform_deviate(counts), kLargestDeviate);
}

}  // namespace
}  // namespace moecarlo
