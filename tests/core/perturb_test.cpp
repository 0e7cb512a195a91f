#include "cuda/core/perturb_bundle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <random>
#include <set>

#include "tests/shared/chi_square.hpp"

namespace moecarlo {
namespace {

using testing::chi_square_deviate;
using testing::kLargestDeviate;
using Weights = std::vector<double>;

const std::vector<std::int32_t>& gumbel_quantiles() {
  static const std::vector<std::int32_t> table = [] {
    std::vector<std::int32_t> values;
    for (int i = 0; i < 65536; ++i) {
      values.push_back(static_cast<std::int32_t>(std::lround(-std::log(-std::log((i + 0.5) / 65536)) * 4096)));
    }
    return values;
  }();
  return table;
}

// One row with its tables, made in double and with plain lists. Real traces get theirs from host/trace.
struct Row {
  std::vector<std::int32_t> logits;
  std::vector<std::uint32_t> alias;
  std::uint32_t top_k = 0;

  Row(Weights weights, std::uint32_t k) : top_k(k) {
    const double largest = *std::max_element(weights.begin(), weights.end());
    for (double& w : weights) {
      logits.push_back(static_cast<std::int32_t>(std::lround(std::log(w / largest) * 4096)));
      w = std::exp(logits.back() / 4096.0);
    }
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    std::vector<std::uint32_t> light, heavy;
    for (std::uint32_t e = 0; e < weights.size(); ++e) {
      weights[e] *= static_cast<double>(weights.size()) / sum;
      (weights[e] < 1 ? light : heavy).push_back(e);
      alias.push_back(e);
    }
    while (!light.empty() && !heavy.empty()) {
      const std::uint32_t cell = light.back(), donor = heavy.back();
      light.pop_back();
      alias[cell] = static_cast<std::uint32_t>(weights[cell] * 4194304) << 10 | donor;
      weights[donor] -= 1 - weights[cell];
      if (weights[donor] >= 1) continue;
      heavy.pop_back();
      light.push_back(donor);
    }
  }

  PerturbView view(PerturbMethod method) const {
    return {method == PerturbMethod::alias ? alias.data() : nullptr,
            logits.data(),
            gumbel_quantiles().data(),
            static_cast<std::uint32_t>(logits.size()),
            1,
            top_k};
  }

  // The law that the row's Q12 logits define.
  Weights law_weights() const {
    Weights weights;
    for (const std::int32_t logit : logits) weights.push_back(std::exp(logit / 4096.0));
    return weights;
  }
};

// Probability of each set (as a mask) of successive sampling: all orders, one after the other.
void enumerate(const Weights& weights, std::uint32_t wanted, std::uint64_t chosen, double probability,
               std::map<std::uint64_t, double>& law) {
  if (wanted == 0) {
    law[chosen] += probability;
    return;
  }
  double open = 0;
  for (std::size_t e = 0; e < weights.size(); ++e) open += (chosen >> e & 1) != 0 ? 0 : weights[e];
  for (std::size_t e = 0; e < weights.size(); ++e) {
    if ((chosen >> e & 1) != 0) continue;
    enumerate(weights, wanted - 1, chosen | std::uint64_t{1} << e, probability * weights[e] / open, law);
  }
}

template <int Words>
ExpertMask<Words> draw_row(const PerturbView& view, std::uint32_t token, std::uint32_t layer, const DrawAddress& at) {
  return draw_routing<Words, 1>(view, token, layer, at).lane(0);
}

double set_deviate(const Row& row, PerturbMethod method, std::uint64_t draws) {
  std::map<std::uint64_t, double> law;
  enumerate(row.law_weights(), row.top_k, 0, 1, law);
  std::map<std::uint64_t, std::uint64_t> counts;
  DrawAddress at{17, Stream::main, 0, 3, 2, Purpose::start, 4};
  for (; at.trajectory < draws; ++at.trajectory) ++counts[draw_row<1>(row.view(method), 0, 0, at).word[0]];
  // Sets that are expected less than five times share a cell.
  std::vector<std::uint64_t> found{0};
  Weights expected{0};
  for (const auto& [set, probability] : law) {
    const bool rare = probability * static_cast<double>(draws) < 5;
    if (!rare) {
      found.push_back(0);
      expected.push_back(0);
    }
    (rare ? expected.front() : expected.back()) += probability;
    (rare ? found.front() : found.back()) += counts[set];
  }
  EXPECT_EQ(std::accumulate(found.begin(), found.end(), std::uint64_t{0}), draws) << "a set that cannot be";
  if (expected.front() * static_cast<double>(draws) < 5) {
    EXPECT_LT(found.front(), 30U);
    found.erase(found.begin());
    expected.erase(expected.begin());
  }
  return chi_square_deviate(found, expected);
}

class BothMethods : public ::testing::TestWithParam<PerturbMethod> {};
INSTANTIATE_TEST_SUITE_P(Perturb, BothMethods, ::testing::Values(PerturbMethod::gumbel, PerturbMethod::alias));

TEST_P(BothMethods, draw_sets_with_the_probabilities_of_successive_sampling) {
  for (const std::uint32_t top_k : {1U, 2U, 3U, 4U}) {
    EXPECT_LT(set_deviate(Row({0.4, 0.1, 0.25, 0.05, 0.2}, top_k), GetParam(), 300'000), kLargestDeviate) << top_k;
    EXPECT_LT(set_deviate(Row({1, 1, 1, 1, 1}, top_k), GetParam(), 300'000), kLargestDeviate) << top_k;
  }
}

// Experts with 98 % of the mass: 64 draws leave zero, one or two places open, each about as often.
TEST_P(BothMethods, keep_the_law_where_few_experts_hold_nearly_all_the_mass) {
  EXPECT_LT(set_deviate(Row({0.005, 0.98, 0.002, 0.009, 0.004}, 3), GetParam(), 300'000), kLargestDeviate);
  EXPECT_LT(set_deviate(Row({0.49, 0.49, 0.002, 0.012, 0.006}, 4), GetParam(), 300'000), kLargestDeviate);
}

TEST_P(BothMethods, keep_the_law_of_the_rest_where_one_expert_holds_all_but_a_millionth) {
  Weights weights = {1e-7, 2e-7, 3e-7, 1 - 1e-6, 5e-8, 1.5e-7, 1.2e-7, 8e-8};
  EXPECT_LT(set_deviate(Row(weights, 3), GetParam(), 300'000), kLargestDeviate);
}

TEST_P(BothMethods, draw_every_expert_where_k_is_their_number) {
  for (const std::uint32_t experts : {1U, 5U, 64U}) {
    Weights weights(experts);
    for (std::uint32_t e = 0; e < experts; ++e) weights[e] = std::exp(-0.3 * e);
    const Row row(weights, experts);
    EXPECT_EQ(draw_row<1>(row.view(GetParam()), 0, 0, {}).count(), experts);
  }
}

template <int Words>
void expect_known_count(PerturbMethod method, std::uint32_t experts, std::uint32_t top_k) {
  std::mt19937 random(experts);
  Weights weights(experts);
  for (double& w : weights) w = std::exp(std::normal_distribution<double>(0, 1.5)(random));
  const Row row(weights, top_k);
  DrawAddress at{1};
  for (; at.trajectory < 2000; ++at.trajectory) {
    const auto drawn = draw_row<Words>(row.view(method), 0, 0, at);
    ASSERT_EQ(drawn.count(), top_k);
    ASSERT_EQ(without(drawn, ExpertMask<Words>::first(experts)).count(), 0U);
  }
}

TEST_P(BothMethods, draw_k_distinct_experts_of_any_layer) {
  expect_known_count<1>(GetParam(), 33, 6);
  expect_known_count<2>(GetParam(), 100, 8);
  expect_known_count<4>(GetParam(), 256, 8);
  expect_known_count<8>(GetParam(), 512, 10);
  expect_known_count<16>(GetParam(), 1024, 64);
}

// Each expert's inclusions under both methods are two independent binomials; the sum of squared standard deviates is
// compared with its chi-square, with one degree of freedom less for the common total.
TEST(Perturb, both_methods_include_each_expert_equally_often) {
  constexpr std::uint32_t experts = 128, top_k = 8, draws = 60'000;
  std::mt19937 random(8);
  Weights weights(experts);
  for (double& w : weights) w = std::exp(std::normal_distribution<double>(0, 1)(random));
  const Row row(weights, top_k);
  std::array<Weights, 2> share{Weights(experts), Weights(experts)};
  for (const PerturbMethod method : {PerturbMethod::gumbel, PerturbMethod::alias}) {
    DrawAddress at{2};
    for (; at.trajectory < draws; ++at.trajectory) {
      const auto drawn = draw_row<2>(row.view(method), 0, 0, at);
      for (std::uint32_t e = 0; e < experts; ++e) {
        share[static_cast<std::size_t>(method)][e] += drawn.contains(e) ? 1.0 / draws : 0;
      }
    }
  }
  double statistic = 0;
  for (std::uint32_t e = 0; e < experts; ++e) {
    const double mean = (share[0][e] + share[1][e]) / 2;
    const double difference = share[0][e] - share[1][e];
    statistic += difference * difference * draws / (2 * mean * (1 - mean));
  }
  const double spread = 2.0 / (9.0 * (experts - 1));
  EXPECT_LT((std::cbrt(statistic / (experts - 1)) - (1 - spread)) / std::sqrt(spread), kLargestDeviate);
}

// Without noise: P(largest key) and P(smallest key) of each expert over all 65536 uniforms, ties as documented.
TEST(Perturb, the_gumbel_tables_own_law_is_within_its_resolution) {
  const Row row({0.4, 0.1, 0.25, 0.05, 0.2}, 1);
  const Weights weights = row.law_weights();
  const auto& table = gumbel_quantiles();
  std::map<std::uint64_t, double> all_but_one;
  enumerate(weights, 4, 0, 1, all_but_one);
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  const auto below = [&](std::int32_t gumbel) {
    return static_cast<double>(std::lower_bound(table.begin(), table.end(), gumbel) - table.begin()) / 65536;
  };
  for (std::size_t e = 0; e < weights.size(); ++e) {
    double largest = 0, smallest = 0;
    for (const std::int32_t gumbel : table) {
      double wins = 1, loses = 1;
      for (std::size_t other = 0; other < weights.size(); ++other) {
        if (other == e) continue;
        // A lower bit wins a tie.
        const double less = below(row.logits[e] + gumbel - row.logits[other] + (e < other ? 1 : 0));
        wins *= less;
        loses *= 1 - less;
      }
      largest += wins / 65536;
      smallest += loses / 65536;
    }
    EXPECT_NEAR(largest, weights[e] / sum, 5e-5) << e;
    EXPECT_NEAR(smallest, all_but_one[31U ^ 1U << e], 5e-5) << e;
  }
}

TEST(Perturb, equal_keys_go_to_the_lower_mask_bit) {
  const std::vector<std::int32_t> logits = {-5, -1, -5, 0, -1, -5, -1, -9};
  const std::vector<std::int32_t> no_noise(65536, 0);
  PerturbView view{nullptr, logits.data(), no_noise.data(), 8, 1, 0};
  const std::uint64_t sets[] = {0b1000, 0b1010, 0b11010, 0b1011010, 0b1011011, 0b1011111, 0b1111111, 0b11111111};
  for (view.top_k = 1; view.top_k <= 8; ++view.top_k) {
    EXPECT_EQ(draw_row<1>(view, 0, 0, {}).word[0], sets[view.top_k - 1]) << view.top_k;
  }
}

// The rule as plainly as possible: a list of words for each purpose, whole sorts.
std::set<std::uint32_t> slow_draw(const PerturbView& view, std::size_t row, DrawAddress at) {
  std::set<std::uint32_t> chosen;
  at.purpose = Purpose::perturb;
  for (std::uint32_t i = 0; view.alias != nullptr && i < 64 && chosen.size() < view.top_k; ++i) {
    const std::uint64_t scaled = std::uint64_t{at.draw(i)} * view.experts;
    const std::uint32_t entry = view.alias[row * view.experts + (scaled >> 32)];
    const std::uint64_t place = (scaled & 0xffffffffU) >> 10;
    chosen.insert(place < entry >> 10 ? static_cast<std::uint32_t>(scaled >> 32) : entry % 1024);
  }
  std::vector<std::pair<std::int32_t, std::uint32_t>> keys;  // descending key, ascending expert
  for (std::uint32_t e = 0; e < view.experts; ++e) {
    at.purpose = e < 512 ? Purpose::perturb_key : Purpose::perturb_key_high;
    const std::uint32_t word = at.draw(e % 512 / 2);
    const std::uint32_t uniform = e % 2 == 0 ? word % 65536 : word / 65536;
    keys.emplace_back(-view.logits[row * view.experts + e] - view.gumbel[uniform], e);
  }
  std::sort(keys.begin(), keys.end());
  for (const auto& [key, expert] : keys) {
    if (chosen.size() < view.top_k) chosen.insert(expert);
  }
  return chosen;
}

template <int Words>
std::set<std::uint32_t> members(const ExpertMask<Words>& mask) {
  std::set<std::uint32_t> result;
  for (std::uint32_t e = 0; e < 64 * Words; ++e) {
    if (mask.contains(e)) result.insert(e);
  }
  return result;
}

// One layer at a time and eight, which may begin anywhere.
template <int Words>
void expect_slow_result(std::uint32_t experts, std::uint32_t top_k, double spread) {
  constexpr std::uint32_t tokens = 2, layers = 10;
  std::mt19937 random(experts + top_k);
  std::vector<std::int32_t> logits;
  std::vector<std::uint32_t> alias;
  for (std::uint32_t i = 0; i < tokens * layers; ++i) {
    Weights weights(experts);
    for (double& w : weights) w = std::exp(std::normal_distribution<double>(0, spread)(random));
    const Row row(weights, top_k);
    logits.insert(logits.end(), row.logits.begin(), row.logits.end());
    alias.insert(alias.end(), row.alias.begin(), row.alias.end());
  }
  for (const bool with_alias : {false, true}) {
    const PerturbView view{
        with_alias ? alias.data() : nullptr, logits.data(), gumbel_quantiles().data(), experts, layers, top_k};
    for (std::uint32_t i = 0; i < 80; ++i) {
      const std::uint32_t token = i % tokens, first_layer = i % 3;
      DrawAddress at{9, Stream::main, i, i * 7, i % 5, Purpose::start, i % 256, 77};
      const auto drawn = draw_routing<Words, 8>(view, token, first_layer, at);
      for (std::uint32_t lane = 0; lane < 8; ++lane) {
        const std::uint32_t layer = first_layer + lane;
        const auto alone = draw_row<Words>(view, token, layer, at);
        at.layer = layer;
        const auto expected = slow_draw(view, token * layers + layer, at);
        ASSERT_EQ(members(drawn.lane(static_cast<int>(lane))), expected) << experts << " " << i;
        ASSERT_EQ(members(alone), expected) << experts << " " << i;
      }
    }
  }
}

TEST(Perturb, agrees_with_a_slow_version_with_and_without_the_fall_back) {
  expect_slow_result<1>(8, 3, 1);
  expect_slow_result<1>(60, 4, 5);
  expect_slow_result<2>(128, 8, 1);
  expect_slow_result<2>(128, 8, 6);
  expect_slow_result<8>(512, 22, 4);
  expect_slow_result<16>(1024, 8, 2);
  expect_slow_result<16>(1000, 100, 1);
}

// Equal blocks would mean equal counters. 16 blocks of alias draws and 128 of Gumbel draws for each address.
TEST(Perturb, no_two_draws_of_any_address_share_a_word) {
  std::set<std::array<std::uint64_t, 4>> blocks;
  std::size_t expected = 0;
  for (const std::uint32_t column : {0U, 1U, 255U}) {
    for (const std::uint32_t layer : {0U, 1U, 1023U}) {
      for (const std::uint32_t round : {0U, 65535U}) {
        const DrawAddress at{1, Stream::main, 5, round, 1, Purpose::perturb, column, layer};
        const auto add = [&](const RandomBlocks<kRowBlocks>& row_blocks) {
          for (std::size_t i = 0; i < kRowBlocks; ++i) {
            const auto& word = row_blocks.word;
            blocks.insert({word[0][i], word[1][i], word[2][i], word[3][i]});
            ++expected;
          }
        };
        for (std::uint32_t q = 0; q < kAliasBlocks; q += kRowBlocks) add(at.blocks<kRowBlocks>(q));
        for (std::uint32_t b = 0; b < 128; b += kRowBlocks) add(gumbel_blocks(at, b));
      }
    }
  }
  EXPECT_EQ(blocks.size(), expected);
}

}  // namespace
}  // namespace moecarlo
