#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>
#include <ostream>
#include <random>

#include "host/support/error.hpp"
#include "host/trace/locality.hpp"
#include "host/trace/trace_writer.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class LocalityOfFile : public ::testing::Test {
 protected:
  const testing::ScratchFolder folder_;
  const std::filesystem::path path_ = folder_ / "trace.h5";

  /// Writes sequences of these lengths; `choose(token, layer, slot)` gives the ids.
  template <class Choose>
  void write(std::uint32_t layers, std::uint32_t experts, std::uint32_t top_k,
             const std::vector<std::uint64_t>& lengths, const std::vector<std::uint8_t>& phases, Choose choose) {
    TraceHeader header;
    header.model = "test";
    header.layers = layers;
    header.scoring.experts = experts;
    header.scoring.top_k = top_k;
    header.phase = !phases.empty();
    TraceWriter writer(path_, header);
    std::uint64_t token = 0;
    for (const std::uint64_t length : lengths) {
      for (const std::uint64_t end = token + length; token < end; ++token) {
        std::vector<std::uint16_t> ids;
        for (std::uint32_t layer = 0; layer < layers; ++layer) {
          for (std::uint32_t slot = 0; slot < top_k; ++slot) ids.push_back(choose(token, layer, slot));
        }
        TraceTokens tokens;
        tokens.expert_ids = ids;
        if (header.phase) tokens.phase = std::span(phases).subspan(token, 1);
        writer.append(tokens);
      }
      writer.end_sequence();
    }
    writer.finish();
  }

  LocalityFigures measure(const LocalityOptions& options) { return measure_locality(TraceReader(path_), options); }
};

/// One choice per token from a list, the same in every layer.
auto listed(std::vector<std::uint16_t> experts) {
  return [experts](std::uint64_t token, std::uint32_t, std::uint32_t) { return experts[token]; };
}

std::string usage_error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    return error.what();
  }
  return "no error";
}

TEST_F(LocalityOfFile, NothingCrossesASequenceStart) {
  // 0 0 1 | 1 | 1 0: within sequences one pair of two repeats, then none of one; across them all would.
  write(1, 2, 1, {3, 1, 2}, {}, listed({0, 0, 1, 1, 1, 0}));
  LocalityOptions options;
  options.lengths = {{2}, {2}};
  options.capacities = {1, 2};
  const LocalityFigures figures = measure(options);
  EXPECT_EQ(figures.sequences, 3U);
  EXPECT_DOUBLE_EQ(figures.adjacent_overlap.mean, 1.0 / 3);
  EXPECT_DOUBLE_EQ(figures.distinct_experts[0].mean, 5.0 / 3);  // windows {0} {0 1} {1 0}
  EXPECT_DOUBLE_EQ(figures.lru_hit_rate[0].mean, 1.0 / 6);      // only the second 0 finds itself
  EXPECT_DOUBLE_EQ(figures.lru_hit_rate[1].mean, 1.0 / 6);
  EXPECT_DOUBLE_EQ(figures.sch[0][1].mean, 1.0 / 6);
  EXPECT_DOUBLE_EQ(figures.entropy.mean, 1.0);
  EXPECT_THAT(figures.popularity, ElementsAre(ElementsAre(3U, 3U)));
}

TEST_F(LocalityOfFile, APhaseKeepsOnlyItsTokensSideBySide) {
  write(1, 4, 1, {5, 2}, {0, 0, 1, 1, 1, 0, 0}, listed({0, 1, 2, 2, 3, 0, 0}));
  LocalityOptions options;
  options.phase = Phase::decode;
  const LocalityFigures decode = measure(options);
  EXPECT_EQ(decode.tokens, 3U);
  EXPECT_EQ(decode.sequences, 1U);
  EXPECT_THAT(decode.popularity[0], ElementsAre(0U, 0U, 2U, 1U));
  EXPECT_DOUBLE_EQ(decode.adjacent_overlap.mean, 0.5);
  options.phase = Phase::prefill;
  EXPECT_EQ(measure(options).tokens, 4U);
  EXPECT_EQ(measure({}).tokens, 7U);
}

TEST_F(LocalityOfFile, LengthsThatNoSequenceReachesAreNotAvailableAndNoted) {
  write(1, 4, 1, {2, 1}, {}, listed({0, 1, 2}));
  LocalityOptions options;
  options.lengths = {{2, 3}, {3}};
  const LocalityFigures figures = measure(options);
  EXPECT_DOUBLE_EQ(figures.distinct_experts[0].mean, 2.0);
  EXPECT_TRUE(std::isnan(figures.distinct_experts[1].mean));
  EXPECT_TRUE(std::isnan(figures.srp[0].value.mean));
  EXPECT_THAT(figures.notes, ElementsAre(HasSubstr("no window for distinct experts"),
                                         HasSubstr("no segment for SRP is 3 tokens long")));
}

TEST_F(LocalityOfFile, DefaultCapacitiesAreMultiplesOfTopKAndHalfTheExperts) {
  write(1, 8, 3, {1}, {}, [](std::uint64_t, std::uint32_t, std::uint32_t slot) { return std::uint16_t(slot); });
  EXPECT_THAT(measure({}).capacities, ElementsAre(3U, 4U, 6U));  // 9 is more than there are
}

TEST_F(LocalityOfFile, SizesOutOfRangeAreUsageErrors) {
  write(1, 4, 1, {2}, {}, listed({0, 1}));
  const auto refusal = [&](auto change) {
    LocalityOptions options;
    change(options);
    return usage_error_of([&] { measure(options); });
  };
  EXPECT_THAT(refusal([](LocalityOptions& o) { o.capacities = {5}; }), HasSubstr("--capacities"));
  EXPECT_THAT(refusal([](LocalityOptions& o) { o.capacities = {0}; }), HasSubstr("--capacities"));
  EXPECT_THAT(refusal([](LocalityOptions& o) { o.lengths.windows = {0}; }), HasSubstr("--windows"));
  EXPECT_THAT(refusal([](LocalityOptions& o) { o.lengths.segments = {65537}; }), HasSubstr("--segments"));
  EXPECT_THAT(refusal([](LocalityOptions& o) { o.phase = Phase::decode; }), HasSubstr("--phase"));
}

TEST_F(LocalityOfFile, NeitherThreadsNorBatchesChangeAFigure) {
  std::mt19937 random(2);
  write(7, 12, 2, {40, 1, 25}, {}, [&](std::uint64_t, std::uint32_t, std::uint32_t slot) {
    return static_cast<std::uint16_t>(2 * (random() % 6) + slot);
  });
  LocalityOptions one, many;
  one.threads = 1;
  many.threads = 5;
  many.ids_per_batch = 1;  // each sequence alone
  const LocalityFigures a = measure(one), b = measure(many);
  EXPECT_EQ(a.adjacent_overlap.per_layer, b.adjacent_overlap.per_layer);
  EXPECT_EQ(a.popularity, b.popularity);
  EXPECT_EQ(a.entropy.mean, b.entropy.mean);
  for (std::size_t i = 0; i < a.capacities.size(); ++i) {
    EXPECT_EQ(a.lru_hit_rate[i].per_layer, b.lru_hit_rate[i].per_layer);
    EXPECT_EQ(a.sch[1][i].per_layer, b.sch[1][i].per_layer);
  }
  EXPECT_EQ(a.srp[1].value.mean, b.srp[1].value.mean);
  EXPECT_EQ(a.srp[1].group.per_layer, b.srp[1].group.per_layer);
}

// Recorded traces. The reference figures were computed elsewhere, by other programs.

std::vector<double> means(const std::vector<LayeredFigure>& figures) {
  std::vector<double> values;
  for (const LayeredFigure& figure : figures) values.push_back(figure.mean);
  return values;
}

struct RecordedFigures {
  const char* file;
  std::optional<Phase> phase;
  double overlap;
  std::vector<std::uint32_t> capacities;
  std::vector<double> lru;
  std::optional<double> entropy = {};
};

void PrintTo(const RecordedFigures& figures, std::ostream* out) {
  *out << figures.file;
}

class LocalityOfRecordedTrace : public ::testing::TestWithParam<RecordedFigures> {};

TEST_P(LocalityOfRecordedTrace, MatchesTheReferenceFiguresToFourDigits) {
  const RecordedFigures& want = GetParam();
  const auto path = std::filesystem::path(MOECARLO_RECORDED_TRACES) / want.file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no recorded trace at " << path;
  LocalityOptions options;
  options.phase = want.phase;
  const LocalityFigures figures = measure_locality(TraceReader(path), options);
  EXPECT_NEAR(figures.adjacent_overlap.mean, want.overlap, 0.5e-5 + 1e-9);
  if (want.entropy) {
    EXPECT_NEAR(figures.entropy.mean, *want.entropy, 0.5e-5 + 1e-9);
  }
  EXPECT_EQ(figures.capacities, want.capacities);
  const std::vector<double> lru = means(figures.lru_hit_rate);
  for (std::size_t i = 0; i < want.lru.size(); ++i) EXPECT_NEAR(lru.at(i), want.lru[i], 0.5e-5 + 1e-9);
}

INSTANTIATE_TEST_SUITE_P(
    Recorded, LocalityOfRecordedTrace,
    ::testing::Values(
        RecordedFigures{"gptoss20b.h5", {}, .42976, {4, 8, 12, 16}, {.42834, .63916, .79246, .88840}, .91027},
        RecordedFigures{"flame290m.h5", {}, .21761, {6, 12, 18, 32}, {.21676, .31950, .41201, .61222}},
        RecordedFigures{
            "hy3_chatprose_k1.h5", Phase::decode, .35743, {8, 16, 24, 96}, {.35464, .49287, .58868, .89779}}),
    [](const auto& param) { return std::string(param.param.file).substr(0, std::string(param.param.file).find('.')); });

}  // namespace
}  // namespace moecarlo
