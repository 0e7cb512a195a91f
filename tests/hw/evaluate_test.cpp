#include "hw/projection/evaluate.hpp"

#include <gmock/gmock.h>

#include <tuple>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

// The sample model: an expert is 1632 B, its 4-bit slice 864 B; dense weights 11152 B, KV cache 256 B a token.
constexpr std::uint32_t context = 10;
constexpr double hb_bytes = 11152 + 10 * 256 + 3 * 864 + 100;

/// Two rounds of depth 1, three slots: two in the first layer, one in the second. One draft step of the first layer was
/// sampled, both of the second.
Workload two_rounds() {
  Workload workload = sample_workload(1, {1, 1}, 2, 3);
  workload.classes = {{1, 2, one_group({{{1, 1}, 1}, {{2, 0}, 1}}), one_group({{{1, 0}, 1}}), {3}},
                      {1, 1, one_group({{{0, 2}, 1}, {{1, 1}, 1}}), one_group({{{1, 0}, 2}}), {0}}};
  return workload;
}

/// The same counts in one more group, of so many rounds; with drafts or with none sampled.
void add_group(Workload& workload, std::uint64_t rounds, bool drafts) {
  workload.counts.push_back({rounds, workload.counts[0].tokens});
  const auto repeat = [](const JointCounts& counts, bool twice) {
    std::vector<JointCounts::Entry> entries;
    for (std::size_t i = 0; i < counts.bins().size(); ++i) {
      for (std::uint32_t g = 0; g <= counts.groups(); ++g) {
        if (g == counts.groups() && !twice) continue;
        const auto count = static_cast<std::uint64_t>(counts.counts(i)[g == counts.groups() ? 0 : g]);
        entries.push_back({g, counts.bins()[i], count});
      }
    }
    return JointCounts(counts.groups() + 1, entries);
  };
  for (LayerClassCounts& layers : workload.classes) {
    layers.verify = repeat(layers.verify, true);
    layers.draft = repeat(layers.draft, drafts);
    layers.cache_writes.push_back(layers.cache_writes[0]);
  }
}

Projection project_sample(const Workload& workload) {
  return project(sample_system(hb_bytes), elastic(), sample_model(), context, workload, 4);
}

/// What a predictor was counted to foresee stands in place of what the preset assumes, at its layers ahead.
TEST(Project, TakesWhatAPredictorForesees) {
  const auto seconds = [](const Prefetch& prefetch, const Workload& workload) {
    System system = sample_system(hb_bytes);
    system.misses.in_place = 0;
    system.misses.fetch = 1;
    system.prefetch = prefetch;
    return project(system, elastic(), sample_model(), context, workload, 4).groups.front().seconds;
  };
  Workload counted = two_rounds();
  counted.foreseen = {{1, {0.75, 0.5}}, {2, {0.25, 1}}};
  EXPECT_EQ(seconds({1, 0.1, 0.9}, counted), seconds({1, 0.75, 0.5}, two_rounds()));
  EXPECT_NE(seconds({1, 0.1, 0.9}, counted), seconds({1, 0.1, 0.9}, two_rounds()));
  EXPECT_EQ(seconds({1, 0, 1}, counted), seconds({1, 0, 1}, two_rounds())) << "a system without prefetch has none";
  EXPECT_THAT(error_of([&] {
                seconds({3, 0.1, 0.9}, counted);
              }),
              HasSubstr("prefetch.layers: not among the study's own (expected 3 in [prefetch] layers of the study)"));
}

TEST(Project, TinyWorkloadByHand) {
  const auto breakdown = project_sample(two_rounds()).breakdown;
  const double ns = 1e-9;
  // One layer's experts, EXT at 1 B/ns: (1,1) 768 + 1632, (2,0) 2 x 768, (0,2) 2 x 1632; halved: two rounds.
  EXPECT_NEAR(breakdown.at("verify.experts"), (2400 + 1536 + 3264 + 2400) / 2.0 * ns, 1e-15);
  EXPECT_NEAR(breakdown.at("verify.experts.hb"), 4 * 86.4 / 2 * ns, 1e-15);
  // HB at 10 B/ns: 4224 dense weights of 8.5 bit and 10 cached tokens of 128 B, two layers; the head has 2048 weights.
  EXPECT_NEAR(breakdown.at("verify.attention"), 2 * (448.8 + 128) * ns, 1e-15);
  EXPECT_NEAR(breakdown.at("verify.lm_head"), 217.6 * ns, 1e-15);
  EXPECT_NEAR(breakdown.at("draft.attention"), 2 * (237.6 + 128) * ns, 1e-15);
  EXPECT_NEAR(breakdown.at("draft.lm_head"), 115.2 * ns, 1e-15);
  EXPECT_NEAR(breakdown.at("draft.experts"), 2 * 86.4 * ns, 1e-15);
  EXPECT_NEAR(breakdown.at("seconds"), 7190.4 * ns, 1e-15);
  EXPECT_EQ(breakdown.at("tokens"), 1.5);
  EXPECT_NEAR(breakdown.at("bytes.ext"), 4800, 1e-9);
  EXPECT_NEAR(breakdown.at("bytes.hb"), 11152 + 2560 + 2 * 864 + (2 * 2376 + 1152 + 2560) + 2 * 864, 1e-9);
  EXPECT_NEAR(breakdown.at("bytes.hb_written"), 3 * 864 / 2.0, 1e-9);
  // 2 ops x weights x tokens x passes, and 10 positions x 64 multiply-adds x 4 passes of the 16-bit cache for each
  // token.
  const double verify = 2 * (2 * 4224 * 2 * 2 + 2 * 2 * 640 * 4) + 2 * 2048 * 2 * 2 + 2 * (2 * 1536 * 2 * 2);
  const double draft = 2 * (2 * 4224 + 2 * 640 * 4) + 2 * 2048 + 2 * (2 * 1536);
  EXPECT_NEAR(breakdown.at("energy.compute"), (verify + draft) * 1e-12, 1e-18);
}

TEST(Project, GroupTotalsGiveSpeedAndEnergyPerToken) {
  const Workload workload = two_rounds();
  const Projection projection = project_sample(workload);
  ASSERT_EQ(projection.groups.size(), 1U);
  EXPECT_EQ(projection.groups[0].rounds, 2);
  EXPECT_EQ(projection.groups[0].tokens, 3);
  EXPECT_NEAR(tokens_per_second(projection, workload), 1.5 / 7190.4e-9, 1e-3);
  EXPECT_NEAR(joules_per_token(projection, workload), projection.breakdown.at("joules") / 1.5, 1e-18);
}

TEST(Project, PartsAddUpToSecondsAndCategoriesToJoules) {
  const auto breakdown = project_sample(two_rounds()).breakdown;
  double seconds = 0, joules = 0;
  for (const char* part :
       {"draft.attention", "draft.experts", "draft.lm_head", "verify.attention", "verify.experts", "verify.lm_head"})
    seconds += breakdown.at(part);
  for (const char* category : {"compute", "ext", "hb", "communication", "static"})
    joules += breakdown.at(std::string("energy.") + category);
  EXPECT_NEAR(breakdown.at("seconds"), seconds, 1e-18);
  EXPECT_NEAR(breakdown.at("joules"), joules, 1e-18);
}

TEST(Project, BytesOfATierTimesItsEnergyIsTheEnergyOfTheTier) {
  const auto breakdown = project_sample(two_rounds()).breakdown;
  EXPECT_NEAR(breakdown.at("energy.ext"), 8e-12 * breakdown.at("bytes.ext"), 1e-20);
  EXPECT_NEAR(breakdown.at("energy.hb"), 8e-12 * (breakdown.at("bytes.hb") + breakdown.at("bytes.hb_written")), 1e-20);
  EXPECT_NEAR(breakdown.at("energy.communication"), 8e-12 * breakdown.at("bytes.link"), 1e-20);
}

TEST(Project, NoPartBeatsAnyOfItsRoofs) {
  const auto breakdown = project_sample(two_rounds()).breakdown;
  int parts = 0;
  for (std::size_t i = 0; i < kRoundParts; ++i) {
    const std::string name(name_of(static_cast<RoundPart>(i)));
    const auto lasts = breakdown.find(name);
    if (!lasts) continue;
    ++parts;
    for (const char* resource : {".hb", ".ext", ".compute", ".link"})
      EXPECT_GE(*lasts * (1 + 1e-12), breakdown.at(name + resource)) << name;
  }
  EXPECT_EQ(parts, 6);
}

TEST(Project, TimeComesFromTheJointHistogramNotFromItsMean) {
  // A layer that misses 2 every other pass and else hits 2: HB and EXT take turns. Its mean, one hit and one miss,
  // would overlap them and end sooner where HB is as slow as EXT.
  System system = sample_system(11152 + 10 * 256 + 2 * 1632 + 100);
  system = make_system(scaled(system.preset, "hb.bandwidth", 0.1));
  Workload turns = sample_workload(0, {1, 0}, 2, 2);
  turns.classes = {{2, 1, one_group({{{0, 2}, 2}, {{2, 0}, 2}}), {}, {0}}};
  Workload even = turns;
  even.classes[0].verify = one_group({{{1, 1}, 4}});
  const double apart =
      project(system, autoregressive(), sample_model(), context, turns, 8).breakdown.at("verify.experts");
  const double overlapped =
      project(system, autoregressive(), sample_model(), context, even, 8).breakdown.at("verify.experts");
  EXPECT_NEAR(apart, 2 * 2 * 1632e-9, 1e-15);
  EXPECT_NEAR(overlapped, 2 * 1632e-9, 1e-15);
}

TEST(Project, GroupWithoutASampledDraftStepTakesThatOfAllGroups) {
  Workload workload = two_rounds();
  workload.groups = 2;
  add_group(workload, 2, false);
  const Projection projection = project_sample(workload);
  EXPECT_DOUBLE_EQ(projection.groups[1].seconds, projection.groups[0].seconds);
}

TEST(Project, LayerWithoutResidentsDraftsNoExpert) {
  Workload workload = two_rounds();
  workload.capacity = {0, 0};
  for (LayerClassCounts& layers : workload.classes) {
    layers = {1, 0, one_group({{{0, 1}, 2}}), one_group({{{0, 0}, 2}}), {0}};
  }
  const auto breakdown =
      project(sample_system(11152 + 10 * 256 + 100), elastic(), sample_model(), context, workload, 4).breakdown;
  EXPECT_EQ(breakdown.at("draft.experts"), 0);
  EXPECT_EQ(breakdown.at("draft.experts.compute"), 0);
  EXPECT_NEAR(breakdown.at("verify.experts"), 2 * 1632e-9, 1e-15);
}

TEST(Project, ReplicatesAreProjectedButLeftOutOfTheMeans) {
  Workload workload = two_rounds();
  workload.replicates = 1;
  for (int half = 0; half < 2; ++half) {
    add_group(workload, 4, true);  // the same distribution, twice the rounds
    for (LayerClassCounts& layers : workload.classes) layers.cache_writes.back() *= 2;
  }
  const Projection projection = project_sample(workload);
  ASSERT_EQ(projection.groups.size(), 3U);
  EXPECT_DOUBLE_EQ(projection.groups[2].seconds, 2 * projection.groups[0].seconds);
  EXPECT_DOUBLE_EQ(projection.groups[2].joules, 2 * projection.groups[0].joules);
  EXPECT_EQ(projection.breakdown, project_sample(two_rounds()).breakdown);
}

/// One step on the sample machine without slots, of which rules leave so much.
Workload asking_step(const std::vector<AskedSums>& asked) {
  Workload workload = sample_workload(0, {0, 0}, 1, 1);
  workload.classes = {{2, 0, one_group({{{0, 3}, 2}}), {}, {0}}};
  workload.asked = asked;
  return workload;
}

TEST(Project, WhatIsNotAskedForIsNeitherReadNorMultiplied) {
  const System system = sample_system(11152 + 10 * 256 + 100);
  const auto of = [&](const std::vector<AskedSums>& asked) {
    return project(system, autoregressive(), sample_model(), context, asking_step(asked), 8).breakdown;
  };
  // Of 8 pairs 6 are kept, of three experts SMoLPU's example loads 1.5.
  const auto all = of({}), some = of({{8, 6, 3, 1.5}});
  EXPECT_NEAR(all.at("bytes_read.verify.experts"), 2 * 3 * 1632, 1e-9);
  EXPECT_NEAR(some.at("bytes_read.verify.experts"), 2 * 1.5 * 1632, 1e-9);
  EXPECT_NEAR(some.at("verify.experts"), 0.5 * all.at("verify.experts"), 1e-15);
  EXPECT_NEAR(some.at("operations.verify.experts"), 0.75 * 0.5 * all.at("operations.verify.experts"), 1e-6);
  EXPECT_EQ(some.at("verify.attention"), all.at("verify.attention"));
  EXPECT_EQ(of({{8, 8, 3, 3}}), all);
}

TEST(Project, EveryGroupAsksForItsOwnShare) {
  const System system = sample_system(11152 + 10 * 256 + 100);
  const auto seconds = [&](const AskedSums& asked) {
    return project(system, autoregressive(), sample_model(), context, asking_step({asked}), 8).groups[0].seconds;
  };
  Workload both = asking_step({{8, 8, 3, 3}, {8, 4, 3, 1}});
  both.groups = 2;
  add_group(both, 1, false);
  both.classes[0].draft = {};
  const Projection projection = project(system, autoregressive(), sample_model(), context, both, 8);
  EXPECT_DOUBLE_EQ(projection.groups[0].seconds, seconds(both.asked[0]));
  EXPECT_DOUBLE_EQ(projection.groups[1].seconds, seconds(both.asked[1]));
  EXPECT_DOUBLE_EQ(2 * projection.breakdown.at("seconds"), projection.groups[0].seconds + projection.groups[1].seconds);
}

/// What stays to be hit later comes as a whole, even where little of it is read at once.
TEST(Project, WhatIsFetchedMovesWhole) {
  System system = sample_system(11152 + 10 * 256 + 100);
  system.misses.in_place = 0;
  system.misses.fetch = 1;
  const auto of = [&](const std::vector<AskedSums>& asked) {
    return project(system, autoregressive(), sample_model(), context, asking_step(asked), 8).breakdown;
  };
  const auto all = of({}), some = of({{8, 8, 4, 1}});
  EXPECT_EQ(some.at("bytes.ext"), all.at("bytes.ext"));
  EXPECT_NEAR(all.at("bytes.hb") - some.at("bytes.hb"), 0.75 * 2 * 3 * 1632, 1e-9);
}

TEST(Project, TraceWithHalfTheLayersCountsEachExpertsPartTwice) {
  Workload workload = sample_workload(0, {1, 0}, 1, 1);
  workload.layers = 1;
  workload.verify_columns = 1;
  workload.classes = {{1, 1, one_group({{{0, 1}, 1}}), {}, {1}}};
  const Projection projection =
      project(sample_system(11152 + 10 * 256 + 2 * 1632 + 100), autoregressive(), sample_model(), context, workload, 8);
  EXPECT_EQ(projection.layer_scale, 2);
  EXPECT_NEAR(projection.breakdown.at("bytes.hb_written"), 2 * 1632, 1e-9);
  EXPECT_NEAR(projection.breakdown.at("verify.experts"), 2 * 1632e-9, 1e-15);
  EXPECT_NEAR(projection.breakdown.at("verify.attention"), 2 * 576.8e-9, 1e-15);
}

TEST(Project, AllEightBitsKeptIsAutoregressiveDecodingWithTheSameHits) {
  const System system = read_system("elmoe3d-4gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Placement placement = place(system, elastic(), model, {1024, 4, 0, 8}, 48);
  const Workload workload = one_step(model, placement, 4, 11, 9);
  EXPECT_EQ(project(system, elastic(), model, 1024, workload, 8).breakdown,
            project(system, autoregressive(), model, 1024, workload, 8).breakdown);
}

TEST(Project, DraftReadsNothingFromExternalMemory) {
  const auto breakdown = project_sample(two_rounds()).breakdown;
  for (const char* part : {"draft.attention", "draft.experts", "draft.lm_head"})
    EXPECT_EQ(breakdown.at(std::string(part) + ".ext"), 0);
}

TEST(Project, ComputeGrowsWithTokensAndReadsDoNot) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("glm-4.7-flash");
  const auto step = [&](std::uint32_t batch) {
    const Placement placement = place(system, autoregressive(), model, {1, batch, 0, 8}, model.moe_layers);
    return project(system, autoregressive(), model, 1, one_step(model, placement, batch, 8, 8), 8).breakdown;
  };
  const auto one = step(1), four = step(4);
  EXPECT_DOUBLE_EQ(four.at("verify.experts.compute"), 4 * one.at("verify.experts.compute"));
  EXPECT_EQ(four.at("verify.experts.ext"), one.at("verify.experts.ext"));
  EXPECT_DOUBLE_EQ(four.at("verify.lm_head.compute"), 4 * one.at("verify.lm_head.compute"));
  EXPECT_EQ(four.at("verify.lm_head.hb"), one.at("verify.lm_head.hb"));
}

/// All that is reported of one autoregressive step, every layer's experts hitting and missing so often.
std::tuple<Breakdown, double, double> reported(const System& system, const Model& model, std::uint32_t batch,
                                               std::uint32_t hits, std::uint32_t misses) {
  const Placement placement = place(system, autoregressive(), model, {context, batch, 0, 8}, model.moe_layers);
  Workload workload = one_step(model, placement, batch, hits, misses);
  workload.classes[0].cache_writes[0] = system.has_cache() ? 1 : 0;
  return {project(system, autoregressive(), model, context, workload, 8).breakdown, placement.near_bytes,
          placement.home_free_bytes};
}

TEST(Project, EveryConstantOfASystemChangesWhatIsReportedOrIsRefused) {
  const Model small = sample_model(), large = read_model("qwen3-30b-a3b");
  for (const char* name : {"xpu", "xpu-pim", "xpu-logicpim", "xpu-nmp", "hb-xpu", "elmoe3d-4gb", "elmoe3d-8gb"}) {
    const System system = read_system(name);
    const auto differs = [&](const Constant& constant, double value) {
      Preset preset = system.preset;
      for (Constant& one : preset.constants) {
        if (one.key == constant.key) one.value = value;
      }
      const std::uint32_t hits = system.has_cache() ? 1 : 0;
      bool changes = false;
      const auto change = [&] {
        const System changed = make_system(preset);
        changes = reported(changed, small, 1, hits, 1) != reported(system, small, 1, hits, 1);
        // A step that few multipliers near memory cannot keep up with.
        if (system.helper)
          changes = changes || reported(changed, large, 200, 0, 64) != reported(system, large, 200, 0, 64);
      };
      return error_of(change) != "no error" || changes;
    };
    for (const Constant& constant : system.preset.constants) {
      EXPECT_TRUE(differs(constant, 0.25 * constant.value) || differs(constant, 4 * constant.value) ||
                  differs(constant, 1 - constant.value))
          << name << " " << constant.key;
    }
  }
}

TEST(Project, RefusesAWorkloadThatIsNotItsOwn) {
  Workload workload = two_rounds();
  workload.capacity = {2, 0};
  EXPECT_THAT(error_of([&] { project_sample(workload); }),
              HasSubstr("counted at another capacity (expected 1.500 experts per layer, found 2.000)"));
  workload = two_rounds();
  workload.top_k = 2;
  EXPECT_THAT(error_of([&] { project_sample(workload); }), HasSubstr("(expected top-k 1, found 2)"));
  workload = two_rounds();
  workload.classes[0].verify = one_group({});
  EXPECT_THAT(error_of([&] { project_sample(workload); }), HasSubstr("no verify pass was counted"));
  workload = two_rounds();
  workload.groups = 3;
  EXPECT_THAT(error_of([&] { project_sample(workload); }), HasSubstr("wrong number of groups (expected 3, found 1)"));
}

TEST(Project, RefusesToDraftWithoutADraft) {
  const System system = sample_system(11152 + 10 * 256 + 3 * 1632 + 100);
  EXPECT_THAT(error_of([&] { project(system, autoregressive(), sample_model(), context, two_rounds(), 8); }),
              HasSubstr("ar on sample: the scheme does not draft (expected depth 0, found 1)"));
}

}  // namespace
}  // namespace moecarlo::hw
