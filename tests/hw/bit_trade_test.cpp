#include "hw/study/bit_trade.hpp"

#include <gmock/gmock.h>

#include <cmath>

#include "host/weights/count_slices.hpp"
#include "hw/schemes/bit_slices.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

constexpr std::uint32_t kContext = 1024, kBatch = 4;
constexpr double kDenseBytes = 1.29e9;  // of GPT-OSS-20B in 8.5 bits, as published to three digits

Serving drafting_at(std::uint32_t bits) {
  return {kContext, kBatch, 2, bits};
}

BitTrade trade_of(const Scheme& scheme, const System& system, const Model& model, std::uint32_t bits,
                  const MeanCounts& counts = {}) {
  const Serving serving = drafting_at(bits);
  return draft_sizes(system, scheme, model, serving, place(system, scheme, model, serving, model.moe_layers), counts);
}

TEST(BitTrade, a_draft_of_four_bits_reads_four_and_a_half_of_eight_and_a_half_bits_of_an_expert) {
  const Model model = read_model("gpt-oss-20b-int8");
  for (const char* system : {"elmoe3d-4gb", "elmoe3d-8gb"}) {
    for (const std::uint32_t bits : {2U, 3U, 4U, 5U, 6U, 8U}) {
      const BitTrade trade = trade_of(elastic(), read_system(system), model, bits);
      EXPECT_DOUBLE_EQ(trade.draft_bits, bits + 0.5) << system;
      EXPECT_DOUBLE_EQ(trade.whole_bits, 8.5) << system;
    }
  }
}

TEST(BitTrade, a_draft_of_mxfp4_experts_reads_them_whole_at_every_number_of_bits) {
  for (const std::uint32_t bits : {2U, 4U, 6U}) {
    const BitTrade trade = trade_of(elastic(), read_system("elmoe3d-8gb"), read_model("gpt-oss-20b"), bits);
    EXPECT_DOUBLE_EQ(trade.draft_bits, 4.25);
    EXPECT_DOUBLE_EQ(trade.whole_bits, 4.25);
  }
}

TEST(BitTrade, at_equal_bytes_capacity_times_bytes_of_a_slice_is_constant_up_to_one_slice) {
  const Model model = read_model("gpt-oss-20b-int8");
  for (const char* system : {"elmoe3d-4gb", "elmoe3d-8gb"}) {
    const double room = trade_of(elastic(), read_system(system), model, 4).room_bytes;
    for (const std::uint32_t bits : {2U, 3U, 4U, 5U, 6U}) {
      const BitTrade trade = trade_of(elastic(), read_system(system), model, bits);
      EXPECT_EQ(trade.room_bytes, room);
      EXPECT_NEAR(trade.slot_bytes, 3 * 2880.0 * 2880.0 * (bits + 0.5) / 8, 1);
      EXPECT_LE(trade.slots * trade.slot_bytes, room);
      const bool holds_all = trade.slots == 32 * 24;
      EXPECT_TRUE(holds_all || (trade.slots + 1) * trade.slot_bytes > room) << system << " " << bits;
    }
  }
}

TEST(BitTrade, a_draft_step_reads_cut_dense_weights_the_kv_cache_and_the_residents_that_it_touches) {
  const Model model = read_model("gpt-oss-20b-int8");
  const MeanCounts counts{0, 0, 6.25, 0};
  const BitTrade trade = trade_of(elastic(), read_system("elmoe3d-8gb"), model, 4, counts);
  const double expert = 3 * 2880.0 * 2880.0 * 4.5 / 8, cache = 49.152e3 * kContext * kBatch;
  EXPECT_NEAR(trade.step_expert_bytes, 24 * 6.25 * expert, 1);
  EXPECT_NEAR(trade.step_bytes, trade.step_expert_bytes + kDenseBytes * 4.5 / 8.5 + cache, 0.01 * kDenseBytes);
}

TEST(BitTrade, an_unrestricted_draft_reads_upper_bits_of_misses_too) {
  const Model model = read_model("gpt-oss-20b-int8");
  const BitTrade trade = trade_of(speq(), read_system("elmoe3d-8gb"), model, 4, {0, 0, 3, 2});
  EXPECT_NEAR(trade.step_expert_bytes, 24 * 5 * 3 * 2880.0 * 2880.0 * 4.5 / 8, 1);
}

TEST(BitTrade, measured_slices_are_read_as_they_are_coded) {
  const Model model = read_model("gpt-oss-20b-int8");
  WeightMatrix matrix{8, 64, {}, {}};
  for (std::size_t i = 0; i < 512; ++i) matrix.weights.push_back(static_cast<std::int8_t>(i % 2 == 0 ? 7 : -9));
  matrix.scales.assign(16, 0x2000);
  const BitSlices slices{"", "",
                         std::make_shared<const WeightFigures>(figures_of(sums_of(count_slices(matrix, 0, 2)), {4}))};
  const Model own = measured(model, slices);
  const BitTrade trade = trade_of(on_measured_slices(elastic(), own), read_system("elmoe3d-8gb"), model, 4);
  EXPECT_DOUBLE_EQ(trade.draft_bits, own.expert_format.stored_bits(4));
  EXPECT_DOUBLE_EQ(trade.whole_bits, own.expert_format.stored_bits());
}

TEST(BitTrade, acceptance_is_what_a_round_yields_beyond_one_token_a_request_over_the_depth) {
  Quantity tokens;
  tokens.value = 6;
  tokens.influence = {0.5, -0.5};
  tokens.replicates = {6.4, 5.6};
  tokens.halves = {6.8, 6.0, 5.2, 6.0};
  const Quantity acceptance = acceptance_of(tokens, 4, 2);
  EXPECT_DOUBLE_EQ(acceptance.value, 0.25);
  EXPECT_THAT(acceptance.influence, testing::ElementsAre(0.0625, -0.0625));
  EXPECT_THAT(acceptance.replicates, testing::Pointwise(testing::DoubleEq(), {0.3, 0.2}));
  EXPECT_THAT(acceptance.halves, testing::Pointwise(testing::DoubleEq(), {0.35, 0.25, 0.15, 0.25}));
}

/// A speed of sixteen groups, each off by a share of it.
Quantity speed(double value, double share) {
  Quantity speed;
  speed.value = value;
  for (int group = 0; group < 16; ++group) speed.influence.push_back((group % 2 == 0 ? 1 : -1) * share * value);
  return speed;
}

TEST(BitTrade, the_lead_of_a_lines_fastest_is_estimated_pairwise) {
  BitTrade row;
  row.system = "one";
  std::vector<BitTrade> trades(4, row);
  trades[3].system = "other";
  const Sampling sampling = Sampling::random({16, 0, 0}, true);
  // The second varies almost as the fastest does, the first the other way.
  add_line_leads(sampling, {speed(80, -0.01), speed(90, 0.0101), speed(100, 0.01), speed(50, 0.01)}, trades);
  EXPECT_FALSE(trades[0].fastest);
  EXPECT_TRUE(trades[2].fastest);
  EXPECT_TRUE(trades[3].fastest);
  EXPECT_DOUBLE_EQ(trades[0].lead.value, 1.25);
  EXPECT_NEAR(*trades[0].lead.mc_half_width, 2.1314 * 1.25 * 0.02 / std::sqrt(15), 1e-5);  // Student t, 15 degrees
  EXPECT_NEAR(*trades[1].lead.mc_half_width, 2.1314 * 100 / 90.0 * 0.0001 / std::sqrt(15), 1e-7);
  EXPECT_DOUBLE_EQ(trades[2].lead.value, 1);
  EXPECT_TRUE(trades[2].lead.mc_half_width.is_exact());
}

TEST(BitTrade, lines_of_different_alpha_have_a_fastest_each) {
  std::vector<BitTrade> trades(4);
  for (std::size_t i = 0; i < trades.size(); ++i) trades[i].alpha = i < 2 ? 0.5 : 0.9;
  add_line_leads(Sampling::random({16, 0, 0}, true), {speed(80, 0), speed(90, 0), speed(200, 0), speed(100, 0)},
                 trades);
  for (std::size_t i = 0; i < trades.size(); ++i) EXPECT_EQ(trades[i].fastest, i == 1 || i == 2);
}

TEST(BitTrade, lines_of_different_demands_have_a_fastest_each) {
  std::vector<BitTrade> trades(4);
  for (std::size_t i = 0; i < trades.size(); ++i) trades[i].demand = i < 2 ? "all" : "threshold(0.1)";
  add_line_leads(Sampling::random({16, 0, 0}, true), {speed(80, 0), speed(90, 0), speed(200, 0), speed(100, 0)},
                 trades);
  for (std::size_t i = 0; i < trades.size(); ++i) EXPECT_EQ(trades[i].fastest, i == 1 || i == 2);
}

TEST(BitTrade, bits_that_cut_nothing_are_named) {
  const std::vector<std::uint32_t> bits{2, 4, 8};
  EXPECT_THAT(uncut_note(read_model("gpt-oss-20b"), bits),
              HasSubstr("Bits 2, 4, 8 cut nothing from the experts of gpt-oss-20b, which have 4 bits and are moved "
                        "whole: such a draft holds and reads 4.25 of 4.25 bits"));
  EXPECT_THAT(uncut_note(read_model("gpt-oss-20b-int8"), bits), HasSubstr("Bits 8 cut nothing"));
  EXPECT_EQ(uncut_note(read_model("gpt-oss-20b-int8"), {bits.data(), 2}), "");
}

}  // namespace
}  // namespace moecarlo::hw
