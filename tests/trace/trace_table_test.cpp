#include <Random123/philox.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <random>
#include <set>

#include "host/support/error.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/trace_reader.hpp"
#include "host/trace/trace_writer.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace moecarlo::testing;

struct RandomTrace {
  std::uint32_t layers = 0, experts = 0, top_k = 0;
  std::vector<std::uint64_t> lengths;
  std::vector<std::uint8_t> phase;
  std::vector<std::uint16_t> ids;  // [tokens][layers][top_k]
};

enum class Phases { absent, mixed, all_prefill };

RandomTrace make_random(std::uint32_t experts, std::uint32_t top_k, Phases phases, unsigned seed) {
  RandomTrace trace{3, experts, top_k, {1, 700, 40, 5, 333, 2, 90, 64}, {}, {}};
  std::mt19937 random(seed);
  const auto tokens = std::accumulate(trace.lengths.begin(), trace.lengths.end(), std::uint64_t{0});
  for (std::uint64_t row = 0; row < tokens * trace.layers; ++row) {
    std::vector<std::uint16_t> chosen;
    while (chosen.size() < top_k) {  // the smaller of two draws: popularity falls with the index
      const auto id = static_cast<std::uint16_t>(std::min(random() % experts, random() % experts));
      if (std::find(chosen.begin(), chosen.end(), id) == chosen.end()) chosen.push_back(id);
    }
    trace.ids.insert(trace.ids.end(), chosen.begin(), chosen.end());
  }
  if (phases == Phases::mixed) {
    for (std::uint64_t t = 0; t < tokens; ++t) trace.phase.push_back(random() % 3 == 0 ? 0 : 1);
    trace.phase[0] = 0;  // the first sequence has no decode token and is left out
  } else if (phases == Phases::all_prefill) {
    trace.phase.assign(tokens, 0);
  }
  return trace;
}

std::filesystem::path write(const RandomTrace& trace, const std::filesystem::path& path) {
  TraceHeader header;
  header.model = "random";
  header.layers = trace.layers;
  header.scoring.experts = trace.experts;
  header.scoring.top_k = trace.top_k;
  header.phase = !trace.phase.empty();
  TraceWriter writer(path, header);
  const std::size_t row = std::size_t{trace.layers} * trace.top_k;
  std::size_t first = 0;
  for (const std::uint64_t length : trace.lengths) {
    TraceTokens tokens{};
    tokens.expert_ids = std::span(trace.ids).subspan(first * row, length * row);
    if (header.phase) tokens.phase = std::span(trace.phase).subspan(first, length);
    writer.append(tokens);
    writer.end_sequence();
    first += length;
  }
  writer.finish();
  return path;
}

// Which sequences calibrate, from the published generator instead of our own.
std::set<std::uint64_t> slow_calibration(const std::vector<std::uint64_t>& sequences, double share,
                                         std::uint32_t seed) {
  std::vector<std::pair<std::uint32_t, std::uint64_t>> draws;
  for (const std::uint64_t s : sequences) {
    const auto low = static_cast<std::uint32_t>(s);
    draws.emplace_back(r123::Philox4x32()({{low, 0, 0, 5U << 24}}, {{seed, 2}})[0], s);
  }
  std::sort(draws.begin(), draws.end());
  std::set<std::uint64_t> chosen;
  const auto count = static_cast<std::size_t>(share * static_cast<double>(sequences.size()) + 0.5);
  for (std::size_t i = 0; i < count; ++i) chosen.insert(draws[i].second);
  return chosen;
}

// Everything a routing table must hold, found by plain counting and whole sorts over the ids.
void expect_table(const RoutingTable& table, const RandomTrace& trace, std::optional<double> share,
                  std::uint32_t seed) {
  const bool decode_only = std::count(trace.phase.begin(), trace.phase.end(), 1) != 0;
  std::vector<std::uint64_t> sequences;          // with a kept token, by number in the file
  std::vector<std::vector<std::uint64_t>> kept;  // their kept tokens
  std::uint64_t token = 0;
  for (std::size_t s = 0; s < trace.lengths.size(); ++s) {
    std::vector<std::uint64_t> tokens_of_sequence;
    for (std::uint64_t i = 0; i < trace.lengths[s]; ++i, ++token) {
      if (!decode_only || trace.phase[token] == 1) tokens_of_sequence.push_back(token);
    }
    if (tokens_of_sequence.empty()) continue;
    sequences.push_back(s);
    kept.push_back(tokens_of_sequence);
  }
  const std::set<std::uint64_t> all(sequences.begin(), sequences.end());
  const auto calibrate = share ? slow_calibration(sequences, *share, seed) : all;

  std::vector<std::uint32_t> calibration, evaluation;
  std::vector<std::vector<std::uint32_t>> counts(trace.layers, std::vector<std::uint32_t>(trace.experts));
  const auto id = [&](std::uint64_t t, std::uint32_t l, std::uint32_t i) {
    return trace.ids[(t * trace.layers + l) * trace.top_k + i];
  };
  ASSERT_EQ(table.sequences.size(), sequences.size());
  std::uint32_t next = 0;
  for (std::uint32_t s = 0; s < sequences.size(); ++s) {
    EXPECT_EQ(table.sequences[s].first, next);
    EXPECT_EQ(table.sequences[s].length, kept[s].size());
    next += static_cast<std::uint32_t>(kept[s].size());
    const bool calibrates = calibrate.count(sequences[s]) != 0;
    if (calibrates) calibration.push_back(s);
    if (!calibrates || !share) evaluation.push_back(s);
    for (const std::uint64_t t : kept[s]) {
      for (std::uint32_t l = 0; l < trace.layers; ++l) {
        for (std::uint32_t i = 0; i < trace.top_k; ++i) counts[l][id(t, l, i)] += calibrates ? 1 : 0;
      }
    }
  }
  EXPECT_EQ(table.tokens, next);
  ASSERT_EQ(table.rows, next + 1);
  const std::size_t row_words = std::size_t{table.layers} * static_cast<std::size_t>(table.words);
  ASSERT_EQ(table.masks.size(), table.rows * row_words);
  EXPECT_EQ(std::count(table.masks.end() - static_cast<std::ptrdiff_t>(row_words), table.masks.end(), 0),
            static_cast<std::ptrdiff_t>(row_words))
      << "the last row is empty";
  EXPECT_EQ(table.view().rows, table.rows);
  EXPECT_EQ(table.split.calibration, calibration);
  EXPECT_EQ(table.split.evaluation, evaluation);

  for (std::uint32_t l = 0; l < trace.layers; ++l) {
    std::vector<std::pair<std::int64_t, std::uint16_t>> order;
    for (std::uint16_t e = 0; e < trace.experts; ++e) order.emplace_back(-std::int64_t{counts[l][e]}, e);
    std::sort(order.begin(), order.end());
    for (std::uint32_t r = 0; r < trace.experts; ++r) {
      ASSERT_EQ(table.expert_of_rank[l * trace.experts + r], order[r].second);
      ASSERT_EQ(table.rank_of_expert[l * trace.experts + order[r].second], r);
      ASSERT_EQ(table.popularity[l * trace.experts + r], -order[r].first);
    }
    std::uint32_t column = 0;
    for (const auto& tokens_of_sequence : kept) {
      for (const std::uint64_t t : tokens_of_sequence) {
        std::set<std::uint16_t> expected, found;
        for (std::uint32_t i = 0; i < trace.top_k; ++i) expected.insert(id(t, l, i));
        const auto mask = std::span(table.masks).subspan((column * trace.layers + l) * table.words, table.words);
        for (std::uint32_t r = 0; r < 64U * static_cast<std::uint32_t>(table.words); ++r) {
          if (((mask[r / 64] >> (r % 64)) & 1U) != 0) found.insert(table.expert_of_rank.at(l * trace.experts + r));
        }
        ASSERT_EQ(found, expected) << "token " << t << ", layer " << l;
        ++column;
      }
    }
  }
}

TEST(RoutingTable, EqualsASlowRebuildOnRandomTraces) {
  const ScratchFolder folder;
  unsigned seed = 0;
  for (const auto& [experts, top_k] : {std::pair{2U, 1U}, std::pair{8U, 8U}, std::pair{64U, 6U}, std::pair{100U, 8U},
                                       std::pair{200U, 8U}, std::pair{1024U, 4U}}) {
    for (const Phases phases : {Phases::absent, Phases::mixed, Phases::all_prefill}) {
      const RandomTrace trace = make_random(experts, top_k, phases, ++seed);
      const auto path = write(trace, folder / "random.h5");
      for (const std::optional<double> share : {std::optional<double>(), std::optional(0.2), std::optional(0.75)}) {
        const RoutingTable table = build_routing_table(path, {share, seed, 1 + seed % 3, {}});
        ASSERT_NO_FATAL_FAILURE(expect_table(table, trace, share, seed))
            << "top " << top_k << " of " << experts << ", share " << share.value_or(1);
      }
    }
  }
}

TEST(RoutingTable, DoesNotDependOnThreads) {
  const ScratchFolder folder;
  const auto path = write(make_random(128, 8, Phases::mixed, 7), folder / "random.h5");
  const RoutingTable one = build_routing_table(path, {0.2, 0, 1, {}});
  const RoutingTable many = build_routing_table(path, {0.2, 0, 5, {}});
  EXPECT_EQ(one.masks, many.masks);
  EXPECT_EQ(one.expert_of_rank, many.expert_of_rank);
  EXPECT_EQ(one.popularity, many.popularity);
}

TEST(RoutingTable, SplitSeedMovesTheSplit) {
  const ScratchFolder folder;
  const auto path = write(make_random(8, 2, Phases::absent, 8), folder / "random.h5");
  std::set<std::vector<std::uint32_t>> splits;
  for (std::uint32_t seed = 0; seed < 20; ++seed) {
    splits.insert(build_routing_table(path, {0.25, seed, 1, {}}).split.calibration);
  }
  EXPECT_GT(splits.size(), 5U) << "of 28 possible pairs of sequences";
}

TEST(RoutingTable, ASideWithoutSequencesIsRefusedWithAdvice) {
  const ScratchFolder folder;
  const auto path = write(make_random(8, 2, Phases::absent, 9), folder / "random.h5");  // 8 sequences
  for (const double share : {0.0, 0.06, 0.95, 1.0, -1.0}) {
    try {
      build_routing_table(path, {share, 0, 1, {}});
      ADD_FAILURE() << share;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), HasSubstr("calibration = \"all\""));
    }
  }
  EXPECT_EQ(build_routing_table(path, {0.07, 0, 1, {}}).split.calibration.size(), 1U);
  EXPECT_EQ(build_routing_table(path, {0.93, 0, 1, {}}).split.evaluation.size(), 1U);
}

TEST(RoutingTable, LogitsAndTheirChoicesGiveTheSameTable) {
  const ScratchFolder folder;
  const auto logits = make_logit_trace(folder / "logits.h5");
  const Choices choices = TraceReader(logits).read_choices(0, tokens);
  const auto ids = make_id_trace(folder / "ids.h5", [&](hid_t file) {
    put_integers(file, "expert_ids", H5T_STD_I16LE, {tokens, layers, top_k}, {choices.ids.begin(), choices.ids.end()});
  });
  const RoutingTable a = build_routing_table(logits, {{}, 0, 1, {}});
  const RoutingTable b = build_routing_table(ids, {{}, 0, 1, {}});
  EXPECT_EQ(a.tokens, 4U) << "tokens 1, 2, 3 and 5 are of phase 1";
  EXPECT_EQ(a.masks, b.masks);
  EXPECT_EQ(a.popularity, b.popularity);
}

/// Chooses on the host, and holds the reader to the order in which pieces may pass.
class CheckingSelector final : public ExpertSelector {
 public:
  CheckingSelector(StoredLogits logits, std::size_t& most_under_way)
      : logits_(std::move(logits)), most_under_way_(most_under_way) {}

  void* room(std::uint64_t tokens) override {
    EXPECT_LT(pieces_.size(), 2U);
    filling_.resize(tokens * logits_.layers * logits_.rule.experts);
    return filling_.data();
  }
  void begin() override {
    pieces_.push_back(std::move(filling_));
    most_under_way_ = std::max(most_under_way_, pieces_.size());
  }
  std::optional<std::uint64_t> finish(std::span<std::uint16_t> ids) override {
    const std::vector<float> piece = std::move(pieces_.front());
    pieces_.pop_front();
    const std::size_t experts = logits_.rule.experts, chosen = logits_.rule.top_k;
    for (std::size_t row = 0; row < piece.size() / experts; ++row) {
      select_experts(logits_.rule, std::span(piece).subspan(row * experts, experts), {},
                     ids.subspan(row * chosen, chosen));
    }
    return {};
  }

 private:
  StoredLogits logits_;
  std::size_t& most_under_way_;
  std::vector<float> filling_;
  std::deque<std::vector<float>> pieces_;
};

/// 40 tokens of 2 MiB: more than two pieces of a reader.
std::filesystem::path write_large_logits(const std::filesystem::path& path) {
  TraceHeader header;
  header.model = "large";
  header.layers = 512;
  header.scoring.experts = 1024;
  header.scoring.top_k = 3;
  header.form = TraceForm::logits_float32;
  TraceWriter writer(path, header);
  std::vector<float> logits(std::size_t{512} * 1024);
  std::mt19937 random(12);
  for (std::uint32_t token = 0; token < 40; ++token) {
    for (float& logit : logits) logit = static_cast<float>(random() % 4096);
    TraceTokens tokens{};
    tokens.logits = logits;
    writer.append(tokens);
    if (token % 10 == 9) writer.end_sequence();
  }
  writer.finish();
  return path;
}

TEST(RoutingTable, IsTheSameWhereASelectorChoosesWhileTheNextPieceIsRead) {
  const ScratchFolder folder;
  const auto path = write_large_logits(folder / "large.h5");
  const RoutingTable expected = build_routing_table(path, {{}, 0, 1, {}});
  std::size_t most_under_way = 0;
  TableOptions options{{}, 0, 1, {}};
  options.make_selector = [&](const StoredLogits& logits) {
    return std::make_unique<CheckingSelector>(logits, most_under_way);
  };
  const RoutingTable table = build_routing_table(path, options);
  EXPECT_EQ(most_under_way, 2U);
  EXPECT_EQ(table.masks, expected.masks);
  EXPECT_EQ(table.popularity, expected.popularity);
}

TEST(RoutingTable, ProgressEndsAtTheLastToken) {
  const ScratchFolder folder;
  std::vector<std::uint64_t> seen;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    EXPECT_EQ(total, tokens);
    seen.push_back(done);
  };
  build_routing_table(make_id_trace(folder / "ids.h5"), {{}, 0, 1, progress});
  EXPECT_THAT(seen, ElementsAre(tokens));
}

// Shares counted from the file by a few lines of NumPy.
TEST(RoutingTable, OfRecordedGptOss) {
  const std::filesystem::path path = std::filesystem::path(MOECARLO_RECORDED_TRACES) / "gptoss20b.h5";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  const RoutingTable table = build_routing_table(path);
  EXPECT_EQ(table.tokens, 61020U);
  EXPECT_EQ(table.words, 1);
  EXPECT_EQ(table.sequences.size(), 201U);
  EXPECT_EQ(table.split.calibration.size(), 40U);
  EXPECT_EQ(table.split.evaluation.size(), 161U);
  for (const std::uint64_t mask : std::span(table.masks).first(61020U * 24)) ASSERT_EQ(count_bits(mask), 4U);
  for (const std::uint64_t mask : std::span(table.masks).subspan(61020U * 24)) ASSERT_EQ(mask, 0U);

  const RoutingTable whole = build_routing_table(path, {{}, 0, 2, {}});
  const auto first_layer = std::span(whole.popularity).first(32);
  EXPECT_EQ(std::accumulate(first_layer.begin(), first_layer.end(), 0U), 4U * 61020U);
  EXPECT_EQ(first_layer[0], 15907U);
  EXPECT_EQ(whole.expert_of_rank[0], 11);
  EXPECT_EQ(whole.popularity[23 * 32], 32499U);
  EXPECT_EQ(whole.expert_of_rank[23 * 32], 31);
}

}  // namespace
}  // namespace moecarlo
