#include "hw/schemes/scheme.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "hw/plan/mean_time.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

constexpr Serving kDrafting{1024, 4, 3, 4};

Plan plan_of(const Scheme& scheme, const System& system, const Model& model, const Serving& serving) {
  return scheme.plan(system, model, serving, place(system, scheme, model, serving, model.moe_layers));
}

/// All that a plan moves and computes at some counts of hits and misses.
Work total(const Plan& plan, const Model& model, const MeanCounts& counts, std::uint32_t depth) {
  const auto pass = [&](const Phase& phase, double hits, double misses) {
    Work work;
    for (const FixedPart& part : phase.fixed) work += part.count * part.work;
    if (phase.touches_experts) work += static_cast<double>(model.moe_layers) * phase.experts.at(hits, misses);
    return work;
  };
  Work work = pass(plan.verify, counts.hits, counts.misses);
  if (plan.draft) work += static_cast<double>(depth) * pass(*plan.draft, counts.draft_hits, counts.draft_misses);
  return work;
}

TEST(Schemes, DecodeWithoutDraftingAsAutoregressiveDecodingDoes) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Serving serving{1024, 4, 0, 8};
  const Plan plain = plan_of(autoregressive(), system, model, serving);
  for (const Scheme& scheme : schemes()) {
    const Plan own = plan_of(scheme, system, model, serving);
    EXPECT_FALSE(own.draft) << scheme.name;
    const MeanCounts counts{5, 7, 0, 0};
    EXPECT_EQ(time_at_means(system, model, own, counts).verify, time_at_means(system, model, plain, counts).verify)
        << scheme.name;
  }
}

TEST(Schemes, EveryVerificationReadsEachTouchedExpertOnceAndWhole) {
  const System system = read_system("elmoe3d-8gb");
  for (const char* name : {"qwen3-30b-a3b", "gpt-oss-20b"}) {
    const Model model = read_model(name);
    for (const Scheme& scheme : schemes()) {
      const Serving serving{1024, 4, scheme.drafts ? 3U : 0U, 4};
      const ExpertsPart experts = plan_of(scheme, system, model, serving).verify.experts;
      EXPECT_NEAR(experts.hit.hb_bytes + experts.hit.ext_bytes, expert_bytes(model), 1e-6) << name << scheme.name;
      EXPECT_EQ(experts.miss.hb_bytes, 0) << name << scheme.name;
      EXPECT_EQ(experts.miss.ext_bytes, expert_bytes(model)) << name << scheme.name;
    }
  }
}

TEST(Schemes, DraftsMoveWhatTheyAreMadeOf) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const auto draft = [&](const Scheme& scheme) { return *plan_of(scheme, system, model, kDrafting).draft; };
  const double cache = 4 * 1024 * kv_bytes_per_token(model);
  // Qwen2.5-1.5B: 1.64 GB a step and 28.7 kB a cached token; EAGLE: its head and 2 x 512 numbers a token.
  const Work small = draft(find_scheme("slm")).fixed.at(0).work;
  EXPECT_NEAR(small.hb_bytes / 1e9, 1.640 + 4 * 1024 * 28672 / 1e9, 5e-4);
  EXPECT_EQ(small.ext_bytes, 0);
  EXPECT_NEAR(draft(find_scheme("eagle")).fixed.at(0).work.hb_bytes,
              place(system, find_scheme("eagle"), model, kDrafting, 48).scheme_bytes, 1);
  for (const Scheme& scheme : {elastic(), speq(), quant()}) {
    double dense = 0;
    for (const FixedPart& part : draft(scheme).fixed) dense += part.count * part.work.hb_bytes;
    EXPECT_NEAR(dense, dense_slice_bytes(model, 4) + cache, 1) << scheme.name;
    EXPECT_EQ(draft(scheme).experts.hit.hb_bytes, slice_bytes(model, 4)) << scheme.name;
    EXPECT_EQ(draft(scheme).experts.miss.ext_bytes, scheme.name == "elastic" ? 0 : slice_bytes(model, 4))
        << scheme.name;
  }
}

TEST(Schemes, ACopyThatSpillsLeavesTheKvCacheWhereItIs) {
  // Dense weights 11152 B, KV cache 10 x 256 B, and a quarter of the dense 4-bit copy of 11152 x 4.5 / 8.5 = 5904 B.
  const System system = sample_system(11152 + 2560 + 1476);
  const Model model = sample_model();
  const Serving serving{10, 1, 1, 8};
  const Placement placement = place(system, quant(), model, serving, 2);
  EXPECT_NEAR(placement.spilled_share, 0.75, 1e-12);
  EXPECT_EQ(placement.slots, 0);
  Work read;
  const Phase draft = plan_of(quant(), system, model, serving).draft.value();
  for (const FixedPart& part : draft.fixed) read += part.count * part.work;
  EXPECT_NEAR(read.hb_bytes, 2560 + 1476, 1e-9);
  EXPECT_NEAR(read.ext_bytes, 3 * 1476, 1e-9);
}

TEST(Schemes, DoublingABandwidthThatHoldsNothingUpChangesNoTime) {
  const Model model = read_model("qwen3-30b-a3b");
  const MeanCounts counts{3, 20, 2, 6};  // EXT holds up every part with experts, HB the others
  for (const Scheme& scheme : schemes()) {
    if (!scheme.drafts) continue;
    const auto times = [&](const char* key) {
      System system = read_system("elmoe3d-4gb");
      if (key != nullptr) system = make_system(scaled(system.preset, key, 2));
      return time_at_means(system, model, plan_of(scheme, system, model, kDrafting), counts);
    };
    for (const char* key : {"links.streamline", "links.aggregation", "logic.clock"}) {
      EXPECT_EQ(times(key).verify, times(nullptr).verify) << scheme.name << key;
      EXPECT_EQ(times(key).draft_step, times(nullptr).draft_step) << scheme.name << key;
    }
    EXPECT_LT(times("ext.bandwidth").verify, times(nullptr).verify) << scheme.name;
    EXPECT_LT(times("hb.bandwidth").draft_step, times(nullptr).draft_step) << scheme.name;
  }
}

TEST(Schemes, MoveTheSameWhetherNearMemoryHelpsOrNot) {
  const Model model = read_model("deepseek-v2-lite");
  const MeanCounts counts{0, 20, 0, 6};
  for (const Scheme& scheme : schemes()) {
    if (scheme.needs_hb) continue;
    const Serving serving{1024, 4, scheme.drafts ? 3U : 0U, 4};
    const Work plain = total(plan_of(scheme, read_system("xpu"), model, serving), model, counts, serving.depth);
    for (const char* name : {"xpu-pim", "xpu-logicpim", "xpu-nmp"}) {
      const System system = read_system(name);
      const Work marked = total(plan_of(scheme, system, model, serving), model, counts, serving.depth);
      EXPECT_NEAR(marked.ext_bytes + marked.near_bytes, plain.ext_bytes, 1e-9 * plain.ext_bytes) << name << scheme.name;
      EXPECT_NEAR(marked.ops + marked.near_ops, plain.ops, 1e-9 * plain.ops) << name << scheme.name;
      const Work divided = divide(system, marked);
      EXPECT_NEAR(divided.ext_bytes + divided.near_bytes, plain.ext_bytes, 1e-9 * plain.ext_bytes);
    }
  }
}

TEST(Schemes, EveryConstantOfOneChangesItsPlanOrIsRefused) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const auto figures = [&](const Scheme& scheme) {
    const Placement placement = place(system, scheme, model, kDrafting, 48);
    const Work draft = scheme.plan(system, model, kDrafting, placement).draft->fixed.at(0).work;
    return std::vector<double>{placement.scheme_bytes, placement.ext_free_bytes, draft.hb_bytes, draft.ops};
  };
  for (const auto& [name, make] : {std::pair{"eagle", &eagle}, {"slm", &slm}}) {
    const Scheme scheme = find_scheme(name);
    ASSERT_FALSE(scheme.preset.constants.empty());
    for (const Constant& constant : scheme.preset.constants) {
      bool changes = false;
      const auto change = [&] { changes = figures(make(scaled(scheme.preset, constant.key, 0.5))) != figures(scheme); };
      EXPECT_TRUE(error_of(change) != "no error" || changes) << name << " " << constant.key;
    }
  }
}

TEST(Schemes, RefuseAnUnknownConstantByName) {
  Preset preset = find_scheme("eagle").preset;
  preset.constants.push_back(preset.constants.front());
  preset.constants.back().key = "head.layers";
  EXPECT_THAT(error_of([&] { eagle(preset); }), testing::HasSubstr("unknown constant 'head.layers'"));
}

TEST(MeanTime, IsNeverMoreThanTheTimeOverTheDistribution) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("gpt-oss-20b");
  const Placement placement = place(system, autoregressive(), model, {1024, 4, 0, 8}, 24);
  Workload workload = one_step(model, placement, 4, 8, 4);
  // All hits in half of the passes, four misses in the others.
  workload.classes[0].verify = one_group({{{8, 0}, 12}, {{0, 4}, 12}});
  const auto breakdown = project(system, autoregressive(), model, 1024, workload, 8).breakdown;
  EXPECT_LT(breakdown.at("seconds_at_means"), 0.95 * breakdown.at("seconds"));
  EXPECT_DOUBLE_EQ(mean_counts(workload).hits, 4);
  EXPECT_DOUBLE_EQ(mean_counts(workload).misses, 2);
}

}  // namespace
}  // namespace moecarlo::hw
