#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "host/support/error.hpp"
#include "host/support/float16.hpp"
#include "host/trace/trace_reader.hpp"
#include "host/trace/trace_writer.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::HasSubstr;
using namespace moecarlo::testing;

TraceHeader full_header(TraceForm form) {
  TraceHeader header;
  header.model = "tiny";
  header.source = "a test";
  header.licence = "none";
  header.created_by = "a test";
  header.form = form;
  header.layers = 3;
  header.shared_experts = 2;
  header.scoring = {Scoring::sigmoid, true, 12, 3, 4, 2};
  header.layer_numbers = {1, 2, 5};
  header.selection_bias = std::vector<float>(36, 0.25F);
  header.weights = form == TraceForm::expert_ids;
  header.phase = header.token_ids = true;
  return header;
}

void expect_header(const TraceReader& reader, const TraceHeader& header) {
  const TraceInfo& info = reader.info();
  EXPECT_EQ(info.model, header.model);
  EXPECT_EQ(info.source, header.source);
  EXPECT_EQ(info.licence, header.licence);
  EXPECT_EQ(info.created_by, header.created_by);
  EXPECT_EQ(info.layers, header.layers);
  EXPECT_EQ(info.shared_experts, header.shared_experts);
  EXPECT_EQ(reader.scoring().scoring, header.scoring.scoring);
  EXPECT_EQ(reader.scoring().renormalize, header.scoring.renormalize);
  EXPECT_EQ(reader.scoring().num_groups, header.scoring.num_groups);
  EXPECT_EQ(reader.scoring().top_k_groups, header.scoring.top_k_groups);
  EXPECT_EQ(reader.layer_numbers(), header.layer_numbers);
  EXPECT_EQ(reader.selection_bias(), header.selection_bias);
}

const std::vector<std::uint8_t> phases{0, 1, 1, 1, 1};
const std::vector<std::int32_t> token_ids{3, -7, 2'000'000'000, 0, 3};

TEST(TraceRoundTrip, ExpertIds) {
  const ScratchFolder folder;
  const TraceHeader header = full_header(TraceForm::expert_ids);
  std::vector<std::uint16_t> ids;
  std::vector<float> weights;
  for (std::uint16_t i = 0; i < 5 * 9; ++i) {
    ids.push_back(static_cast<std::uint16_t>(i * 5 % 12));
    weights.push_back(static_cast<float>(i) / 64);
  }
  TraceWriter writer(folder / "t.h5", header);
  const auto part = [&](std::size_t first, std::size_t count) {
    return TraceTokens{{},
                       std::span<const std::uint16_t>(ids).subspan(first * 9, count * 9),
                       std::span<const float>(weights).subspan(first * 9, count * 9),
                       std::span<const std::uint8_t>(phases).subspan(first, count),
                       std::span<const std::int32_t>(token_ids).subspan(first, count)};
  };
  writer.append(part(0, 1));
  writer.append(part(1, 2));
  writer.end_sequence();
  writer.append(part(3, 2));
  writer.end_sequence();
  EXPECT_FALSE(std::filesystem::exists(folder / "t.h5")) << "only `finish` gives the file its name";
  writer.finish();

  const TraceReader reader(folder / "t.h5");
  expect_header(reader, header);
  EXPECT_EQ(reader.sequence_offsets(), (std::vector<std::uint64_t>{0, 3, 5}));
  EXPECT_EQ(reader.phase(), phases);
  EXPECT_EQ(reader.read_token_ids(0, 5), token_ids);
  const Choices choices = reader.read_choices(0, 5);
  EXPECT_EQ(choices.ids, ids);
  EXPECT_EQ(reader.read_weights(0, choices), weights);
  const Choices last = reader.read_choices(3, 2, 2);
  EXPECT_TRUE(std::equal(last.ids.begin(), last.ids.end(), ids.begin() + 27, ids.end()));
}

TEST(TraceRoundTrip, LogitsOfBothWidths) {
  for (const TraceForm form : {TraceForm::logits_float16, TraceForm::logits_float32}) {
    const ScratchFolder folder;
    const TraceHeader header = full_header(form);
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> logits(5 * 3 * 12);
    for (float& logit : logits) logit = float16_to_float(float_to_float16(normal(random)));
    TraceWriter writer(folder / "t.h5", header);
    writer.append({.logits = logits, .expert_ids = {}, .weights = {}, .phase = phases, .token_ids = token_ids});
    writer.end_sequence();
    writer.finish();

    const TraceReader reader(folder / "t.h5");
    expect_header(reader, header);
    EXPECT_EQ(reader.read_logits(0, 5), logits);
    const Choices choices = reader.read_choices(0, 5, 2);
    std::vector<std::uint16_t> expected(3);
    std::vector<float> expected_weights(3);
    const std::vector<float> weights = reader.read_weights(0, choices);
    for (std::size_t row = 0; row < 15; ++row) {
      const auto scores = std::span<const float>(logits).subspan(row * 12, 12);
      select_experts(header.scoring, scores, std::span(header.selection_bias).first(12), expected);
      gate_weights(header.scoring, scores, expected, expected_weights);
      for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(choices.ids[row * 3 + i], expected[i]);
        EXPECT_EQ(weights[row * 3 + i], expected_weights[i]);
      }
    }
  }
}

TEST(TraceRoundTrip, UnfinishedLeavesNothingBehind) {
  const ScratchFolder folder;
  {
    TraceWriter writer(folder / "t.h5", full_header(TraceForm::logits_float32));
    const std::vector<float> logits(36);
    writer.append({.logits = logits,
                   .expert_ids = {},
                   .weights = {},
                   .phase = {phases.data(), 1},
                   .token_ids = {token_ids.data(), 1}});
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(TraceWriter, RefusesWhatContradictsTheHeader) {
  const ScratchFolder folder;
  const std::vector<float> logits(36);
  const TraceTokens good{.logits = logits,
                         .expert_ids = {},
                         .weights = {},
                         .phase = {phases.data(), 1},
                         .token_ids = {token_ids.data(), 1}};
  TraceWriter writer(folder / "t.h5", full_header(TraceForm::logits_float16));
  EXPECT_THROW(writer.finish(), Error) << "no sequence";
  EXPECT_THROW(writer.end_sequence(), Error) << "empty sequence";
  TraceTokens bad = good;
  bad.logits = bad.logits.first(35);
  EXPECT_THROW(writer.append(bad), Error);
  bad = good;
  bad.phase = {};
  EXPECT_THROW(writer.append(bad), Error);
  const std::vector<float> large(36, 70000.0F);
  bad = good;
  bad.logits = large;
  EXPECT_THROW(writer.append(bad), Error) << "no float16";
  writer.append(good);
  EXPECT_THROW(writer.finish(), Error) << "open sequence";
}

TEST(TraceWriter, UnwritableFolderIsAMachineError) {
  try {
    TraceWriter writer("/nonexistent/folder/t.h5", full_header(TraceForm::expert_ids));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::machine);
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/folder/t.h5: cannot write"));
  }
}

// h5py leaves integer width and byte order to the user; values decide.
TEST(TraceReader, ReadsIntegersOfEveryWidthAndByteOrder) {
  const ScratchFolder folder;
  for (const hid_t type : {H5T_STD_I8LE, H5T_STD_U8LE, H5T_STD_I16LE, H5T_STD_U16BE, H5T_STD_I32BE, H5T_STD_U32LE,
                           H5T_STD_I64LE, H5T_STD_U64BE}) {
    const TraceReader reader(make_id_trace(folder / "t.h5", [&](hid_t file) {
      put_integers(file, "expert_ids", type, {tokens, layers, top_k}, small_ids());
      put_integers(file, "sequence_offsets", type, {3}, {0, 4, 6});
    }));
    const Choices choices = reader.read_choices(0, tokens);
    const auto ids = small_ids();
    EXPECT_TRUE(std::equal(choices.ids.begin(), choices.ids.end(), ids.begin(), ids.end()));
    EXPECT_EQ(reader.sequence_offsets(), (std::vector<std::uint64_t>{0, 4, 6}));
  }
}

// Chunks that are no multiple of anything, both filters, and reads that begin and end inside them.
TEST(TraceReader, ReadsRecordedLookups) {
  const ScratchFolder folder;
  const Lookups lookups = TraceReader(make_id_trace(folder / "ids.h5")).read_lookups();
  EXPECT_EQ(lookups.layer, (std::vector<std::uint32_t>{0, 1, 2, 0}));
  EXPECT_EQ(lookups.expert, (std::vector<std::uint32_t>{7, 0, 3, 3}));
  EXPECT_EQ(lookups.part, (std::vector<std::uint32_t>{0, 1, 2, 0}));
  EXPECT_EQ(lookups.hit, (std::vector<std::uint8_t>{0, 1, 0, 1}));
  EXPECT_TRUE(TraceReader(make_logit_trace(folder / "logits.h5")).read_lookups().hit.empty());
  const auto bad = make_id_trace(folder / "bad.h5", [](hid_t file) {
    const hid_t group = H5Gopen2(file, "lookups", H5P_DEFAULT);
    put_integers(group, "part", H5T_STD_I32LE, {4}, {0, 1, 256, 0});
    H5Gclose(group);
  });
  const TraceReader reader(bad);
  EXPECT_THROW(reader.read_lookups(), Error);
}

TEST(TraceReader, ReadsAnyRangeOfAChunkedFile) {
  const ScratchFolder folder;
  std::vector<float> logits(500 * layers * experts);
  std::mt19937 random(4);
  for (float& logit : logits) logit = static_cast<float>(random() % 1024) / 64 - 8;
  const TraceReader reader(make_logit_trace(folder / "t.h5", [&](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[] = {7, 1, 3};
    H5Pset_chunk(creation, 3, chunk);
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 1);
    put(file, "router_logits", float16_type(), {500, layers, experts}, H5T_NATIVE_FLOAT, logits.data(), creation);
    put_integers(file, "sequence_offsets", H5T_STD_I64LE, {3}, {0, 4, 500});
    for (const char* name : {"phase", "token_ids"}) remove_object(file, name);
  }));
  EXPECT_EQ(reader.read_logits(0, 500), logits);
  const Choices whole = reader.read_choices(0, 500);
  for (const auto& [first, count] : {std::pair{0, 1}, std::pair{6, 2}, std::pair{13, 301}, std::pair{499, 1}}) {
    const Choices part = reader.read_choices(first, count, 2);
    const auto offset = static_cast<std::ptrdiff_t>(first * layers * top_k);
    EXPECT_TRUE(std::equal(part.ids.begin(), part.ids.end(), whole.ids.begin() + offset));
  }
  EXPECT_TRUE(reader.read_choices(500, 0).ids.empty());
  EXPECT_THROW(reader.read_choices(499, 2), std::out_of_range);
}

}  // namespace
}  // namespace moecarlo
