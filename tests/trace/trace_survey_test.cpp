#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "host/support/error.hpp"
#include "host/trace/survey.hpp"
#include "host/trace/trace_writer.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace moecarlo::testing;

using TokenRouting = std::vector<std::uint16_t>;  // [layers][top_k]

std::vector<TokenRouting> random_tokens(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<TokenRouting> routing(count);
  for (TokenRouting& token : routing) {
    for (int layer = 0; layer < 4; ++layer) {
      const auto first = static_cast<std::uint16_t>(random() % 16);
      token.insert(token.end(), {first, static_cast<std::uint16_t>((first + 1 + random() % 15) % 16)});
    }
  }
  return routing;
}

TraceSurvey survey(const std::vector<std::vector<TokenRouting>>& sequences) {
  const ScratchFolder folder;
  TraceHeader header;
  header.model = "made";
  header.layers = 4;
  header.scoring.experts = 16;
  header.scoring.top_k = 2;
  TraceWriter writer(folder / "t.h5", header);
  for (const auto& sequence : sequences) {
    for (const TokenRouting& token : sequence) {
      TraceTokens tokens{};
      tokens.expert_ids = token;
      writer.append(tokens);
    }
    writer.end_sequence();
  }
  writer.finish();
  return survey_trace(folder / "t.h5", 2);
}

std::vector<std::vector<TokenRouting>> different_sequences(std::size_t count) {
  std::vector<std::vector<TokenRouting>> sequences;
  for (unsigned s = 0; s < count; ++s) sequences.push_back(random_tokens(20 + s, s));
  return sequences;
}

TEST(TraceSurvey, DifferentSequencesAreDescribedWithoutWarning) {
  const TraceSurvey found = survey(different_sequences(9));
  EXPECT_EQ(found.shortest_sequence, 20U);
  EXPECT_EQ(found.median_sequence, 24U);
  EXPECT_EQ(found.longest_sequence, 28U);
  EXPECT_FALSE(found.phases);
  EXPECT_EQ(found.decode_tokens, 9U * 24U);
  EXPECT_EQ(found.duplicate_sequences, 0U);
  EXPECT_EQ(found.shared_prefix_tokens, 0U);
  EXPECT_THAT(found.warnings, IsEmpty());
}

TEST(TraceSurvey, FewerThanEightSequencesAreReported) {
  EXPECT_THAT(survey(different_sequences(8)).warnings, IsEmpty());
  EXPECT_THAT(survey(different_sequences(7)).warnings, ElementsAre(HasSubstr("Fewer than 8 sequences (7)")));
}

TEST(TraceSurvey, DuplicateSequencesAreReported) {
  auto sequences = different_sequences(10);
  sequences[4] = sequences[1];
  sequences[9] = sequences[1];
  const TraceSurvey found = survey(sequences);
  EXPECT_EQ(found.duplicate_sequences, 2U);
  EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("2 of 10 sequences repeat")));
}

TEST(TraceSurvey, OneTemplateInHalfOfTheSequencesIsReported) {
  auto sequences = different_sequences(11);
  const auto head = random_tokens(12, 99);
  const auto put_template = [&](std::size_t s) { std::copy(head.begin(), head.end(), sequences[s].begin()); };
  for (const std::size_t s : {0, 2, 4, 6, 8}) put_template(s);
  EXPECT_THAT(survey(sequences).warnings, IsEmpty()) << "five of eleven are less than half";
  put_template(10);
  const TraceSurvey found = survey(sequences);
  EXPECT_EQ(found.shared_prefix_tokens, 12U);
  EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("begin with the same 12 tokens")));
}

TEST(TraceSurvey, CountsPhasesAndFindsTheOptionalParts) {
  const ScratchFolder folder;
  const TraceSurvey found = survey_trace(make_id_trace(folder / "t.h5"), 1);
  EXPECT_TRUE(found.phases);
  EXPECT_EQ(found.prefill_tokens, 2U);
  EXPECT_EQ(found.decode_tokens, 4U);
  EXPECT_EQ(found.extras.acceptance_configurations, 1U);
  EXPECT_EQ(found.extras.drafter, "n-gram");
  EXPECT_EQ(found.extras.rounds, 2U);
  EXPECT_EQ(found.extras.round_columns, 2U);
  EXPECT_EQ(found.extras.lookups, 4U);
  EXPECT_TRUE(found.extras.contexts && found.extras.token_ids && found.extras.expert_weights);
}

TEST(TraceSurvey, RefusesBrokenContent) {
  const ScratchFolder folder;
  const auto path = make_id_trace(folder / "t.h5", [](hid_t file) {
    const hid_t lookups = H5Gopen2(file, "lookups", H5P_DEFAULT);
    put_integers(lookups, "hit", H5T_STD_U8LE, {4}, {0, 1, 2, 0});
  });
  EXPECT_THROW(survey_trace(path, 1), Error);
}

TEST(TraceSurvey, AcceptsTheRecordedTraces) {
  const std::filesystem::path folder(MOECARLO_RECORDED_TRACES);
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not there";
  EXPECT_THAT(survey_trace(folder / "gptoss20b.h5", 2).warnings, IsEmpty());
  EXPECT_EQ(survey_trace(folder / "flame290m.h5", 2).prefill_tokens, 1280U);
  EXPECT_EQ(survey_trace(folder / "hy3_chatprose_k2.h5", 2).extras.lookups, 931080U);
  EXPECT_EQ(survey_trace(folder / "hy3_chatprose_k4.h5", 2).extras.round_columns, 5U);
}

void put_labels(hid_t file, const std::vector<const char*>& labels) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, H5T_VARIABLE);
  put(file, "sequence_label", type, {labels.size()}, type, labels.data());
  H5Tclose(type);
}

TEST(TraceSurvey, counts_the_sequences_of_each_label) {
  const ScratchFolder scratch;
  const auto path = make_id_trace(scratch / "t.h5", [](hid_t file) { put_labels(file, {"code", "code\nmaths"}); });
  const std::map<std::string, std::uint64_t> labels = survey_trace(path, 1).extras.labels;
  ASSERT_EQ(labels.size(), 2U);
  EXPECT_EQ(labels.at("code"), 1U);
  EXPECT_EQ(labels.rbegin()->first.find('\n'), std::string::npos) << "a label stays on its line";
  EXPECT_TRUE(survey_trace(make_id_trace(scratch / "none.h5"), 1).extras.labels.empty());
}

TEST(TraceSurvey, refuses_labels_that_are_not_one_short_text_a_sequence) {
  const ScratchFolder scratch;
  const std::string name = "sequence_label";
  const auto refusal = [&](const std::function<void(hid_t)>& change) {
    try {
      survey_trace(make_id_trace(scratch / "t.h5", change), 1);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refusal([](hid_t file) { put_labels(file, {"code"}); }).find("one label for each of 2"), std::string::npos);
  const std::string endless(300, 'x');
  EXPECT_NE(refusal([&](hid_t file) {
              put_labels(file, {"code", endless.c_str()});
            }).find("at most 256 bytes"),
            std::string::npos);
  EXPECT_NE(refusal([&](hid_t file) {
              put_integers(file, name.c_str(), H5T_STD_I32LE, {2}, {1, 2});
            }).find("a string"),
            std::string::npos);
}

}  // namespace
}  // namespace moecarlo
