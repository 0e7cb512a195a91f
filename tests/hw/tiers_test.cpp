// Machines of several tiers, and of a second device that drafts.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "hw/plan/mean_time.hpp"
#include "hw/projection/evaluate.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kContext = 10, kBatch = 2;

ExpertsWork verified(const Plan& plan) {
  return find_routed(plan.round, RoundPart::verify_experts)->work;
}

Plan plan_on(const System& system, const Model& model) {
  return plan_autoregressive(system, model, {kContext, kBatch, 0, 8}, {});
}

TEST(Tiers, CachesAreNestedAndDenseWeightsLieWhereTheSystemSays) {
  const Model model = sample_model();  // an expert of 1632 bytes, dense weights of 11152
  const System system = three_tiers(0.004, 0.011152 + 0.00256 * kBatch + 0.0065);
  const Placement placement = place(system, autoregressive(), model, {kContext, kBatch, 0, 8}, 2);
  EXPECT_EQ(placement.slots_by_tier, (std::vector<double>{2, 3}));
  EXPECT_EQ(placement.slots, 3);
  EXPECT_EQ(placement.nearer, (std::vector<Capacity>{{1, 0}}));
  EXPECT_EQ(placement.capacity, (Capacity{1, 1}));
  EXPECT_EQ(placement.bytes("dense weights"), dense_bytes(model));
  EXPECT_FALSE(placement.all_near);
  // A larger near tier is nested the other way: what is between holds no fewer.
  EXPECT_EQ(place(three_tiers(0.01), autoregressive(), model, {kContext, kBatch, 0, 8}, 2).slots_by_tier.back(), 8);
}

TEST(Tiers, ExpertsAreReadWhereTheyAre) {
  const Model model = sample_model();
  const System system = three_tiers();
  const ExpertsWork& experts = verified(plan_on(system, model));
  const Work work = run(system, experts.at(4, 1, {0.25, 0.75})).work;
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[0].read), 1 * expert_bytes(model));
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[1].read), 3 * expert_bytes(model));
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[2].read), 1 * expert_bytes(model));
  const Work all_near = run(system, experts.at(4, 1)).work;
  EXPECT_DOUBLE_EQ(all_near.amount(system.tiers[0].read), 4 * expert_bytes(model));
  EXPECT_EQ(all_near.amount(system.tiers[1].read), 0);
}

TEST(Tiers, WhatIsFetchedIsWrittenNearAndReadThere) {
  const Model model = sample_model();
  const System system = three_tiers(0.004, 1, "[miss]\n" + row("fetch", 1, "share"));
  const Work work = run(system, verified(plan_on(system, model)).at(2, 1, {0, 1})).work;
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[1].read), 2 * expert_bytes(model));
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[2].read), expert_bytes(model));
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[0].written), 3 * expert_bytes(model));
  EXPECT_DOUBLE_EQ(work.amount(system.tiers[0].read), 3 * expert_bytes(model));
}

TEST(Tiers, SharesComeFromTheSameWalksWithSmallerCaches) {
  const Model model = sample_model();
  Workload workload = sample_workload(0, {3, 0}, 1, 1);
  workload.classes.push_back({2, 3, one_group({{{3, 1}, 4}, {{1, 3}, 4}}), {}, {0}});
  Workload smaller = workload;
  smaller.classes.front().verify = one_group({{{1, 3}, 4}, {{0, 4}, 4}});
  add_nearer_tiers(workload, {});
  EXPECT_TRUE(workload.hits_by_tier.empty());
  add_nearer_tiers(workload, {smaller});
  EXPECT_EQ(workload.hits_by_tier, (std::vector<double>{0.25, 0.75}));
  const System system = three_tiers();
  const Projection projection = project_held(system, autoregressive(), model, kContext, workload, 8);
  EXPECT_TRUE(projection.lower_bound);
  const double experts = 2 * expert_bytes(model);  // of both layers; a pass finds 0.5 near, 1.5 between, 2 far
  EXPECT_NEAR(projection.breakdown.at("bytes.near"), 0.5 * experts, 1e-6);
  EXPECT_NEAR(projection.breakdown.at("bytes.far"), 2 * experts, 1e-6);
}

TEST(Tiers, MachinesWhoseUnitDoesNotSeeATierAreRefused) {
  const std::string rest = store_of("near", 1, 1, 1) + store_of("between", 1, 1, 1) + store_of("far", 1, 1, 1);
  const std::string tiers = "[system]\ntiers = [\"near\", \"between\", \"far\"]\nunits = [\"gpu\"]\n";
  EXPECT_THAT(error_of([&] { system_of(tiers + unit_of("gpu", "\"near\", \"far\"", 1) + rest); }),
              HasSubstr("the tier between"));
  EXPECT_THAT(
      error_of([&] {
        system_of(tiers + "dense_weights = \"middle\"\n" + unit_of("gpu", "\"near\", \"between\", \"far\"", 1) + rest);
      }),
      HasSubstr("one of the tiers"));
}

// ---- drafts of their own

TEST(MtpScheme, AStepReadsOneLayerItsExpertsAndTheHead) {
  const Model model = read_model("qwen3-30b-a3b");
  const System system = read_system("elmoe3d-8gb");
  const Serving serving{1024, 1, 3, 8};
  const Scheme mtp = find_scheme("mtp");
  const Placement placement = place(system, mtp, model, serving, 48);
  const Plan plan = mtp.plan(system, model, serving, placement);
  const LayerKind& layer = model.layers.front();
  const double dense = (weights(layer.mixer.matrices) + weights(layer.dense) + 2 * model.hidden * model.hidden +
                        model.lm_head().weights()) *
                       8.5 / 8;
  const double context = 1024 * layer.mixer.bytes_per_position;
  const Done step = at_means(system, model, *find_repeated(plan.round), {0, 0, 3, 5});
  EXPECT_NEAR(system.amount(step.work, "hb"), dense + context + 8 * expert_bytes(model), 1);
  EXPECT_EQ(system.amount(step.work, "ext"), 0);
  EXPECT_NEAR(placement.bytes("draft module"),
              dense - model.lm_head().weights() * 8.5 / 8 + model.experts * expert_bytes(model), 1);
  const Scheme trimmed = with_constants(mtp, with_value(mtp.preset, "head.share", 0.25));
  const Plan less = trimmed.plan(system, model, serving, placement);
  EXPECT_NEAR(system.amount(at_means(system, model, *find_repeated(less.round), {0, 0, 3, 5}).work, "hb"),
              system.amount(step.work, "hb") - 0.75 * model.lm_head().weights() * 8.5 / 8, 4096);
}

TEST(BlockScheme, OnePassGivesAllTokens) {
  const Model model = read_model("qwen3-30b-a3b");
  const System system = read_system("elmoe3d-8gb");
  const auto drafted = [&](std::uint32_t depth) {
    const Serving serving{1024, 1, depth, 8};
    const Scheme block = find_scheme("block");
    const Plan plan = block.plan(system, model, serving, place(system, block, model, serving, 48));
    return at_means(system, model, *find_repeated(plan.round), {}).work;
  };
  EXPECT_EQ(drafted(7).amount(system.tiers[0].read), drafted(1).amount(system.tiers[0].read));
  EXPECT_NEAR(drafted(7).amount(0), 7 * drafted(1).amount(0), 1e-6 * drafted(7).amount(0));
}

// ---- a second device that drafts

System two_devices(double prefix, double reuse) {
  return make_system(with_value(with_value(read_preset(find_preset("systems", "gpu-npu")), "drafting.prefix", prefix),
                                "drafting.reuse", reuse));
}

struct RoundTimes {
  double draft, crossing, verify, round;
};

RoundTimes times_on(const System& system, std::uint32_t depth) {
  const Model model = read_model("qwen3-30b-a3b");
  const Scheme slm = find_scheme("slm");
  const MeanCounts counts{0, 20, 0, 0};
  const auto seconds = [&](std::uint32_t drafted) {
    const Serving serving{1024, 1, drafted, 8};
    return at_means(system, model, slm.plan(system, model, serving, place(system, slm, model, serving, 48)).round,
                    counts)
        .seconds;
  };
  const Serving serving{1024, 1, depth, 8};
  const Plan plan = slm.plan(system, model, serving, place(system, slm, model, serving, 48));
  return {depth * run(system, find_part(plan.round, RoundPart::draft_drafter)->task).seconds,
          run(system, find_part(plan.round, RoundPart::verify_link)->task).seconds, seconds(0), seconds(depth)};
}

TEST(DraftDevice, RoundsFollowEachOtherOrHideBesideTheSuffix) {
  for (const std::uint32_t depth : {1U, 3U, 20U}) {
    const RoundTimes serial = times_on(two_devices(1, 1), depth);
    EXPECT_NEAR(serial.round, serial.draft + 2 * serial.crossing + serial.verify, 1e-12);
    for (const double prefix : {0.25, 0.5}) {
      for (const double reuse : {0.0, 0.6, 1.0}) {
        const RoundTimes own = times_on(two_devices(prefix, reuse), depth);
        const double hidden = std::max((1 - prefix) * own.verify, own.draft);
        EXPECT_NEAR(own.round, prefix * own.verify + hidden + 2 * own.crossing + (1 - reuse) * own.draft,
                    1e-9 * own.round);
      }
    }
  }
}

TEST(DraftDevice, HoldsTheDrafterInMemoryOfItsOwn) {
  const Model model = read_model("qwen3-30b-a3b");
  const Scheme slm = find_scheme("slm");
  const Serving serving{1024, 1, 3, 8};
  const System apart = two_devices(0.5, 1);
  System together = apart;
  together.draft_device.reset();
  const double bytes = together.tiers[0].capacity_bytes;
  EXPECT_GT(place(apart, slm, model, serving, 48).home_free_bytes,
            place(together, slm, model, serving, 48).home_free_bytes);
  EXPECT_LT(place(apart, slm, model, serving, 48).home_free_bytes, bytes);
  const System small = make_system(with_value(apart.preset, "lpddr.capacity", 1));
  EXPECT_THAT(error_of([&] { place(small, slm, model, serving, 48); }), HasSubstr("the drafter's 1.9"));
  EXPECT_THAT(error_of([&] { two_devices(1, 0.5); }), HasSubstr("drafting.reuse"));
}

// ---- machines drawn at random

/// One to four tiers, dense weights in any of them, a second device that drafts or not, in numbers of any size that the
/// sample model fits into.
class RandomTiers {
 public:
  explicit RandomTiers(std::uint32_t seed) : random_(seed) {
    const int tiers = 1 + static_cast<int>(random_() % 4);
    const bool drafting = chance(0.5);
    std::string names, stores;
    for (int t = 0; t < tiers; ++t) {
      names += fmt::format("{}\"t{}\"", t == 0 ? "" : ", ", t);
      stores += store_of(fmt::format("t{}", t), t + 1 == tiers ? 1e3 : 0.03 + part(), rate(), rate());
    }
    const auto dense = random_() % (tiers + 1);
    text = fmt::format("[system]\ntiers = [{}]\nunits = [\"gpu\"{}]\n", names, drafting ? ", \"npu\"" : "");
    if (tiers > 1)
      text += fmt::format("dense_weights = \"{}\"\n",
                          dense == static_cast<unsigned>(tiers) ? "spill" : fmt::format("t{}", dense));
    text += unit_of("gpu", names, rate()) + stores;
    if (tiers > 1 && chance(0.5)) {
      const double fetch = part();
      text += "[miss]\n" + row("fetch", fetch, "share") + row("in_place", 1 - fetch, "share");
    }
    if (!drafting) return;
    const double prefix = chance(0.3) ? 1 : part();
    text += unit_of("npu", "", rate()) + store_of("own", 1e5, rate(), rate()) + "[bus]\nkind = \"link\"\n" +
            row("bandwidth", rate(), "MB/s") + row("efficiency", 1, "share") + row("energy", rate(), "pJ/bit") +
            "[drafting]\nunit = \"npu\"\nstore = \"own\"\nlink = \"bus\"\n" + row("prefix", prefix, "share") +
            row("reuse", prefix == 1 ? 1 : part(), "share");
  }
  std::string text;
  double part() { return std::uniform_real_distribution<double>(0.01, 0.99)(random_); }

 private:
  bool chance(double probability) { return part() < probability; }
  double rate() { return std::pow(10, std::uniform_real_distribution<double>(1, 4)(random_)); }
  std::mt19937 random_;
};

struct RandomRound {
  System system;
  Model model = sample_model();
  Scheme scheme = find_scheme("eagle");
  Serving serving{kContext, kBatch, 2, 8};
  MeanCounts counts{};
  Plan plan{};

  RandomRound(System on, std::uint32_t seed) : system(std::move(on)) {
    std::mt19937 random(seed);
    counts.misses = 1 + seed % 2;
    if (system.has_cache()) {
      counts.hits = 1;
      double left = 1;
      for (std::size_t t = 0; t + 1 < system.home(); ++t) {
        counts.hits_by_tier.push_back(left * std::uniform_real_distribution<double>(0, 1)(random));
        left -= counts.hits_by_tier.back();
      }
      if (system.home() > 1) counts.hits_by_tier.push_back(left);
    }
    plan = scheme.plan(system, model, serving, place(system, scheme, model, serving, model.moe_layers));
  }
  Done done() const { return at_means(system, model, plan.round, counts); }
  Done with(const std::string& key, double factor) const {
    RandomRound other = *this;
    other.system = make_system(scaled(system.preset, key, factor));
    other.plan = scheme.plan(other.system, model, serving, place(system, scheme, model, serving, model.moe_layers));
    return other.done();
  }
};

void for_each_round(const std::function<void(const RandomRound&)>& check) {
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    const RandomTiers machine(seed);
    SCOPED_TRACE(fmt::format("machine {}\n{}", seed, machine.text));
    check(RandomRound(system_of(machine.text), seed));
    if (testing::Test::HasFailure()) return;
  }
}

TEST(RandomTiers, NoTimeBeatsARoofAndEveryByteIsReadOnce) {
  for_each_round([](const RandomRound& round) {
    const Done done = round.done();
    const System& system = round.system;
    double joules = system.watts() * done.seconds;
    for (std::size_t r = 0; r < system.resources.size(); ++r) {
      EXPECT_GE(done.seconds * (1 + 1e-9), resource_seconds(system, done.work, r)) << r;
      joules += done.work.amount(r) * system.resources[r].joules_per;
    }
    EXPECT_NEAR(joules_of(system, done.work, done.seconds), joules, 1e-9 * joules);
    const Model& model = round.model;
    const double fetched = system.has_cache() ? system.misses.fetch : 0, hits = round.counts.hits;
    double away = round.counts.misses;
    for (std::size_t t = 1; t < round.counts.hits_by_tier.size(); ++t) away += round.counts.hits_by_tier[t] * hits;
    const double experts = model.moe_layers * expert_bytes(model) * (hits + round.counts.misses + fetched * away);
    const double verify = dense_bytes(model) + kBatch * kContext * kv_bytes_per_token(model) + experts;
    const Part& draft = *find_part(round.plan.round, RoundPart::draft_drafter);
    const double step = bytes_read(system, run(system, draft.task).work);
    const double again = system.draft_device ? 2 - system.draft_device->reuse : 1;  // drafted anew where not of use
    EXPECT_NEAR(bytes_read(system, done.work), verify + again * round.serving.depth * step,
                1e-9 * (verify + again * round.serving.depth * step));
  });
}

TEST(RandomTiers, FasterIsNeverSlowerAndCostlierNeverCheaper) {
  for_each_round([](const RandomRound& round) {
    const Done done = round.done();
    const double joules = joules_of(round.system, done.work, done.seconds);
    for (const Constant& constant : round.system.preset.constants) {
      const std::string& key = constant.key;
      const auto ends = [&](std::string_view end) { return key.size() > end.size() && key.ends_with(end); };
      if (ends(".bandwidth") || ends(".throughput")) {
        EXPECT_LE(round.with(key, 2).seconds, done.seconds * (1 + 1e-12)) << key;
      } else if (ends(".energy")) {
        System costlier = make_system(scaled(round.system.preset, key, 2));
        EXPECT_GE(joules_of(costlier, done.work, done.seconds), joules * (1 - 1e-12)) << key;
      }
    }
    if (round.system.draft_device && round.system.draft_device->prefix < 1) {
      EXPECT_LE(round.done().seconds, round.with("drafting.reuse", 0.5).seconds * (1 + 1e-12));
    }
  });
}

}  // namespace
}  // namespace moecarlo::hw
