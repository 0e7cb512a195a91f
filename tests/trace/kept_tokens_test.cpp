#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/trace/kept_tokens.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using namespace moecarlo::testing;

TEST(KeptTokens, AreThoseOfPhaseOneWhereTheFileMarksAny) {
  const std::vector<std::uint8_t> mixed = {0, 1, 1, 0, 1};
  const std::vector<std::uint8_t> prefill = {0, 0, 0};
  EXPECT_THAT(table_token_of(mixed, 5), ElementsAre(not_kept, 0U, 1U, not_kept, 2U));
  EXPECT_THAT(table_token_of(prefill, 3), ElementsAre(0U, 1U, 2U));
  EXPECT_THAT(table_token_of({}, 2), ElementsAre(0U, 1U));
  EXPECT_EQ(KeptTokens(mixed).count(1, 4), 2U);
  EXPECT_EQ(KeptTokens(mixed).count(3, 4), 0U);
  EXPECT_EQ(KeptTokens({}).count(3, 7), 4U);
}

// 8 layers of 1024 float16 logits: 2,048 tokens are 32 MiB, so that this file takes three reads.
TEST(KeptTokens, CountOnAcrossReads) {
  constexpr hsize_t wide = 1024, deep = 8, many = 5000;
  const ScratchFolder folder;
  std::vector<std::int64_t> phase(many);
  for (std::size_t t = 0; t < many; ++t) phase[t] = t % 3 == 1 ? 1 : 0;
  const auto path = make_logit_trace(folder / "wide.h5", [&](hid_t file) {
    set_number(file, "num_experts", wide);
    put_floats(file, "router_logits", float16_type(), {many, deep, wide}, std::vector<float>(many * deep * wide));
    put_integers(file, "sequence_offsets", H5T_STD_I64LE, {3}, {0, 40, many});
    put_integers(file, "phase", H5T_STD_U8LE, {many}, phase);
    put_integers(file, "layer_numbers", H5T_STD_I32LE, {deep}, {0, 1, 2, 3, 4, 5, 6, 7});
    remove_object(file, "token_ids");
  });
  const TraceReader reader(path);
  const auto place = table_token_of(reader.phase(), many);
  std::uint64_t chunks = 0, next_token = 0, next_kept = 0;
  for_each_kept(reader, RoutingTable{}, [&](const KeptChunk& chunk) {
    ++chunks;
    EXPECT_EQ(chunk.first, next_token);
    EXPECT_EQ(chunk.first_kept, next_kept);
    next_token += chunk.count;
    next_kept += chunk.kept.size();
    for (std::size_t i = 0; i < chunk.kept.size(); ++i) {
      ASSERT_LT(chunk.kept[i], chunk.count);
      ASSERT_EQ(place[chunk.first + chunk.kept[i]], chunk.first_kept + i);
    }
  });
  EXPECT_EQ(chunks, 3U);
  EXPECT_EQ(next_token, many);
  EXPECT_EQ(next_kept, 1667U);
}

}  // namespace
}  // namespace moecarlo
