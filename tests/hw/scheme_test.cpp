#include "hw/schemes/scheme.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "hw/plan/mean_time.hpp"
#include "hw/plan/totals.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

constexpr Serving kDrafting{1024, 4, 3, 4};

Plan plan_of(const Scheme& scheme, const System& system, const Model& model, const Serving& serving) {
  return scheme.plan(system, model, serving, place(system, scheme, model, serving, model.moe_layers));
}

/// What a round moves and computes at some counts of hits and misses.
Work total(const System& system, const Plan& plan, const Model& model, const MeanCounts& counts) {
  return at_means(system, model, plan.round, counts).work;
}

const ExpertsWork& experts_of(const Plan& plan, RoundPart label) {
  return find_routed(plan.round, label)->work;
}

/// The model as a scheme stores it.
Model stored(const Scheme& scheme, const Model& model) {
  return scheme.stored ? scheme.stored(model) : model;
}

TEST(Schemes, DecodeWithoutDraftingAsAutoregressiveDecodingDoes) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const Serving serving{1024, 4, 0, 8};
  for (const Scheme& scheme : schemes()) {
    const Plan plain = plan_of(autoregressive(), system, stored(scheme, model), serving);
    const Plan own = plan_of(scheme, system, model, serving);
    EXPECT_EQ(find_repeated(own.round), nullptr) << scheme.name;
    const MeanCounts counts{5, 7, 0, 0};
    EXPECT_EQ(at_means(system, model, own.round, counts).seconds, at_means(system, model, plain.round, counts).seconds)
        << scheme.name;
  }
}

TEST(Schemes, EveryVerificationReadsEachTouchedExpertOnceAndWhole) {
  const System system = read_system("elmoe3d-8gb");
  for (const char* name : {"qwen3-30b-a3b", "gpt-oss-20b"}) {
    const Model model = read_model(name);
    for (const Scheme& scheme : schemes()) {
      const Serving serving{1024, 4, scheme.drafts ? 3U : 0U, 4};
      const Plan plan = plan_of(scheme, system, model, serving);
      const ExpertsWork& experts = experts_of(plan, RoundPart::verify_experts);
      const auto read = [&](const Task& task, const char* of) { return system.amount(task.own, of); };
      const double whole = expert_bytes(stored(scheme, model));
      EXPECT_NEAR(read(experts.hit, "hb") + read(experts.hit, "ext"), whole, 1e-6) << name << scheme.name;
      EXPECT_EQ(read(experts.miss, "hb"), 0) << name << scheme.name;
      EXPECT_EQ(read(experts.miss, "ext"), whole) << name << scheme.name;
    }
  }
}

TEST(Schemes, DraftsMoveWhatTheyAreMadeOf) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const auto plan = [&](const Scheme& scheme) { return plan_of(scheme, system, model, kDrafting); };
  const auto drafter = [&](const char* name, const char* of) {
    return system.amount(find_part(plan(find_scheme(name)).round, RoundPart::draft_drafter)->task.own, of);
  };
  const double cache = 4 * 1024 * kv_bytes_per_token(model);
  // Qwen2.5-1.5B: 1.64 GB a step and 28.7 kB a cached token; EAGLE: its head and 2 x 512 numbers a token.
  EXPECT_NEAR(drafter("slm", "hb") / 1e9, 1.640 + 4 * 1024 * 28672 / 1e9, 5e-4);
  EXPECT_EQ(drafter("slm", "ext"), 0);
  const Placement placement = place(system, find_scheme("eagle"), model, kDrafting, 48);
  EXPECT_NEAR(drafter("eagle", "hb"), placement.bytes("draft head") + placement.bytes("its KV cache"), 1);
  for (const Scheme& scheme : {elastic(), speq(), quant()}) {
    const Plan own = plan(scheme);
    const Work step = at_means(system, model, *find_repeated(own.round), {}).work;
    EXPECT_NEAR(system.amount(step, "hb"), dense_slice_bytes(model, 4) + cache, 1) << scheme.name;
    const ExpertsWork& experts = experts_of(own, RoundPart::draft_experts);
    EXPECT_EQ(system.amount(experts.hit.own, "hb"), slice_bytes(model, 4)) << scheme.name;
    EXPECT_EQ(system.amount(experts.miss.own, "ext"), scheme.name == "elastic" ? 0 : slice_bytes(model, 4))
        << scheme.name;
  }
}

TEST(Schemes, ACopyThatSpillsLeavesTheKvCacheWhereItIs) {
  // Dense weights 11152 B, KV cache 10 x 256 B, and a quarter of the dense 4-bit copy of 11152 x 4.5 / 8.5 = 5904 B.
  const System system = sample_system(11152 + 2560 + 1476);
  const Model model = sample_model();
  const Serving serving{10, 1, 1, 8};
  const Placement placement = place(system, quant(), model, serving, 2);
  EXPECT_NEAR(placement.share("copy"), 0.25, 1e-12);
  EXPECT_EQ(placement.slots, 0);
  const Plan plan = plan_of(quant(), system, model, serving);
  const Work step = at_means(system, model, *find_repeated(plan.round), {}).work;
  EXPECT_NEAR(system.amount(step, "hb"), 2560 + 1476, 1e-9);
  EXPECT_NEAR(system.amount(step, "ext"), 3 * 1476, 1e-9);
}

TEST(Schemes, DoublingABandwidthThatHoldsNothingUpChangesNoTime) {
  const Model model = read_model("qwen3-30b-a3b");
  const MeanCounts counts{3, 20, 2, 6};  // EXT holds up every part with experts, HB the others
  for (const Scheme& scheme : schemes()) {
    if (!scheme.drafts) continue;
    const auto times = [&](const char* key) {
      System system = read_system("elmoe3d-4gb");
      if (key != nullptr) system = make_system(scaled(system.preset, key, 2));
      const Plan plan = plan_of(scheme, system, model, kDrafting);
      return std::pair(at_means(system, model, *find_repeated(plan.round), counts).seconds,
                       at_means(system, model, plan.round, counts).seconds);
    };
    const auto [step, round] = times(nullptr);
    for (const char* key : {"streamline.bandwidth", "aggregation.bandwidth", "logic.clock"}) {
      EXPECT_EQ(times(key), std::pair(step, round)) << scheme.name << key;
    }
    EXPECT_LT(times("ext.bandwidth").second, round) << scheme.name;
    EXPECT_LT(times("hb.bandwidth").first, step) << scheme.name;
  }
}

TEST(Schemes, MoveTheSameWhetherNearMemoryHelpsOrNot) {
  const Model model = read_model("deepseek-v2-lite");
  const MeanCounts counts{0, 20, 0, 6};
  for (const Scheme& scheme : schemes()) {
    if (scheme.needs_cache) continue;
    const Serving serving{1024, 4, scheme.drafts ? 3U : 0U, 4};
    const System xpu = read_system("xpu");
    const Work plain = total(xpu, plan_of(scheme, xpu, model, serving), model, counts);
    for (const char* name : {"xpu-pim", "xpu-logicpim", "xpu-nmp"}) {
      const System system = read_system(name);
      const Work helped = total(system, plan_of(scheme, system, model, serving), model, counts);
      const double bytes = xpu.amount(plain, "ext"), operations = plain.amount(0);
      EXPECT_NEAR(system.amount(helped, "ext") + system.amount(helped, "near"), bytes, 1e-9 * bytes)
          << name << scheme.name;
      EXPECT_GT(system.amount(helped, "near"), 0) << name << scheme.name;
      EXPECT_NEAR(helped.amount(system.units[0].operations) + helped.amount(system.units[1].operations), operations,
                  1e-9 * operations)
          << name << scheme.name;
    }
  }
}

TEST(Schemes, EveryConstantOfOneChangesItsPlanOrIsRefused) {
  const System system = read_system("elmoe3d-8gb");
  const Model model = read_model("qwen3-30b-a3b");
  const auto figures = [&](const Scheme& scheme) {
    const Placement placement = place(system, scheme, model, kDrafting, 48);
    const Plan plan = scheme.plan(system, model, kDrafting, placement);
    const Work draft = find_part(plan.round, RoundPart::draft_drafter)->task.own;
    return std::vector<double>{placement.cache_bytes, placement.home_free_bytes, system.amount(draft, "hb"),
                               draft.amount(system.units.front().operations)};
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

/// A store of 10 GB/s and one of 1 GB/s behind a link, in round numbers, with misses that are fetched.
System with_fetching(const std::string& more) {
  const auto store = [](const char* name, double capacity, double bandwidth) {
    return fmt::format("[{}]\nkind = \"store\"\n", name) + row("capacity", capacity, "GB") +
           row("bandwidth", bandwidth, "GB/s") + row("efficiency", 1, "share") + row("energy", 1, "pJ/bit");
  };
  const SampleFile file("fetching.toml",
                        "[system]\ntiers = [\"near\", \"far\"]\nunits = [\"gpu\"]\n[gpu]\nkind = \"unit\"\n"
                        "sees = [\"near\", \"far via bus\"]\n" +
                            row("throughput", 1e6, "TOPS") + row("bits_per_pass", 8, "bit") +
                            row("energy", 0, "pJ/op") + store("near", 2e-5, 10) + store("far", 1, 10) +
                            "[bus]\nkind = \"link\"\n" + row("bandwidth", 1, "GB/s") + row("efficiency", 1, "share") +
                            row("energy", 1, "pJ/bit") + "[miss]\n" + row("fetch", 1, "share") + more);
  return read_system(file.path());
}

TEST(Schemes, WhatIsFetchedCrossesTheLinkOnceIsWrittenAndReadNear) {
  const System system = with_fetching("");
  const Model model = sample_model();
  const Plan plan = plan_of(autoregressive(), system, model, {10, 1, 0, 8});
  const Work work = at_means(system, model, plan.round, {1, 2, 0, 0}).work;
  const double near = dense_bytes(model) + 10 * kv_bytes_per_token(model), missed = 2 * 2 * expert_bytes(model);
  EXPECT_NEAR(system.amount(work, "bus"), missed, 1e-9);
  EXPECT_NEAR(system.amount(work, "far"), missed, 1e-9);
  EXPECT_NEAR(system.amount(work, "near_written"), missed, 1e-9);
  EXPECT_NEAR(system.amount(work, "near"), near + 1.5 * missed, 1e-9) << "hits and what was fetched";
}

TEST(Schemes, WhatIsForeseenMovesBesideTheLayersBefore) {
  const Model model = sample_model();
  const MeanCounts counts{1, 2, 0, 0};
  const auto seconds = [&](const System& system) {
    const Plan plan = plan_of(autoregressive(), system, model, {10, 1, 0, 8});
    const PassTotals totals =
        sum_pass(system, plan.round, {{1}, 1}, [&](const RoutedPart& part, double times, PassTotals& to) {
          const Done done = run(system, part.work.at(counts.hits, counts.misses));
          to.groups.front().seconds += times * model.moe_layers * done.seconds;
          to.groups.front().work += (times * model.moe_layers) * done.work;
        });
    return std::pair(totals.groups.front(), totals.lower_bound);
  };
  const auto [without, exact] = seconds(with_fetching(""));
  EXPECT_FALSE(exact);
  // Of two layers the second's misses are foreseen, every other of them, and as much is fetched in vain.
  const System system = with_fetching("[prefetch]\n" + row("layers", 1, "count") + row("recall", 0.5, "share") +
                                      row("precision", 0.5, "share"));
  const auto [with, bound] = seconds(system);
  EXPECT_TRUE(bound);
  const double of_a_layer = 2 * expert_bytes(model) / 1e9;
  EXPECT_NEAR(system.amount(with.work, "bus"), (2 * 0.75 + 2 * 0.25 / 0.5) * 2 * expert_bytes(model), 1e-9);
  // The link is busy all the time: no hiding makes it faster than its bytes.
  EXPECT_NEAR(with.seconds, std::max(without.seconds - 0.5 * of_a_layer, 2.5 * of_a_layer), 1e-12);
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
