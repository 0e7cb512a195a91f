// Experts of a layer shared between two units by their tokens (Duplex, arXiv 2409.01141), in studies.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "hw/machine/expert_split.hpp"
#include "hw/plan/experts_done.hpp"
#include "hw/projection/evaluate.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::uint32_t kContext = 10;

/// A memory of 1 MB/s that a second unit reads at 3 MB/s; the first multiplies as fast as anything, the second `slow`
/// million operations a second.
std::string two_units(const std::string& split, double slow = 1e9) {
  return "[system]\ntiers = [\"hbm\"]\nunits = [\"gpu\", \"near\"]\n" + unit_of("gpu", "\"hbm\"", 1e9) +
         store_of("hbm", 100, 1, 1) + unit_of("near", "\"hbm\"", slow) + row("bandwidth", 3, "MB/s") +
         row("efficiency", 1, "share") + row("read_energy", 1, "pJ/bit") + row("capacity", 100, "MB") +
         row("dense_weights", 0, "share") + row("kv_cache", 0, "share") + row("works_beside", 0, "share") +
         "helps = \"gpu\"\n" + split;
}

TEST(ExpertSplit, TouchedExpertsHaveTheMiddleOfTheLawInProportion) {
  const std::vector<double> law{5, 4, 0, 2, 2};  // half have 1 token, a quarter 3, a quarter 4
  EXPECT_THAT(tokens_of_touched(law, 4, 9), ElementsAre(1, 1, 3, 4));
  EXPECT_THAT(tokens_of_touched(law, 4, 18), ElementsAre(2, 2, 6, 8));
  EXPECT_THAT(tokens_of_touched(law, 1, 7), ElementsAre(7));
  EXPECT_THAT(tokens_of_touched({0, 1}, 3, 3), ElementsAre(1, 1, 1));
}

/// All experts take as long on a unit whatever their tokens. Four on the second take 4/3 of what one takes on the
/// first; three there and one here end together.
TEST(ExpertSplit, BothUnitsWorkOnALayerAtOneTime) {
  const Model model = sample_model();
  const System system = system_of(two_units("split = \"tokens\"\n")), one = system_of(two_units(""));
  ASSERT_TRUE(system.helper->splits_experts);
  Workload workload = sample_workload(0, {0, 0}, 1, 4);
  workload.batch = 4;
  workload.classes.push_back({2, 0, one_group({{{0, 4}, 2}}), {}, {0}});
  const double expert = expert_bytes(model) / 1e6;
  const auto experts_seconds = [&](const System& on) {
    return project_held(on, autoregressive(), model, kContext, workload, 8).breakdown.at("verify.experts");
  };
  EXPECT_NEAR(experts_seconds(one), 2 * 4 * expert / 3, 1e-9);  // all near
  EXPECT_NEAR(experts_seconds(system), 2 * expert, 1e-9);
}

/// Tokens 1, 2, 3, 10: the first unit takes 8 for each, the second as many as tokens, 2 at least. The three with the
/// fewest move: max(8, 7).
TEST(ExpertSplit, TheExampleOfTheRule) {
  System system = system_of(two_units("split = \"tokens\"\n"));
  const std::size_t first = system.units[0].operations, second = system.units[1].operations;
  for (const std::size_t unit : {first, second}) system.resources[unit].seconds_per = 1;
  ExpertsWork experts;
  experts.split.emplace();
  experts.split->first.once.add(first, 8);
  experts.split->second.row.add(second, 1);
  const std::size_t memory = system.units[1].paths[0].front();
  system.resources[memory].seconds_per = 1;
  experts.split->second.once.add(memory, 2);
  experts.split->rows = 16;
  experts.split->law = {1};
  const std::vector<double> nothing, law{0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1};
  const Done done = experts_done(system, experts, {0, 4, nothing, law});
  EXPECT_NEAR(done.seconds, 8, 1e-12);
  EXPECT_NEAR(done.work.amount(first), 8, 1e-12);
  EXPECT_NEAR(done.work.amount(second), 6, 1e-12);
  EXPECT_NEAR(done.work.amount(memory), 6, 1e-12);
}

/// Tokens of each expert where so many tokens each choose two of so many, some of them more often than others.
std::vector<double> drawn(std::mt19937& random, const std::vector<double>& weights, std::size_t tokens) {
  std::vector<double> counts(weights.size(), 0);
  std::discrete_distribution<std::size_t> choose(weights.begin(), weights.end());
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::size_t one = choose(random);
    std::size_t other = choose(random);
    while (other == one) other = choose(random);
    ++counts[one];
    ++counts[other];
  }
  return counts;
}

/// The gap between the middle of the counted tokens, given how many experts a pass touches, and each pass by itself.
TEST(ExpertSplit, CountedTokensStandInForEachPassWithinAFewPercent) {
  std::mt19937 random(11);
  double worst = 0, worst_law = 0;
  for (const double skew : {0.0, 0.7}) {
    for (const auto& [experts, tokens] : {std::pair{8, 16}, std::pair{8, 64}, std::pair{64, 64}, std::pair{64, 512}}) {
      std::vector<double> weights;
      for (int e = 0; e < experts; ++e) weights.push_back(std::pow(1 + e, -skew));
      const double ridge = 2.0 * tokens / experts;
      const auto first = [](double) { return 1.0; };
      const auto second = [&](double n) { return std::max(0.25, n / ridge); };
      constexpr int passes = 2000;
      double each = 0;
      std::vector<double> law(tokens + 1, 0);
      std::vector<std::size_t> touched(experts + 1, 0);
      for (int pass = 0; pass < passes; ++pass) {
        std::vector<double> counts = drawn(random, weights, tokens);
        for (const double n : counts) ++law[static_cast<std::size_t>(n)];
        std::erase(counts, 0.0);
        ++touched[counts.size()];
        each += split_by_tokens(counts, first, second).seconds();
      }
      const auto of_middle = [&](const std::vector<double>& shares) {
        double all = 0;
        for (std::size_t u = 1; u < touched.size(); ++u) {
          if (touched[u] > 0)
            all += static_cast<double>(touched[u]) *
                   split_by_tokens(tokens_of_touched(shares, u, 2.0 * tokens), first, second).seconds();
        }
        return all;
      };
      worst = std::max(worst, std::abs(of_middle(law) / each - 1));
      const std::vector<double> independent = binomial(static_cast<std::size_t>(tokens), 2.0 / experts);
      worst_law = std::max(worst_law, std::abs(of_middle(independent) / each - 1));
    }
  }
  RecordProperty("error_of_counted_tokens", std::to_string(worst));
  RecordProperty("error_of_independent_tokens", std::to_string(worst_law));
  EXPECT_LT(worst, 0.06) << worst;
  EXPECT_LT(worst_law, 0.30) << worst_law;
}

TEST(ExpertSplit, IsNeverSlowerThanEitherUnitAndMovesAllExperts) {
  const Model model = sample_model();
  std::mt19937 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    const double slow = std::pow(10, std::uniform_real_distribution<double>(-2, 2)(random));
    const System split = system_of(two_units("split = \"tokens\"\n", slow)), one = system_of(two_units("", slow));
    Workload workload = sample_workload(0, {0, 0}, 1, 8);
    workload.batch = 8;
    const std::uint32_t touched = 1 + random() % 4;
    workload.classes.push_back({2, 0, one_group({{{0, touched}, 2}}), {}, {0}});
    workload.tokens_per_expert = {0, 1};  // as many of each, so that a unit's experts take as long together as in turn
    const Projection shared = project_held(split, autoregressive(), model, kContext, workload, 8);
    const Projection alone = project_held(one, autoregressive(), model, kContext, workload, 8);
    EXPECT_LE(shared.breakdown.at("verify.experts"), alone.breakdown.at("verify.experts") * (1 + 1e-12)) << trial;
    EXPECT_NEAR(shared.operations_per_byte, alone.operations_per_byte, 1e-9 * alone.operations_per_byte) << trial;
  }
}

TEST(ExpertSplit, MachinesThatCannotAreRefused) {
  EXPECT_THAT(error_of([] { system_of(two_units("split = \"balance\"\n")); }), HasSubstr("tokens"));
  std::string tiers = two_units("split = \"tokens\"\n") + store_of("ddr", 1000, 1, 1);
  tiers.replace(tiers.find("[\"hbm\"]"), 7, "[\"ddr\", \"hbm\"]");
  tiers.replace(tiers.find("sees = [\"hbm\"]"), 14, "sees = [\"ddr\", \"hbm\"]");
  EXPECT_THAT(error_of([&] { system_of(tiers); }), HasSubstr("one tier"));
  EXPECT_TRUE(read_system("duplex-h100-split").helper->splits_experts);
  EXPECT_FALSE(read_system("duplex-h100").helper->splits_experts);
}

}  // namespace
}  // namespace moecarlo::hw
