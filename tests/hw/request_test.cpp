// Whole requests: a prompt in chunks, then rounds.

#include "hw/projection/request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "hw/projection/placement.hpp"
#include "hw/projection/prompts.hpp"
#include "hw/schemes/prefill.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

TEST(Prefill, ChunksCoverThePrompt) {
  EXPECT_EQ(chunks_of(10, 4), (std::vector<PromptChunk>{{0, 4, 0}, {4, 4, 0}, {8, 2, 1}}));
  EXPECT_EQ(chunks_of(4, 4), (std::vector<PromptChunk>{{0, 4, 1}}));
  EXPECT_TRUE(chunks_of(0, 4).empty());
}

TEST(Prefill, AChunkReadsAllWeightsOnceAndMultipliesThemForEveryToken) {
  const Model model = read_model("qwen3-30b-a3b");
  const System system = read_system("xpu");
  const Placement placement = place(system, autoregressive(), model, {64, 1, 0, 8}, 48);
  const double head = model.lm_head().weights(), head_bytes = head * model.dense_format.stored_bits() / 8;
  const MeanCounts every{0, static_cast<double>(model.experts), 0, 0};
  const auto done = [&](const PromptChunk& chunk) {
    const Pass pass = prefill_pass(system, autoregressive(), model, {64, 1, 0, 8}, placement, chunk);
    return at_means(system, model, pass, every).work;
  };
  const Work last = done({0, 64, 1}), before = done({0, 64, 0});
  EXPECT_NEAR(bytes_read(system, last), dense_bytes(model) + experts_bytes(model) + request_bytes(model, 32), 1);
  EXPECT_NEAR(bytes_read(system, last) - bytes_read(system, before), head_bytes, 1);
  EXPECT_NEAR(operations_of(system, last) - operations_of(system, before), 2 * head * 2, 1);  // two passes of 4 bits
  const double weights_only = 64 * 2.0 * (active_parameters(model) - head) * 2;
  EXPECT_GT(operations_of(system, before), weights_only);  // and attention
  EXPECT_LT(operations_of(system, before), 1.01 * weights_only);
  // The second half of a prompt has the first behind it.
  EXPECT_NEAR(bytes_read(system, done({64, 64, 1})) - bytes_read(system, last), request_bytes(model, 64), 1);
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
  const auto seconds = [&](const PromptChunk& chunk, const MeanCounts& counted) {
    return at_means(system, model, prefill_pass(system, scheme, model, serving, placement, chunk), counted).seconds;
  };
  const double first = seconds({0, 64, 0}, counts.chunks[0]), second = seconds({64, 36, 1}, counts.chunks[1]);
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

/// Chunks of prompts of the sample model in a cache of two of four experts of each layer: so many of each kind.
Workload counted_chunks(const std::map<JointBin, std::uint64_t>& passes, std::uint64_t chunks) {
  Workload workload = sample_workload(0, {2, 0}, chunks, 0);
  LayerClassCounts layers;
  layers.layers = 2;
  layers.capacity = 2;
  layers.verify = one_group(passes);
  layers.cache_writes = {0};
  workload.classes = {layers};
  return workload;
}

/// Near 10 MB/s, far 1 MB/s, and a unit that takes no time; room for the dense weights, keys and values of `context`
/// and two experts a layer.
System system_with_two_experts(const Model& model, std::uint32_t context) {
  const double near =
      dense_bytes(model) + embedding_bytes(model) + request_bytes(model, context) + 4 * expert_bytes(model);
  return system_of("[system]\ntiers = [\"near\", \"far\"]\nunits = [\"unit\"]\n" +
                   store_of("near", (near + 1) / 1e6, 10, 1) + store_of("far", 100, 1, 1) +
                   unit_of("unit", "\"near\", \"far\"", 1e12));
}

/// Nothing but reads takes time. Four tokens in chunks of two: {0, 1} of each layer hits, the
/// next misses 1 of 2. Every chunk reads the dense weights of both layers, the keys and values up to its middle, and
/// its experts: of those in all 6 hits and 2 misses.
TEST(Prompts, TakeWhatTheirChunksRead) {
  const Model model = sample_model();
  const System system = system_with_two_experts(model, 8);
  const PromptLengths lengths{2, {{4}}};
  const Workload chunks = counted_chunks({{{2, 0}, 2}, {{1, 1}, 2}}, 2);
  const Scheme scheme = autoregressive();
  const auto totals = PromptProjector(system, scheme, model, lengths).project(chunks, {8, 1, 0, 8});
  ASSERT_EQ(totals.size(), 1U);
  const double head = model.lm_head().weights() * model.dense_format.stored_bits() / 8;
  const double layers = dense_bytes(model) - head;
  const double near = 2 * layers + head + request_bytes(model, 1) + request_bytes(model, 3) + 6 * expert_bytes(model);
  const double far = 2 * expert_bytes(model);  // beside the hit of their layer, which is sooner read
  const double beside = 2 * expert_bytes(model);
  EXPECT_EQ(totals[0].prompts, 1);
  EXPECT_NEAR(totals[0].seconds, (near - beside) / 10e6 + far / 1e6, 1e-9);
  EXPECT_GE(totals[0].joules, 8e-12 * (near + far));  // 1 pJ a bit, and what is computed
}

/// Equal chunks: as a request by itself whose chunks all hit and miss as often.
TEST(Prompts, AreRequestsOfEqualChunks) {
  const Model model = read_model("qwen3-30b-a3b");
  const Scheme scheme = find_scheme("eagle");
  for (const char* name : {"rtx4090-ddr5", "xpu-pim", "elmoe3d-8gb", "mi210-x2"}) {
    const System system = read_system(name);
    const Serving serving{1024, 2, 3, 8, 1, 4};
    const Placement placement = place(system, scheme, model, serving, model.moe_layers);
    Workload chunks = one_step(model, placement, 1, 30, 50);
    chunks.counts[0].rounds = 6;
    const PromptLengths lengths{64, {{192, 192}}};
    const auto totals = PromptProjector(system, scheme, model, lengths).project(chunks, serving);
    Request request{192, 64, 0, 1, serving};
    request.output = 2 * (serving.context - request.prompt);  // the context of its middle
    const RequestCounts counts{{{30, 50}, {30, 50}, {30, 50}}, {10, 12}};
    const RequestCost cost = cost_of(system, scheme, model, request, counts);
    EXPECT_NEAR(totals[0].seconds / 2, cost.time_to_first_token, 1e-12 * cost.time_to_first_token) << name;
    EXPECT_EQ(totals[0].prompts, 2);
  }
}

/// Short chunks have the hits and misses of all in place of their own.
TEST(Prompts, OfUnequalChunksAreNearTheirOwn) {
  const Model model = read_model("qwen3-30b-a3b");
  const Scheme scheme = autoregressive();
  double worst = 0;
  for (const char* name : {"rtx4090-ddr5", "xpu", "elmoe3d-8gb", "m3-max", "gb10", "strix-halo"}) {
    const System system = read_system(name);
    const Serving serving{8192, 1, 0, 8};
    for (const auto& [prompt, tokens] :
         {std::pair{300U, 256U}, {520U, 256U}, {700U, 512U}, {2100U, 2048U}, {5000U, 2048U}}) {
      // Of each token eight of 128, as likely all.
      RequestCounts counts;
      std::map<JointBin, std::uint64_t> passes;
      const auto chunks = chunks_of(prompt, tokens);
      for (const PromptChunk& chunk : chunks) {
        const double distinct = std::round(128 * (1 - std::pow(1 - 8.0 / 128, chunk.tokens))),
                     hits = std::floor(distinct / 4);
        counts.chunks.push_back({hits, distinct - hits});
        passes[{static_cast<std::uint32_t>(hits), static_cast<std::uint32_t>(distinct - hits)}] += model.moe_layers;
      }
      const Placement placement = place(system, scheme, model, serving, model.moe_layers);
      Workload counted = one_step(model, placement, 1, 1, 1);
      counted.counts[0].rounds = chunks.size();
      for (LayerClassCounts& layers : counted.classes) layers.verify = one_group(passes);
      const PromptLengths lengths{tokens, {{prompt}}};
      const auto totals = PromptProjector(system, scheme, model, lengths).project(counted, serving);
      Request request{prompt, tokens, 2 * (8192 - prompt), 1, serving};
      const RequestCost cost = cost_of(system, scheme, model, request, counts);
      const double error = totals[0].seconds / cost.time_to_first_token - 1;
      worst = std::max(worst, std::abs(error));
    }
  }
  RecordProperty("error_of_short_chunks", std::to_string(worst));
  EXPECT_LT(worst, 0.05) << worst;
}

TEST(Prompts, AreThoseThatWereCounted) {
  const Model model = sample_model();
  const System system = system_with_two_experts(model, 8);
  const Scheme scheme = autoregressive();
  const Workload chunks = counted_chunks({{{2, 0}, 4}}, 2);
  EXPECT_THAT(error_of([&] {
                PromptProjector(system, scheme, model, {2, {{5}}}).project(chunks, {8, 1, 0, 8});
              }),
              HasSubstr("expected 3 of group 0, found 2"));
}

}  // namespace
}  // namespace moecarlo::hw
