// Hand examples of systems that share this workload, each from its paper's own rule.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "hw/machine/expert_split.hpp"
#include "hw/machine/task.hpp"
#include "hw/model/model.hpp"
#include "hw/plan/mean_time.hpp"
#include "hw/reproduce/flash_tiles.hpp"
#include "hw/reproduce/model_switching.hpp"
#include "hw/reproduce/reproductions.hpp"
#include "hw/reproduce/round_times.hpp"
#include "hw/schemes/scheme.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

// ---- SN40L (arXiv 2405.07518): models in tiers

TEST(Sn40l, ModelsAreFoundInTheSmallerCacheTheLargerOrAtHome) {
  // Stack distances of a b c a b d a: none none none 3 3 none 3.
  const NestedUses found = nested_uses("abcabda", 2, 4);
  EXPECT_EQ(found.near, 0U);
  EXPECT_EQ(found.far, 3U);
  EXPECT_EQ(found.home, 4U);
  EXPECT_EQ(nested_uses("abcabda", 3, 4).near, 3U);
  EXPECT_EQ(nested_uses("aabb", 1, 1).near, 2U);
}

TEST(Sn40l, SwitchingIsTheRatioOfThePathsFromHome) {
  const double bytes = 13.5e9, own = switch_seconds(read_system("sn40l-node"), bytes);
  EXPECT_NEAR(switch_seconds(read_system("dgx-h100"), bytes) / own, 15.625, 1e-9);
  EXPECT_NEAR(switch_seconds(read_system("dgx-a100"), bytes) / own, 31.25, 1e-9);
}

// ---- Cambricon-LLM (arXiv 2409.15654): cores in flash

FlashArray cambricon_array(double channels, double chips) {
  FlashArray array;
  array.channels = channels;
  array.cores_per_channel = 2 * chips;
  array.page_bytes = 16384;
  array.page_seconds = 30e-6;
  array.channel_bytes = 1e9;
  return array;
}

TEST(Cambricon, TilesOfTwoChannelsOfFourCoresByHand) {
  FlashArray array;
  array.channels = 2;
  array.cores_per_channel = 4;
  array.page_bytes = 16;
  array.page_seconds = array.channel_bytes = 1;
  const FlashTiles tiles = flash_tiles(array);
  EXPECT_DOUBLE_EQ(tiles.rows, 8);
  EXPECT_DOUBLE_EQ(tiles.columns, 16);
  EXPECT_DOUBLE_EQ(tiles.moved_bytes, 32);
}

TEST(Cambricon, SizesSharesAndRatesOfThePrintedMachines) {
  const FlashTiles s = flash_tiles(cambricon_array(8, 2));
  EXPECT_DOUBLE_EQ(s.rows, 256);  // as printed
  EXPECT_DOUBLE_EQ(s.columns, 2048);
  const double shares[] = {0.688, 0.816, 0.899}, rates[] = {25.2, 84.7, 305.8};
  for (int size = 0; size < 3; ++size) {
    const FlashTiles tiles = flash_tiles(cambricon_array(8 << size, 2 << size));
    EXPECT_NEAR(tiles.share_inside, shares[size], 5e-4);
    EXPECT_NEAR(tiles.bytes() / 1e9, rates[size], 0.05);
    // Both ends together: the share that each takes is that of its rate.
    EXPECT_NEAR(tiles.share_inside, tiles.inside_bytes / tiles.bytes(), 1e-12);
  }
}

TEST(Cambricon, TilesMoveTheFewestActivations) {
  // Every other division of the same tile moves more: H x W / channels is what the cores of a channel hold.
  const FlashArray array = cambricon_array(8, 2);
  const double weights = array.cores_per_channel * array.page_bytes, best = flash_tiles(array).moved_bytes;
  for (double rows = 1; rows <= weights; rows *= 2) {
    EXPECT_GE(array.channels * (rows + weights / rows), best);
  }
}

TEST(Cambricon, PresetsHoldWhatTheTilesGive) {
  const char* names[] = {"cambricon-s", "cambricon-m", "cambricon-l"};
  for (int size = 0; size < 3; ++size) {
    const FlashTiles tiles = flash_tiles(cambricon_array(8 << size, 2 << size));
    const System system = read_system(names[size]);
    const Resource& channels = system.resources[system.tiers.back().read];
    const Resource& inside = system.resources[system.units[1].paths.back().front()];
    EXPECT_NEAR(1 / channels.seconds_per, tiles.outside_bytes, 1e-5 * tiles.outside_bytes);
    EXPECT_NEAR(1 / inside.seconds_per, tiles.inside_bytes, 1e-5 * tiles.inside_bytes);
  }
}

TEST(Cambricon, SplitByBalanceIsTheClosedForm) {
  const System system = read_system("cambricon-l");
  const double bytes = 1e9, inside = system.resources[system.units[1].paths.back().front()].seconds_per;
  const double outside = system.resources[system.tiers.back().read].seconds_per;
  const Done done = run(system, read_shared(system, system.home(), bytes, 1));
  EXPECT_NEAR(done.seconds, bytes / (1 / inside + 1 / outside), 1e-12);
  EXPECT_NEAR(done.work.amount(system.tiers.back().read) / bytes, inside / (inside + outside), 1e-12);
}

// ---- Duplex (arXiv 2409.01141): experts shared by their tokens

double xpu_seconds(double) {
  return 8;
}
double pim_seconds(double tokens) {
  return std::max(2.0, tokens);
}

TEST(Duplex, ExpertsWithTheFewestTokensMoveWhileTheLongerTimeFalls) {
  const ExpertSplit split = split_by_tokens({10, 1, 3, 2}, xpu_seconds, pim_seconds);
  EXPECT_EQ(split.moved, 3U);
  EXPECT_DOUBLE_EQ(split.first, 8);
  EXPECT_DOUBLE_EQ(split.second, 7);
  EXPECT_DOUBLE_EQ(split.seconds(), 8);
  EXPECT_DOUBLE_EQ(split_by_tokens({10}, xpu_seconds, pim_seconds).seconds(), 8);  // it would take 10 there
  EXPECT_DOUBLE_EQ(split_by_tokens(
                       {1, 2, 3, 10}, [](double) { return 1e9; }, pim_seconds)
                       .seconds(),
                   17);  // all four
  EXPECT_EQ(split_by_tokens({}, xpu_seconds, pim_seconds).seconds(), 0);
}

TEST(Duplex, NoSplitByNumberOfTokensEndsEarlier) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<double> tokens(1 + random() % 12);
    for (double& n : tokens) n = 1 + random() % 20;
    const double xpu = 1 + random() % 9, floor = 1 + random() % 5;
    const auto first = [&](double) { return xpu; };
    const auto second = [&](double n) { return std::max(floor, n); };
    std::vector<double> sorted = tokens;
    std::sort(sorted.begin(), sorted.end());
    double best = xpu * sorted.size(), there = 0;
    for (std::size_t moved = 1; moved <= sorted.size(); ++moved) {
      there += second(sorted[moved - 1]);
      best = std::min(best, std::max(xpu * (sorted.size() - moved), there));
    }
    EXPECT_DOUBLE_EQ(split_by_tokens(tokens, first, second).seconds(), best);
  }
}

TEST(Duplex, TokensOfAnExpertAreBinomialAndTheirMiddleKeepsTheMean) {
  const std::vector<double> law = binomial(4, 0.5);
  const double sixteenths[] = {1, 4, 6, 4, 1};
  for (std::size_t n = 0; n <= 4; ++n) EXPECT_NEAR(law[n], sixteenths[n] / 16, 1e-12);
  EXPECT_EQ(binomial(3, 1).back(), 1);
  const std::vector<double> middle = mean_tokens_per_expert(64, 2, 512);
  EXPECT_TRUE(std::is_sorted(middle.begin(), middle.end()));
  EXPECT_NEAR(std::accumulate(middle.begin(), middle.end(), 0.0) / 64, 16, 0.1);
}

/// Tokens of each touched expert where so many tokens each choose two of so many experts, all as likely.
std::vector<double> drawn_tokens(std::mt19937& random, std::size_t experts, std::size_t tokens) {
  std::vector<double> counts(experts, 0);
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::size_t first = random() % experts, second = random() % (experts - 1);
    ++counts[first];
    ++counts[second < first ? second : second + 1];
  }
  std::erase(counts, 0.0);
  return counts;
}

TEST(Duplex, TheMiddleOfTheTokensStandsInForEachPassWithinAFewPercent) {
  std::mt19937 random(7);
  double worst = 0;
  for (const auto& [experts, tokens] : {std::pair{8, 16}, std::pair{8, 64}, std::pair{64, 64}, std::pair{64, 512}}) {
    const double ridge = 2.0 * tokens / experts;  // where the second unit is as fast as the first
    const auto first = [](double) { return 1.0; };
    const auto second = [&](double n) { return std::max(0.25, n / ridge); };
    double each = 0;
    constexpr int passes = 2000;
    for (int pass = 0; pass < passes; ++pass)
      each += split_by_tokens(drawn_tokens(random, experts, tokens), first, second).seconds() / passes;
    const double middle = split_by_tokens(mean_tokens_per_expert(experts, 2, tokens), first, second).seconds();
    worst = std::max(worst, std::abs(middle / each - 1));
  }
  RecordProperty("error_of_the_middle", std::to_string(worst));
  EXPECT_LT(worst, 0.08) << worst;
}

// ---- Dovetail (arXiv 2412.18934) and Mirror-SD (arXiv 2510.13161): two devices

TEST(Dovetail, DraftThenVerification) {
  TwoDeviceRound round;
  round.draft_steps = 5;
  round.draft_step = 8e-3;
  round.verification = 200e-3 * (1 + 0.02 * 16);
  EXPECT_NEAR(round.verification, 264e-3, 1e-15);
  EXPECT_NEAR(stated_seconds(serial_round(round)), 304e-3, 1e-15);
  EXPECT_NEAR(speed_up(4, 200e-3, stated_seconds(serial_round(round))), 800.0 / 304, 1e-12);  // 2.63
}

TwoDeviceRound mirror_example() {
  TwoDeviceRound round;
  round.draft_steps = 5;
  round.draft_step = 4e-3;
  round.verification = 40 * 0.5e-3;
  round.prefix = 20.0 / 40;
  return round;
}

TEST(MirrorSd, DraftHidesBesideTheSuffix) {
  TwoDeviceRound round = mirror_example();
  EXPECT_NEAR(stated_seconds(serial_round(round)), 40e-3, 1e-15);
  round.link = 0.05e-3;
  EXPECT_NEAR(stated_seconds(mirrored_round(round, 1)), 30.1e-3, 1e-15);
  round.tokens_per_step = 2;  // three steps of 4 ms
  EXPECT_NEAR(stated_seconds(mirrored_round(round, 1)), 22.1e-3, 1e-15);
}

TEST(MirrorSd, WhatIsNotReusedIsDraftedAgain) {
  TwoDeviceRound round = mirror_example();
  const double reused = stated_seconds(mirrored_round(round, 1));
  for (const double reuse : {0.0, 0.25, 0.8}) {
    EXPECT_NEAR(stated_seconds(mirrored_round(round, reuse)), reused + (1 - reuse) * serial_draft(round), 1e-15);
  }
  round.draft_step = 1.9e-3;  // shorter than the suffix: hidden whole
  EXPECT_NEAR(stated_seconds(mirrored_round(round, 1)), 20e-3, 1e-15);
}

// ---- PIM-GPT (arXiv 2310.09385): everything in banks

TEST(PimGpt, WeightsOverTheBanksRate) {
  const System system = read_system("pim-gpt");
  const double bytes = 2 * 1.3e9;
  EXPECT_NEAR(bytes / 4.1e12 * 1e3, 0.634, 5e-4);
  EXPECT_NEAR(seconds_of(system, read(system, system.units.front(), system.home(), bytes)) * 1e3, 0.642, 1e-3);
}

// ---- dense models and layers at home

TEST(DenseModel, ParametersAreThoseOfItsName) {
  for (const auto& [name, billions] : {std::pair{"opt-6.7b", 6.65},
                                       std::pair{"opt-13b", 12.8},
                                       std::pair{"opt-30b", 30.0},
                                       std::pair{"opt-66b", 65.7},
                                       std::pair{"llama2-7b", 6.74},
                                       std::pair{"llama2-70b", 69.0},
                                       std::pair{"llama-3.1-8b", 8.03},
                                       std::pair{"llama-3.1-70b", 70.6},
                                       std::pair{"falcon-7b", 6.92},
                                       std::pair{"persimmon-8b", 9.4},
                                       std::pair{"phi-2", 2.78},
                                       std::pair{"qwen3-14b", 14.8},
                                       std::pair{"qwen3-32b", 32.8},
                                       std::pair{"gpt2-xl", 1.56},
                                       std::pair{"gpt3-xl", 1.31},
                                       std::pair{"mixtral-8x7b", 46.7},
                                       std::pair{"glam", 143.0},
                                       std::pair{"grok-1", 314.0},
                                       std::pair{"olmoe-1b-7b", 6.92},
                                       std::pair{"qwen1.5-moe-a2.7b", 14.3},
                                       std::pair{"mistral-small-24b", 23.6}}) {
    EXPECT_NEAR(total_parameters(read_model(name)) / 1e9, billions, 0.012 * billions) << name;
  }
}

TEST(DenseModel, AStepReadsItsWeightsAndContextAndNoExpert) {
  const Model model = read_model("llama2-7b");
  const System system = read_system("a100");
  const Placement placement = place(system, autoregressive(), model, {1000, 2, 0, 8}, model.moe_layers);
  const Plan plan = autoregressive().plan(system, model, {1000, 2, 0, 8}, placement);
  const Done done = at_means(system, model, plan.round, {});
  EXPECT_NEAR(bytes_read(system, done.work), dense_bytes(model) + 2 * request_bytes(model, 1000), 1);
  EXPECT_NEAR(operations_of(system, done.work) / (2 * 2 * active_parameters(model)), 1, 0.05);
  EXPECT_THAT(error_of([&] { find_scheme("eagle").items(model, {}); }), HasSubstr("draft head"));
}

TEST(DenseModel, AConfigOfTheLlamaFamilyIsWhatItsPresetSays) {
  const SampleFile file("llama.json", R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama",
    "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu", "hidden_size": 8192,
    "initializer_range": 0.02, "intermediate_size": 28672, "max_position_embeddings": 4096, "mlp_bias": false,
    "num_attention_heads": 64, "num_hidden_layers": 80, "num_key_value_heads": 8, "pretraining_tp": 1,
    "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": false,
    "torch_dtype": "float16", "use_cache": true, "vocab_size": 32000})");
  const Model config = read_model(file.path()), preset = read_model("llama2-70b");
  EXPECT_TRUE(config.is_dense());
  EXPECT_EQ(total_parameters(config), total_parameters(preset));
  EXPECT_EQ(active_parameters(config), active_parameters(preset));
  EXPECT_EQ(kv_bytes_per_token(config), kv_bytes_per_token(preset));
}

TEST(LayersAtHome, AreComputedThereInTheirShareAndCrossTheLinkOnce) {
  const Model model = make_model(
      with_value(with_value(read_preset(find_preset("models", "llama2-7b")), "dense.bits", 8), "attention.kv_bits", 8));
  const System system = read_system("dovetail-1050");
  const auto seconds = [&](double at_home) {
    TargetPass pass;
    pass.layers.layers_at_home = at_home;
    return at_means(system, model, target_pass(system, model, {0, 1, 0, 8}, pass), {});
  };
  const Done near = seconds(0), home = seconds(1), half = seconds(0.5);
  const std::uint8_t link = system.misses.link.front();
  EXPECT_EQ(near.work.amount(link), 0);
  EXPECT_EQ(home.work.amount(link), 2 * 2 * model.hidden);
  const double crossing = resource_seconds(system, home.work, link);
  EXPECT_NEAR(half.seconds - crossing, (near.seconds + home.seconds - crossing) / 2, 1e-9);
  EXPECT_NEAR(home.work.amount(system.tiers.back().read), dense_bytes(model), 1);
  EXPECT_NEAR(half.work.amount(system.tiers.front().read), dense_bytes(model) / 2, 1);
}

TEST(LayersAtHome, FillWhatIsLeftNear) {
  const Model model = read_model("llama2-7b");
  const System system = read_system("m1-max-flash");  // holds it whole
  EXPECT_EQ(place(system, autoregressive(), model, {1000, 1, 0, 8}, 1).share("dense weights"), 1);
  const System small = make_system(with_value(system.preset, "ram.capacity", 7));
  const Placement placement = place(small, autoregressive(), model, {1000, 1, 0, 8}, 1);
  EXPECT_NEAR(placement.bytes("dense weights"), 7e9 - request_bytes(model, 1000), 1);
  // What is not in memory is read from flash, one layer after the other.
  const Plan plan = autoregressive().plan(small, model, {1000, 1, 0, 8}, placement);
  const double home = dense_bytes(model) - placement.bytes("dense weights");
  EXPECT_GE(at_means(small, model, plan.round, {}).seconds, home / 6.1e9);
  EXPECT_NEAR(at_means(small, model, plan.round, {}).work.amount(small.tiers.back().read), home, 1);
  const System flash = read_system("cambricon-s");
  EXPECT_EQ(place(flash, autoregressive(), model, {1000, 1, 0, 8}, 1).share("dense weights"), 0);
}

}  // namespace
}  // namespace moecarlo::hw
