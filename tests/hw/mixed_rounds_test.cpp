// Continuous batching: rounds that take a chunk of a prompt along; and contexts that are drawn.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "hw/plan/mean_time.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::ElementsAre;

constexpr std::uint32_t kContext = 10;

/// One memory of 1 MB/s; nothing but reads takes time.
System one_memory() {
  return system_of("[system]\ntiers = [\"hbm\"]\nunits = [\"gpu\"]\n" + unit_of("gpu", "\"hbm\"", 1e9) +
                   store_of("hbm", 1, 1, 1));
}

/// Three plain rounds that touch one expert of each layer, and one with a chunk that touches two.
Workload mixed_rounds() {
  Workload workload = sample_workload(0, {0, 0}, 3, 6);
  workload.batch = 2;
  workload.classes.push_back({2, 0, one_group({{{0, 1}, 6}}), {}, {0}});
  Workload mixed = workload;
  mixed.counts = {{1, 2}};
  mixed.classes.front().verify = one_group({{{0, 2}, 2}});
  workload.mixed = std::make_shared<const Workload>(mixed);
  workload.chunk = PromptChunk{4, 6, 0.5};
  return workload;
}

TEST(MixedRounds, ReadWeightsOnceForRequestsAndChunk) {
  const Model model = sample_model();
  const System system = one_memory();
  const Workload workload = mixed_rounds();
  const Projection projection = project_held(system, autoregressive(), model, kContext, workload, 8);
  const double decode = dense_bytes(model) + 2 * request_bytes(model, kContext);
  const double plain = decode + 2 * expert_bytes(model);
  const double mixed = decode + request_bytes(model, 4 + 3) + 2 * 2 * expert_bytes(model);
  ASSERT_EQ(projection.groups.size(), 1U);
  const GroupTotals& all = projection.groups.front();
  EXPECT_EQ(all.rounds, 4);
  EXPECT_EQ(all.mixed, 1);
  EXPECT_EQ(all.tokens, 8);
  EXPECT_NEAR(all.seconds, (3 * plain + mixed) / 1e6, 1e-9);
  EXPECT_NEAR(projection.breakdown.at("seconds"), (3 * plain + mixed) / 4e6, 1e-9);
  EXPECT_NEAR(projection.breakdown.at("seconds_at_means"), (3 * plain + mixed) / 4e6, 1e-9);
  EXPECT_NEAR(projection.breakdown.at("bytes.hbm"), (3 * plain + mixed) / 4, 1e-6);
  EXPECT_NEAR(projection.breakdown.at("joules"), projection.groups.front().joules / 4, 1e-15);
}

/// 2 rows of requests and 6 of the chunk; the LM head for two requests and every second chunk's last token.
TEST(MixedRounds, MultiplyForEveryTokenAndTheHeadForThoseThatYield) {
  const Model model = sample_model();
  const System system = one_memory();
  const Scheme scheme = autoregressive();
  Serving serving{kContext, 2, 0, 8};
  const Placement placement = place(system, scheme, model, serving, 2);
  const auto operations = [&] {
    return operations_of(system,
                         at_means(system, model, scheme.plan(system, model, serving, placement).round, {0, 1}).work);
  };
  const double before = operations();
  serving.chunk = PromptChunk{4, 6, 0.5};
  const double weights_of_token = active_parameters(model) - model.lm_head().weights();
  double attention = 0;
  for (const LayerKind& kind : model.layers) attention += kind.count * kind.mixer.macs(4 + 3);
  const double kv_passes = system.units.front().passes(model.kv_bits);
  EXPECT_NEAR(operations() - before,
              2 * (6 * weights_of_token + 0.5 * model.lm_head().weights()) + 2 * 6 * attention * kv_passes, 1e-6);
}

/// Operations per byte of the experts of a layer: 2 rows, and 8 with the chunk, over one expert or two.
TEST(MixedRounds, SpreadOperationsForEachByte) {
  const Model model = sample_model();
  const Projection projection = project_held(one_memory(), autoregressive(), model, kContext, mixed_rounds(), 8);
  ASSERT_EQ(projection.operations_per_byte_by_layer.size(), 1U);
  const LayerIntensity& layers = projection.operations_per_byte_by_layer.front();
  EXPECT_EQ(layers.first, 0U);
  EXPECT_EQ(layers.layers, 2U);
  const double operations = 2 * weights(model.expert);
  EXPECT_NEAR(layers.p5, 2 * operations / expert_bytes(model), 1e-12);
  EXPECT_NEAR(layers.p50, 2 * operations / expert_bytes(model), 1e-12);
  EXPECT_NEAR(layers.p95, 8 * operations / (2 * expert_bytes(model)), 1e-12);
}

TEST(Contexts, OfEveryRequestDivideTheRange) {
  EXPECT_THAT(drawn_contexts(Context(7), 3), ElementsAre(ElementsAre(7)));
  const Context range(1, 64);
  const auto drawn = drawn_contexts(range, 3);
  ASSERT_EQ(drawn.size(), 16U);
  for (std::size_t request = 0; request < 3; ++request) {
    std::vector<double> own;
    for (const auto& round : drawn) own.push_back(round[request]);
    EXPECT_DOUBLE_EQ(std::accumulate(own.begin(), own.end(), 0.0) / 16, range.mean());
    std::sort(own.begin(), own.end());
    for (std::size_t i = 0; i < own.size(); ++i) EXPECT_DOUBLE_EQ(own[i], 0.5 + 4 * (i + 0.5));
  }
  EXPECT_NE(drawn[0][0] - drawn[1][0], drawn[0][1] - drawn[1][1]);  // in another order each
}

TEST(Contexts, AreReadInTheMeanAndRoomIsKeptForTheLongest) {
  const Model model = sample_model();
  const System system = one_memory();
  const Workload workload = one_step(model, place(system, autoregressive(), model, {64, 4, 0, 8}, 2), 4, 0, 2);
  const auto projected = [&](const Context& context) {
    return project_held(system, autoregressive(), model, context, workload, 8);
  };
  // Memory alone takes time, so that it goes by the mean; the sum over requests is what counts.
  EXPECT_NEAR(projected({1, 63}).breakdown.at("seconds"), projected(32).breakdown.at("seconds"), 1e-12);
  EXPECT_EQ(projected({1, 63}).placement.bytes("KV cache"), projected(63).placement.bytes("KV cache"));
}

/// Attention that looks back at 100 positions at most: the mean over the range, not that of the mean context.
TEST(Contexts, AreNotTheMeanContextWhereAWindowCutsThem) {
  Model model = sample_model();
  for (LayerKind& kind : model.layers) kind.mixer.window = 100;
  const System system = one_memory();
  const Workload workload = one_step(model, place(system, autoregressive(), model, {512, 1, 0, 8}, 2), 1, 0, 1);
  const auto attention = [&](const Context& context) {
    return project_held(system, autoregressive(), model, context, workload, 8).breakdown.at("verify.attention");
  };
  double mean = 0;
  for (std::uint32_t context = 1; context <= 512; ++context) mean += attention(context) / 512;
  EXPECT_NEAR(attention({1, 512}), mean, 2e-3 * mean);
  EXPECT_LT(mean, 0.95 * attention(256));
}

}  // namespace
}  // namespace moecarlo::hw
