#include "hw/plan/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "hw/plan/totals.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {
namespace {

Work fixed_work(const System& system, const std::vector<Pass>& parts) {
  return sum_pass(system, then(parts), {{1}, 1}, nullptr).groups.front().work;
}

double operations(const System& system, const Work& work) {
  return work.amount(system.units.front().operations);
}

/// Bytes that reach one processing element.
double broadcast(const System& system, const Work& work) {
  return work.amount(system.units.front().broadcast.value()) / system.units.front().elements;
}

TEST(Plan, FixedPartsReadTheDenseWeightsOnceAndTheCacheOfEveryRequest) {
  const System system = read_system("elmoe3d-4gb");
  for (const char* name : {"qwen3-30b-a3b", "glm-4.7-flash", "deepseek-v2-lite", "gpt-oss-20b"}) {
    const Model model = read_model(name);
    const Work all = fixed_work(system, dense_parts(system, model, {2048, 3, 0, 8}, {false, 3, 8}));
    EXPECT_NEAR(system.amount(all, "hb"), dense_bytes(model) + 3 * 2048 * kv_bytes_per_token(model), 1) << name;
    EXPECT_EQ(system.amount(all, "ext"), 0) << name;
  }
}

TEST(Plan, AttentionOverTheCacheCountsEveryHeadOfEitherKind) {
  const System system = read_system("elmoe3d-4gb");
  const auto cache_ops = [&](const char* name) {
    const Model model = read_model(name);
    const auto ops = [&](std::uint32_t context) {
      const auto parts = dense_parts(system, model, {context, 2, 0, 8}, {false, 6, 8});
      return operations(system, std::get<Part>(parts.at(0).what).task.own);
    };
    return ops(1000) - ops(0);
  };
  // 2 ops, 6 tokens, 1000 positions, 4 passes of the 16-bit cache; per position 64 heads x (64 scores + 64 values), or
  // 20 heads x (512 + 64 scores + 512 values).
  EXPECT_DOUBLE_EQ(cache_ops("gpt-oss-20b"), 2.0 * 6 * 1000 * 4 * 64 * 128);
  EXPECT_DOUBLE_EQ(cache_ops("glm-4.7-flash"), 2.0 * 6 * 1000 * 4 * 20 * 1088);
}

TEST(Plan, ExpertsComputeTopKOfEachToken) {
  const Model model = read_model("qwen3-30b-a3b");
  const System system = read_system("xpu");
  EXPECT_DOUBLE_EQ(operations(system, expert_compute(system, model, 10, 8).pass.own),
                   2.0 * 10 * 8 * 3 * 2048 * 768 * 2);
}

TEST(Plan, PassThatTouchesNoExpertDoesNothing) {
  ExpertsWork experts;
  experts.pass.own.add(0, 7);
  experts.hit.own.add(1, 3);
  experts.miss.own.add(2, 5);
  EXPECT_EQ(experts.at(0, 0).own.size(), 0U);
  const Work work = experts.at(2, 1).own;
  EXPECT_EQ(work.amount(0), 7);
  EXPECT_EQ(work.amount(1), 6);
  EXPECT_EQ(work.amount(2), 5);
}

TEST(Plan, RowsAreSharedByHitsAndMissesAsTheDistinctExpertsAre) {
  ExpertsWork experts;
  experts.rows = 8;
  experts.hit_row.add(0, 10);
  experts.miss_row.add(1, 100);
  const Work work = experts.at(3, 1).own;
  EXPECT_EQ(work.amount(0), 6 * 10);
  EXPECT_EQ(work.amount(1), 2 * 100);
}

TEST(Plan, ElasticReadsTheSliceNearAndTheRestOfAHitFromHome) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("qwen3-30b-a3b");
  const double weights_bytes = 3.0 * 2048 * 768 / 8;
  for (const std::uint32_t bits : {2U, 4U, 6U}) {
    const Plan plan = elastic().plan(system, model, {1024, 1, 4, bits}, {});
    const ExpertsWork& verify = find_routed(plan.round, RoundPart::verify_experts)->work;
    const ExpertsWork& draft = find_routed(plan.round, RoundPart::draft_experts)->work;
    EXPECT_DOUBLE_EQ(system.amount(verify.hit.own, "hb"), (bits + 0.5) * weights_bytes);
    EXPECT_DOUBLE_EQ(system.amount(verify.hit.own, "ext"), (8 - bits) * weights_bytes);
    EXPECT_DOUBLE_EQ(system.amount(verify.miss.own, "ext"), 8.5 * weights_bytes);
    EXPECT_DOUBLE_EQ(system.amount(draft.hit.own, "hb"), (bits + 0.5) * weights_bytes);
    EXPECT_EQ(system.amount(draft.hit.own, "ext"), 0);
  }
}

TEST(Plan, ElasticReadsMxfp4ExpertsWholeFromWhereTheyAre) {
  const System system = read_system("elmoe3d-4gb");
  const Plan plan = elastic().plan(system, read_model("gpt-oss-20b"), {1024, 1, 4, 4}, {});
  const ExpertsWork& verify = find_routed(plan.round, RoundPart::verify_experts)->work;
  EXPECT_DOUBLE_EQ(system.amount(verify.hit.own, "hb"), 3.0 * 2880 * 2880 * 4.25 / 8);
  EXPECT_EQ(system.amount(verify.hit.own, "ext"), 0);
  EXPECT_DOUBLE_EQ(system.amount(find_part(plan.round, RoundPart::draft_lm_head)->task.own, "hb"),
                   2880.0 * 201088 * 4.5 / 8);
}

TEST(Plan, ActivationsAreBroadcastOnceToAllMatricesThatTheyAreMultipliedWith) {
  const System system = read_system("elmoe3d-4gb");
  const auto layer = [&](const char* name, double tokens) {
    const auto parts = dense_parts(system, read_model(name), {1024, 1, 0, 8}, {false, tokens, 8});
    return broadcast(system, std::get<Part>(parts.at(0).what).task.own);
  };
  // One byte each: into query, key and value; out of 64 heads of 64; into the router.
  EXPECT_EQ(layer("gpt-oss-20b", 1), 2880 + 64 * 64 + 2880);
  EXPECT_EQ(layer("gpt-oss-20b", 3), 3 * (2880 + 64 * 64 + 2880));
  // Latent attention: into query and latent, out of the latent, out of 16 heads of 128; router with gate and up of the
  // shared experts, their down.
  EXPECT_EQ(layer("deepseek-v2-lite", 1), (2048 + 512 + 16 * 128) + (2048 + 2 * 1408));
  // Queries of a rank of their own.
  EXPECT_EQ(layer("glm-4.7-flash", 1), (2048 + 768 + 512 + 20 * 256) + (2048 + 1536));
  // Gate with up, then down, for each of 4 experts.
  EXPECT_EQ(broadcast(system, expert_compute(system, read_model("gpt-oss-20b"), 1, 4).pass.own), 4 * (2880 + 2880));
}

TEST(Plan, DraftersBroadcastASharedInputOnce) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const auto drafter = [&](const char* name) {
    const Plan plan = find_scheme(name).plan(system, model, {1024, 1, 1, 8}, {});
    return broadcast(system, find_part(plan.round, RoundPart::draft_drafter)->task.own);
  };
  // Three features; token and feature into query, key and value; 32 heads of 128; gate with up; down; vocabulary.
  EXPECT_EQ(drafter("eagle"), 3 * 2048 + 2 * 2048 + 4096 + 2048 + 6144 + 2048);
  EXPECT_EQ(drafter("slm"), 28 * (1536 + 1536 + 1536 + 8960) + 1536);
}

/// Mean of the fullest group over every way of placing the experts.
double enumerated_busiest(std::uint32_t experts, std::uint32_t groups) {
  double sum = 0;
  std::uint32_t ways = 1;
  for (std::uint32_t e = 0; e < experts; ++e) ways *= groups;
  for (std::uint32_t way = 0; way < ways; ++way) {
    std::vector<std::uint32_t> held(groups);
    for (std::uint32_t e = 0, rest = way; e < experts; ++e, rest /= groups) ++held[rest % groups];
    sum += *std::max_element(held.begin(), held.end());
  }
  return sum / ways * groups / experts;
}

TEST(BusiestGroup, IsTheMeanOverAllPlacements) {
  for (const std::uint32_t groups : {2U, 3U, 4U}) {
    for (const std::uint32_t experts : {1U, 2U, 5U, 8U}) {
      EXPECT_NEAR(busiest_group(experts, groups), enumerated_busiest(experts, groups), 1e-9)
          << experts << " in " << groups;
    }
  }
  EXPECT_EQ(busiest_group(7, 1), 1);
  EXPECT_EQ(busiest_group(0, 4), 1);
  EXPECT_DOUBLE_EQ(busiest_group(1.5, 4) * 1.5, (busiest_group(1, 4) + busiest_group(2, 4) * 2) / 2);
  EXPECT_NEAR(busiest_group(500, 4), 1, 0.1);
}

TEST(BusiestGroup, IdleElementsIdleTheirBandwidth) {
  System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Plan plan = plan_autoregressive(system, model, {1024, 1, 0, 8}, {});
  const ExpertsWork& experts = find_routed(plan.round, RoundPart::verify_experts)->work;
  const std::size_t hb = system.units.front().paths.front().front();
  const auto hb_seconds = [&](double hits) {
    return resource_seconds(system, run(system, experts.at(hits, 0)).work, hb, coupled_load(system, hits));
  };
  const double spread = hb_seconds(1);
  system = make_system(scaled(system.preset, "hb.elements_per_expert", 1.0 / 8));
  EXPECT_EQ(system.groups(), 8);
  EXPECT_NEAR(hb_seconds(1), 8 * spread, 1e-12);
  EXPECT_LT(hb_seconds(64), 1.8 * 64 * spread);
}

}  // namespace
}  // namespace moecarlo::hw
