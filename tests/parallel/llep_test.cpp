#include "host/parallel/llep.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>
#include <random>

namespace moecarlo {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::Pointwise;

LlepRule rule(double alpha, double min_chunk) {
  return {.alpha = alpha, .min_chunk = min_chunk, .lambda = 1};
}

/// Tokens of an expert on each device.
std::vector<double> of_expert(const Spread& spread, std::uint32_t expert) {
  std::vector<double> tokens(spread.devices, 0);
  for (const Chunk& chunk : spread.chunks) {
    if (chunk.expert == expert) tokens[chunk.device] += chunk.tokens;
  }
  return tokens;
}

TEST(LeastLoaded, TwoDevicesMeetInTheMiddle) {
  const Spread spread = least_loaded({10, 6, 3, 1}, 2, rule(1, 1));
  EXPECT_THAT(spread.device_loads(), ElementsAre(10, 10));
  EXPECT_THAT(of_expert(spread, 0), ElementsAre(4, 6));
  EXPECT_EQ(spread.transfers, 1U);
  EXPECT_EQ(spread.forced, 0U);
}

const ExpertLoads kFour{12, 4, 2, 2, 1, 1, 1, 1};

TEST(LeastLoaded, AnExpertMayGoToEveryDevice) {
  const Spread spread = least_loaded(kFour, 4, rule(1, 1));
  EXPECT_THAT(spread.device_loads(), ElementsAre(6, 6, 6, 6));
  EXPECT_THAT(of_expert(spread, 0), ElementsAre(2, 2, 4, 4));
  EXPECT_EQ(spread.transfers, 3U);
}

TEST(LeastLoaded, ALargerCapMovesLess) {
  const Spread spread = least_loaded(kFour, 4, rule(1.5, 1));
  EXPECT_THAT(spread.device_loads(), ElementsAre(9, 4, 9, 2));
  EXPECT_EQ(spread.transfers, 1U);
}

TEST(LeastLoaded, ChunksThatAreTooSmallAreForcedOnTheLeastLoaded) {
  const Spread spread = least_loaded(kFour, 4, rule(1, 5));
  EXPECT_THAT(spread.device_loads(), ElementsAre(6, 4, 10, 4));
  EXPECT_THAT(of_expert(spread, 0), ElementsAre(2, 0, 10, 0));
  EXPECT_THAT(of_expert(spread, 4), ElementsAre(0, 0, 0, 1));
  EXPECT_EQ(spread.transfers, 3U);
  EXPECT_EQ(spread.forced, 1U);
}

TEST(LeastLoaded, PaperAndCodeLookAtOtherLoads) {
  const ExpertLoads loads{4, 0, 4, 0};
  EXPECT_EQ(max_over_mean(loads), 2);
  LlepRule paper{.alpha = 1, .min_chunk = 1, .lambda = 1.3};
  LlepRule code = paper;
  code.on_devices = true;
  EXPECT_EQ(max_over_mean(least_loaded(loads, 2, code).device_loads()), 1);
  EXPECT_EQ(least_loaded(loads, 2, paper).chunks.size(), 4U);  // acts, and finds nothing to move
}

TEST(LeastLoaded, TheCodesCapIsAWholeNumber) {
  // 7 tokens on 2 devices: the paper's cap is 3.5.
  EXPECT_THAT(least_loaded({7, 0}, 2, rule(1, 1)).device_loads(), ElementsAre(3.5, 3.5));
  LlepRule code = rule(1, 1);
  code.as_coded = true;
  EXPECT_THAT(least_loaded({7, 0}, 2, code).device_loads(), ElementsAre(3, 4));  // what is over is forced
}

TEST(LeastLoaded, WhatRoundingLeavesOverIsNotMoved) {
  // Shares that no binary fraction holds: the hot experts fill every device to the last bit, and others stay at home.
  ExpertLoads loads(128, 0.5 * 1e6 / 112);
  std::fill_n(loads.begin(), 16, 0.5 * 1e6 / 16);
  const Spread spread = least_loaded(loads, 8, rule(1, 1024));
  EXPECT_EQ(spread.forced, 0U);
  EXPECT_LE(spread.transfers, 23U);  // the hot experts' to seven devices, each of which may be cut once
  EXPECT_NEAR(max_over_mean(spread.device_loads()), 1, 1e-9);
}

// The paper's rule a second time, slowly and with nothing of the first: a table of who computes what, searched anew for
// every decision.
struct Slow {
  std::vector<std::vector<double>> table;  ///< [experts][devices]
  std::uint64_t transfers = 0, forced = 0;

  Slow(const ExpertLoads& loads, std::size_t devices, double alpha, double least, double lambda) {
    const std::size_t each = loads.size() / devices;
    table.assign(loads.size(), std::vector<double>(devices, 0));
    std::vector<bool> done(loads.size(), false);
    double sum = 0, most = 0;
    for (const double load : loads) sum += load, most = std::max(most, load);
    const bool acts = sum > 0 && most * static_cast<double>(loads.size()) / sum >= lambda;
    const auto on = [&](std::size_t d) {
      double load = 0;
      for (std::size_t e = 0; e < loads.size(); ++e) load += done[e] ? table[e][d] : e / each == d ? loads[e] : 0;
      return load;
    };
    for (std::size_t turn = 0; turn < loads.size(); ++turn) {
      std::size_t e = loads.size();
      for (std::size_t i = 0; i < loads.size(); ++i) {
        if (!done[i] && (e == loads.size() || loads[i] > loads[e])) e = i;
      }
      done[e] = true;
      const double cap = alpha * sum / static_cast<double>(devices);
      double left = loads[e];
      const double own = acts ? std::max(0.0, std::min(left, cap - on(e / each))) : left;
      table[e][e / each] = own;
      left -= own;
      while (left > 0) {
        std::vector<std::size_t> order;
        for (std::size_t d = 0; d < devices; ++d) {
          if (d != e / each) order.push_back(d);
        }
        std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return on(a) < on(b); });
        std::size_t to = devices;
        double chunk = left;
        for (const std::size_t d : order) {
          const double fits = std::min(left, cap - on(d));
          if (fits <= 0 || (fits < least && left > fits)) continue;
          to = d, chunk = fits;
          break;
        }
        if (to == devices) to = order.front(), ++forced;
        transfers += table[e][to] == 0 ? 1 : 0;
        table[e][to] += chunk;
        left -= chunk;
      }
    }
  }
};

TEST(LeastLoaded, RandomLoadsAreSpreadAsASlowTableSpreadsThem) {
  std::mt19937 random(1);
  for (int round = 0; round < 4000; ++round) {
    const std::size_t devices = 2 + random() % (round % 20 == 0 ? 63 : 7), each = 1 + random() % 8;
    ExpertLoads loads(devices * each);
    for (double& load : loads) load = random() % 4 == 0 ? random() % 1000 : random() % 20;
    // Caps that are whole numbers, so that both add up exactly.
    double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
    while (std::fmod(sum, static_cast<double>(devices)) != 0) ++loads[0], ++sum;
    const double alpha = 1 + static_cast<double>(random() % 3), least = 1 + static_cast<double>(random() % 50);
    LlepRule paper{.alpha = alpha, .min_chunk = least, .lambda = 1.3};
    const Spread spread = least_loaded(loads, static_cast<std::uint32_t>(devices), paper);
    std::vector<std::uint32_t> order(loads.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return loads[a] > loads[b]; });
    ASSERT_EQ(least_loaded(loads, spread.devices, paper, order).device_loads(), spread.device_loads());
    const Slow slow(loads, devices, alpha, least, 1.3);
    for (std::uint32_t e = 0; e < loads.size(); ++e)
      ASSERT_EQ(of_expert(spread, e), slow.table[e]) << round << " " << e;
    ASSERT_EQ(spread.transfers, slow.transfers) << round;
    ASSERT_EQ(spread.forced, slow.forced) << round;
    const std::vector<double> on = spread.device_loads();
    ASSERT_EQ(std::accumulate(on.begin(), on.end(), 0.0), sum);
    if (spread.forced > 0) continue;
    std::vector<double> plain(devices, 0);
    for (std::size_t e = 0; e < loads.size(); ++e) plain[e / each] += loads[e];
    ASSERT_LE(*std::max_element(on.begin(), on.end()), *std::max_element(plain.begin(), plain.end()));
  }
}

}  // namespace
}  // namespace moecarlo
