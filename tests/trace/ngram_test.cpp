#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "host/support/hdf5.hpp"
#include "host/trace/ngram.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "tests/trace/refused_read.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {

bool operator==(const ProposedDraft& a, const ProposedDraft& b) {
  return a.proposed == b.proposed && a.agreed == b.agreed;
}
void PrintTo(const ProposedDraft& draft, std::ostream* out) {
  *out << '{' << +draft.proposed << ", " << +draft.agreed << '}';
}

namespace {

using ::testing::ElementsAre;
using namespace moecarlo::testing;
using Text = std::vector<std::int32_t>;

Text of(const std::string& letters) {
  return {letters.begin(), letters.end()};
}

// By the words of the rule: every length, every place, whole slices compared.
ProposedDraft slow_draft(const Text& text, std::size_t p, std::size_t longest, std::size_t most) {
  const auto slice = [&](std::size_t first, std::size_t end) {
    return Text(text.begin() + static_cast<std::ptrdiff_t>(first), text.begin() + static_cast<std::ptrdiff_t>(end));
  };
  for (std::size_t n = std::min(longest, p + 1); n >= 1; --n) {
    for (std::size_t end = p; end >= n; --end) {  // an earlier occurrence's last token is end - 1
      if (slice(end - n, end) != slice(p + 1 - n, p + 1)) continue;
      const Text proposal = slice(end, std::min(end + most, p + 1));
      std::size_t agreed = 0;
      while (agreed < proposal.size() && p + 1 + agreed < text.size() && proposal[agreed] == text[p + 1 + agreed]) {
        ++agreed;
      }
      return {static_cast<std::uint8_t>(proposal.size()), static_cast<std::uint8_t>(agreed)};
    }
  }
  return {};
}

TEST(Ngram, NoEarlierTokenProposesNothing) {
  EXPECT_THAT(draft_by_lookup(of("abcd"), 3, 4),
              ElementsAre(ProposedDraft{}, ProposedDraft{}, ProposedDraft{}, ProposedDraft{}));
  EXPECT_TRUE(draft_by_lookup({}, 3, 4).empty());
}

TEST(Ngram, ProposesWhatFollowedTheLongestMatch) {
  // "xab" has no match of 3, "ab" one that proposes c, while the most recent "b" would propose q.
  const auto drafts = draft_by_lookup(of("abcbqxabc"), 3, 1);
  EXPECT_EQ(drafts[7], (ProposedDraft{1, 1}));
  EXPECT_EQ(draft_by_lookup(of("abcbqxabc"), 1, 1)[7], (ProposedDraft{1, 0})) << "length 1 takes the b before q";
}

TEST(Ngram, TheMostRecentMatchWins) {
  EXPECT_EQ(draft_by_lookup(of("abxabyab"
                               "y"),
                            2, 1)[7],
            (ProposedDraft{1, 1}));
  EXPECT_EQ(draft_by_lookup(of("abxabyab"
                               "x"),
                            2, 1)[7],
            (ProposedDraft{1, 0}));
}

TEST(Ngram, AProposalEndsAtTheKnownTokens) {
  // At the second a: the match is the first, and b, a are known.
  EXPECT_THAT(draft_by_lookup(of("abababab"), 3, 8),
              ElementsAre(ProposedDraft{}, ProposedDraft{}, ProposedDraft{2, 2}, ProposedDraft{2, 2},
                          ProposedDraft{2, 2}, ProposedDraft{2, 2}, ProposedDraft{2, 1}, ProposedDraft{2, 0}));
  EXPECT_THAT(draft_by_lookup(of("aaaa"), 2, 8),
              ElementsAre(ProposedDraft{}, ProposedDraft{1, 1}, ProposedDraft{1, 1}, ProposedDraft{1, 0}));
}

TEST(Ngram, AgreementStopsAtTheFirstDifference) {
  EXPECT_EQ(draft_by_lookup(of("abcdefabxdef"), 3, 4)[6], (ProposedDraft{4, 1}));
  EXPECT_EQ(draft_by_lookup(of("abcdefabxdef"), 3, 4)[7], (ProposedDraft{4, 0}));
}

TEST(Ngram, EqualsASlowVersionOnRandomTexts) {
  std::mt19937 random(1);
  for (int i = 0; i < 6000; ++i) {
    const std::uint32_t alphabet = 1 + random() % 6;
    const std::uint32_t longest = 1 + random() % 5;
    const std::uint32_t most = 1 + random() % 10;
    Text text(random() % 60);
    for (std::int32_t& token : text) token = static_cast<std::int32_t>(random() % alphabet) - 2;
    const auto drafts = draft_by_lookup(text, longest, most);
    ASSERT_EQ(drafts.size(), text.size());
    for (std::size_t p = 0; p < text.size(); ++p) {
      ASSERT_EQ(drafts[p], slow_draft(text, p, longest, most))
          << "text " << i << " at " << p << ", n " << longest << ", most " << most;
    }
  }
}

TEST(Ngram, LengthsOutOfRangeAreRefused) {
  expect_error([] { draft_by_lookup(of("ab"), 0, 1); }, "length out of range", ErrorKind::usage);
  expect_error([] { draft_by_lookup(of("ab"), 1, 0); }, "length out of range", ErrorKind::usage);
  expect_error([] { draft_by_lookup(of("ab"), 1, 256); }, "length out of range", ErrorKind::usage);
}

TEST(NgramReplay, LooksUpInWholeContextsOrElseInTheSequence) {
  const ScratchFolder folder;
  const auto put_tokens = [](hid_t file) {
    put_integers(file, "token_ids", H5T_STD_I32LE, {tokens}, {1, 2, 1, 2, 7, 7});
    put_integers(file, "context_token_ids", H5T_STD_I32LE, {9}, {1, 2, 3, 1, 2, 3, 9, 9, 9});
    put_integers(file, "context_offsets", H5T_STD_I64LE, {3}, {0, 6, 9});
    put_integers(file, "position", H5T_STD_I32LE, {tokens}, {1, 3, 4, 5, 0, 1});
  };
  const TableOptions all{{}, 0, 1, {}};
  const auto with = make_id_trace(folder / "with.h5", put_tokens);  // kept tokens: 1, 2, 3 and 5
  EXPECT_THAT(replay_ngram(with, build_routing_table(with, all), 3, 8),
              ElementsAre(ProposedDraft{3, 2}, ProposedDraft{3, 1}, ProposedDraft{3, 0}, ProposedDraft{1, 1}));
  const auto without = make_id_trace(folder / "without.h5", [&](hid_t file) {
    put_tokens(file);
    for (const char* name : {"context_token_ids", "context_offsets", "position"}) remove_object(file, name);
  });
  EXPECT_THAT(replay_ngram(without, build_routing_table(without, all), 3, 8),
              ElementsAre(ProposedDraft{}, ProposedDraft{2, 1}, ProposedDraft{2, 0}, ProposedDraft{1, 0}));
}

TEST(NgramReplay, IsRefusedWithoutTokensOrWithBrokenContexts) {
  const ScratchFolder folder;
  const auto refuse = [&](const std::function<void(hid_t)>& spoil, const char* message) {
    const auto path = make_id_trace(folder / "ids.h5", spoil);
    const RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
    expect_error([&] { replay_ngram(path, table, 3, 8); }, message);
  };
  refuse(
      [](hid_t file) {
        for (const char* name : {"token_ids", "context_token_ids", "context_offsets"}) remove_object(file, name);
      },
      "no token ids (an n-gram drafter needs token_ids");
  refuse([](hid_t file) { put_integers(file, "position", H5T_STD_I32LE, {tokens}, {0, 1, 2, 4, 1, 2}); }, "/position");
  refuse([](hid_t file) { put_integers(file, "context_offsets", H5T_STD_I64LE, {3}, {0, 8, 7}); }, "/context_offsets");
}

TEST(NgramReplay, OfRecordedGptOss) {
  const std::filesystem::path path = std::filesystem::path(MOECARLO_RECORDED_TRACES) / "gptoss20b.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const RoutingTable table = build_routing_table(path, {{}, 0, 1, {}});
  const auto start = std::chrono::steady_clock::now();
  const auto drafts = replay_ngram(path, table, 3, 8);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  ASSERT_EQ(drafts.size(), table.tokens);
  EXPECT_LT(took.count(), 20) << "well below a second on an idle machine";

  const hdf5::Group root = hdf5::open_file(path);
  const auto text = root.read_integers<std::int32_t>("context_token_ids");
  const auto offsets = root.read_integers<std::int64_t>("context_offsets");
  const auto position = root.read_integers<std::int64_t>("position");
  std::uint64_t agreed = 0, proposed = 0;
  for (std::size_t s = 0; s < table.sequences.size(); ++s) {
    const Text context(text.begin() + offsets[s], text.begin() + offsets[s + 1]);
    for (std::uint32_t i = 0; i < table.sequences[s].length; ++i) {
      const std::uint32_t token = table.sequences[s].first + i;
      agreed += drafts[token].agreed;
      proposed += drafts[token].proposed;
      if (token % 7 != 0) continue;  // the slow version takes a while
      ASSERT_EQ(drafts[token], slow_draft(context, static_cast<std::size_t>(position[token]), 3, 8)) << token;
    }
  }
  // By a few lines of Python that scan back for every token.
  EXPECT_EQ(proposed, 395835U);
  EXPECT_EQ(agreed, 130032U);
}

}  // namespace
}  // namespace moecarlo
