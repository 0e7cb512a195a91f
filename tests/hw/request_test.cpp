// Whole requests: a prompt in chunks, then rounds.

#include "hw/projection/request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "hw/projection/placement.hpp"
#include "hw/schemes/prefill.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

TEST(Prefill, ChunksCoverThePrompt) {
  EXPECT_EQ(chunks_of(10, 4), (std::vector<Chunk>{{0, 4}, {4, 4}, {8, 2}}));
  EXPECT_EQ(chunks_of(4, 4), (std::vector<Chunk>{{0, 4}}));
  EXPECT_TRUE(chunks_of(0, 4).empty());
}

TEST(Prefill, AChunkReadsAllWeightsOnceAndMultipliesThemForEveryToken) {
  const Model model = read_model("qwen3-30b-a3b");
  const System system = read_system("xpu");
  const Placement placement = place(system, autoregressive(), model, {64, 1, 0, 8}, 48);
  const double head = model.lm_head().weights(), head_bytes = head * model.dense_format.stored_bits() / 8;
  const MeanCounts every{0, static_cast<double>(model.experts), 0, 0};
  const auto done = [&](const Chunk& chunk, bool last) {
    return at_means(system, model, prefill_pass(system, model, placement, chunk, last), every).work;
  };
  const Work last = done({0, 64}, true), before = done({0, 64}, false);
  EXPECT_NEAR(bytes_read(system, last), dense_bytes(model) + experts_bytes(model) + request_bytes(model, 32), 1);
  EXPECT_NEAR(bytes_read(system, last) - bytes_read(system, before), head_bytes, 1);
  EXPECT_NEAR(operations_of(system, last) - operations_of(system, before), 2 * head * 2, 1);  // two passes of 4 bits
  const double weights_only = 64 * 2.0 * (active_parameters(model) - head) * 2;
  EXPECT_GT(operations_of(system, before), weights_only);  // and attention
  EXPECT_LT(operations_of(system, before), 1.01 * weights_only);
  // The second half of a prompt has the first behind it.
  EXPECT_NEAR(bytes_read(system, done({64, 64}, true)) - bytes_read(system, last), request_bytes(model, 64), 1);
}

TEST(Request, IsItsChunksAndItsRounds) {
  const Model model = read_model("qwen3-30b-a3b");
  const System system = read_system("rtx4090-ddr5");
  const Scheme scheme = find_scheme("eagle");
  Request request{100, 64, 40, 2.5, {0, 1, 3, 8, 1, 4}};
  const RequestCounts counts{{{20, 60, 0, 0}, {15, 40, 0, 0}}, {10, 12, 0, 0}};
  const RequestCost cost = cost_of(system, scheme, model, request, counts);
  Serving serving = request.serving;
  serving.context = 100 + 20;
  const Placement placement = place(system, scheme, model, serving, 48);
  const double first =
      at_means(system, model, prefill_pass(system, model, placement, {0, 64}, false), counts.chunks[0]).seconds;
  const double second =
      at_means(system, model, prefill_pass(system, model, placement, {64, 36}, true), counts.chunks[1]).seconds;
  const Done round = at_means(system, model, scheme.plan(system, model, serving, placement).round, counts.round);
  EXPECT_DOUBLE_EQ(cost.time_to_first_token, first + second);
  EXPECT_DOUBLE_EQ(cost.time_per_output_token, round.seconds / 2.5);
  EXPECT_DOUBLE_EQ(cost.seconds, first + second + 40 / 2.5 * round.seconds);
  EXPECT_GT(cost.joules, 16 * joules_of(system, round.work, round.seconds));
  // Smaller chunks read the weights more often, and are never sooner.
  Request small = request;
  small.chunk = 10;
  RequestCounts all = counts;
  all.chunks.assign(10, counts.chunks[0]);
  EXPECT_GT(cost_of(system, scheme, model, small, all).time_to_first_token, cost.time_to_first_token);
  EXPECT_THAT(error_of([&] { cost_of(system, scheme, model, small, counts); }), HasSubstr("expected 10, found 2"));
}

TEST(Request, APartialSumThatSpillsGoesHomeAndComesBack) {
  const Model model = read_model("olmoe-1b-7b");
  const System system = read_system("smolpu");
  // SMoLPU: those of 128 tokens, 2048 wide, of two bytes each fill its 512 KiB; of three and four bytes fewer fit.
  EXPECT_EQ(partial_sum_slots(model, 512 * 1024, 16), 128U);
  EXPECT_EQ(partial_sum_slots(model, 512 * 1024, 24), 85U);
  EXPECT_EQ(partial_sum_slots(model, 512 * 1024, 32), 64U);
  Request request{128, 64, 1, 1, {0, 1, 0, 8, 1, 1}, 2 * 2048};
  RequestCounts counts{{{0, 60, 0, 0}, {0, 40, 0, 0}}, {0, 8, 0, 0}};
  const RequestCost none = cost_of(system, autoregressive(), model, request, counts);
  counts.spills = {3, 0.5};
  const RequestCost some = cost_of(system, autoregressive(), model, request, counts);
  Work moved = write(system, 0, 1);
  moved += read(system, system.units.front(), 0, 1);
  const double bytes = 16 * 3.5 * 2 * 2048;  // of 16 layers, written and read
  EXPECT_NEAR(some.joules - none.joules, joules_of(system, bytes * moved, 0), 1e-9 * some.joules);
  EXPECT_NEAR(some.time_to_first_token - none.time_to_first_token, seconds_of(system, bytes * moved), 1e-12);
  EXPECT_EQ(some.time_per_output_token, none.time_per_output_token);
  counts.spills = {1};
  EXPECT_THAT(error_of([&] { cost_of(system, autoregressive(), model, request, counts); }),
              HasSubstr("spills of other chunks (expected 2, found 1)"));
}

}  // namespace
}  // namespace moecarlo::hw
