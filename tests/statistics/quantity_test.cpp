#include "host/statistics/quantity.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <random>

namespace moecarlo {
namespace {

/// Sums of groups (and of replicate halves) with a correlated denominator, as rounds and what they count are.
struct Sums {
  std::vector<double> y, x;

  Sums(std::uint32_t count, std::uint64_t seed) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<double> noise(0, 1);
    for (std::uint32_t g = 0; g < count; ++g) {
      x.push_back(100 + 5 * noise(engine));
      y.push_back(0.7 * x.back() + 4 * noise(engine));
    }
  }

  double ratio(const std::vector<double>& weights) const {
    return std::inner_product(y.begin(), y.end(), weights.begin(), 0.0) /
           std::inner_product(x.begin(), x.end(), weights.begin(), 0.0);
  }
};

constexpr std::uint32_t kTestGroups = 64;
const GroupLayout kNoReplicates{kTestGroups, 0, 0};

double monte_carlo_variance(const Sampling& sampling, const Quantity& quantity) {
  const double half_width = sampling.estimate(quantity).mc_half_width.value();
  return std::pow(half_width / student_t(kTestGroups - 1), 2);
}

TEST(Ratio, IsTheQuotientOfSumsNotTheMeanOfQuotients) {
  const Sampling sampling = Sampling::random({2, 0, 0}, true);
  EXPECT_DOUBLE_EQ(sampling.ratio(std::vector{1.0, 30.0}, std::vector{1.0, 10.0}).value, 31.0 / 11.0);
}

TEST(Ratio, HasTheVarianceOfBatchMeans) {
  const Sampling sampling = Sampling::random(kNoReplicates, true);
  const Sums sums(kTestGroups, 1);
  const double r =
      std::accumulate(sums.y.begin(), sums.y.end(), 0.0) / std::accumulate(sums.x.begin(), sums.x.end(), 0.0);
  double squares = 0;
  for (std::uint32_t g = 0; g < kTestGroups; ++g) squares += std::pow(sums.y[g] - r * sums.x[g], 2);
  const double total = std::accumulate(sums.x.begin(), sums.x.end(), 0.0);
  const double expected = kTestGroups / (kTestGroups - 1.0) * squares / (total * total);
  EXPECT_NEAR(monte_carlo_variance(sampling, sampling.ratio(sums.y, sums.x)) / expected, 1, 1e-12);
}

TEST(Ratio, AgreesWithTheJackknife) {
  const Sampling sampling = Sampling::random(kNoReplicates, true);
  const Sums sums(kTestGroups, 2);
  std::vector<double> left_out;
  for (std::uint32_t g = 0; g < kTestGroups; ++g) {
    std::vector<double> weights(kTestGroups, 1.0);
    weights[g] = 0;
    left_out.push_back(sums.ratio(weights));
  }
  const double mean = std::accumulate(left_out.begin(), left_out.end(), 0.0) / kTestGroups;
  double squares = 0;
  for (const double value : left_out) squares += (value - mean) * (value - mean);
  const double jackknife = (kTestGroups - 1.0) / kTestGroups * squares;
  // They differ by terms of the order of (spread of x) / groups, here 0.05 / 64.
  EXPECT_NEAR(monte_carlo_variance(sampling, sampling.ratio(sums.y, sums.x)) / jackknife, 1, 0.005);
}

TEST(Combinations, HaveTheInfluenceThatANumericalDerivativeShows) {
  const Sampling sampling = Sampling::random(kNoReplicates, true);
  const Sums a(kTestGroups, 3), b(kTestGroups, 4), c(kTestGroups, 5);
  const Quantity qa = sampling.ratio(a.y, a.x), qb = sampling.ratio(b.y, b.x), qc = sampling.ratio(c.y, c.x);
  using Weights = std::vector<double>;
  const std::vector<std::pair<Quantity, std::function<double(const Weights&)>>> cases = {
      {qa, [&](const Weights& w) { return a.ratio(w); }},
      {qa / qb, [&](const Weights& w) { return a.ratio(w) / b.ratio(w); }},
      {qa * qb, [&](const Weights& w) { return a.ratio(w) * b.ratio(w); }},
      {qa - qb, [&](const Weights& w) { return a.ratio(w) - b.ratio(w); }},
      {3.0 * qa, [&](const Weights& w) { return 3 * a.ratio(w); }},
      {(qa - 2.0 * qb) / (qa * qc),
       [&](const Weights& w) { return (a.ratio(w) - 2 * b.ratio(w)) / (a.ratio(w) * c.ratio(w)); }}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto& [quantity, function] = cases[i];
    EXPECT_NEAR(quantity.value, function(Weights(kTestGroups, 1.0)), 1e-14);
    for (std::uint32_t g = 0; g < kTestGroups; ++g) {
      constexpr double kStep = 1e-4;
      Weights more(kTestGroups, 1.0), less(kTestGroups, 1.0);
      more[g] += kStep;
      less[g] -= kStep;
      const double derivative = (function(more) - function(less)) / (2 * kStep);
      EXPECT_NEAR(quantity.influence[g], kTestGroups * derivative, 1e-8) << "case " << i << ", group " << g;
    }
  }
}

TEST(Combinations, ActOnEveryReplicateAndHalf) {
  const GroupLayout layout{4, 3, 3};
  const Sampling sampling = Sampling::random(layout, true);
  const Sums a(layout.total(), 6), b(layout.total(), 7);
  const Quantity quotient = sampling.ratio(a.y, a.x) / sampling.ratio(b.y, b.x);
  ASSERT_EQ(quotient.replicates.size(), 3U);
  ASSERT_EQ(quotient.halves.size(), 6U);
  for (std::size_t r = 0; r < 3; ++r) {
    const std::size_t h = 4 + 2 * r;
    EXPECT_DOUBLE_EQ(quotient.replicates[r],
                     (a.y[h] + a.y[h + 1]) / (a.x[h] + a.x[h + 1]) / ((b.y[h] + b.y[h + 1]) / (b.x[h] + b.x[h + 1])));
    EXPECT_DOUBLE_EQ(quotient.halves[2 * r + 1], a.y[h + 1] / a.x[h + 1] / (b.y[h + 1] / b.x[h + 1]));
  }
}

TEST(Combinations, ADifferenceThatNoGroupShowsIsNotCalledExact) {
  const GroupLayout layout{8, 4, 4};
  const Sums sums(layout.total(), 8);
  for (const Sampling& sampling : {Sampling::random(layout, true), Sampling::exact({8, 0, 0}, true)}) {
    const Quantity quantity = sampling.ratio(sums.y, sums.x);
    const Estimate difference = sampling.estimate(quantity - quantity);
    EXPECT_EQ(difference.value, 0);
    EXPECT_EQ(difference.mc_half_width.is_exact(), quantity.simulation == Knowledge::exact);
    EXPECT_EQ(difference.mc_half_width.has_value(), difference.mc_half_width.is_exact());
    EXPECT_FALSE(difference.trace_half_width);
    const Estimate known = sampling.estimate(without_error(quantity - quantity));
    EXPECT_TRUE(known.mc_half_width.is_exact());
    EXPECT_TRUE(known.trace_half_width.is_exact());
  }
}

TEST(Combinations, KnowNoMoreThanTheirParts) {
  const GroupLayout layout{8, 4, 4};
  const Sums a(layout.total(), 15), b(layout.total(), 16);
  const Sampling sampling = Sampling::random(layout, true);
  const Quantity sampled = sampling.ratio(a.y, a.x), constant = without_error(sampling.ratio(b.y, b.x));
  EXPECT_EQ((sampled / constant).simulation, Knowledge::estimated);
  EXPECT_EQ((constant * constant).simulation, Knowledge::exact);
  EXPECT_EQ((constant - sampled).trace, Knowledge::estimated);
  Quantity unknown = sampled;
  unknown.simulation = unknown.trace = Knowledge::unknown;
  const Estimate estimate = sampling.estimate(unknown - constant);
  EXPECT_FALSE(estimate.mc_half_width);
  EXPECT_FALSE(estimate.trace_half_width);
  // What is known leaves the relative error of the other as it is.
  const Estimate before = sampling.estimate(sampled), after = sampling.estimate(sampled / constant);
  EXPECT_NEAR(*after.mc_half_width / after.value, *before.mc_half_width / before.value, 1e-14);
}

TEST(Combinations, APairedDifferenceIsKnownBetterThanItsParts) {
  const Sampling sampling = Sampling::random(kNoReplicates, true);
  const Sums sums(kTestGroups, 9);
  std::vector<double> shifted = sums.y;
  for (std::uint32_t g = 0; g < kTestGroups; ++g) shifted[g] += 0.01 * sums.x[g] + (g % 2 == 0 ? 1e-3 : -1e-3);
  const Quantity difference = sampling.ratio(shifted, sums.x) - sampling.ratio(sums.y, sums.x);
  EXPECT_NEAR(difference.value, 0.01, 1e-13);
  EXPECT_NEAR(monte_carlo_variance(sampling, difference), 1e-6 / (100 * 100) / kTestGroups, 1e-13);
}

TEST(WithoutTraceError, KeepsTheValueAndItsMonteCarloErrorOnly) {
  const GroupLayout layout{8, 4, 4};
  const Sums sums(layout.total(), 14);
  const Sampling sampling = Sampling::random(layout, true);
  const Quantity quantity = sampling.ratio(sums.y, sums.x);
  const Estimate before = sampling.estimate(quantity), after = sampling.estimate(without_trace_error(quantity));
  EXPECT_EQ(after.value, before.value);
  EXPECT_EQ(after.mc_half_width, before.mc_half_width);
  EXPECT_EQ(after.trace_half_width, 0.0);
}

TEST(Sampling, WithoutFilledGroupsThereIsNoMonteCarloInterval) {
  const Sums sums(kTestGroups, 10);
  const Sampling sampling = Sampling::random(kNoReplicates, false);
  EXPECT_FALSE(sampling.estimate(sampling.ratio(sums.y, sums.x)).mc_half_width);
}

TEST(Sampling, HalfOfTheGroupsHaveToHoldDataAndTheMarginSaysHowManyTrajectoriesWouldDo) {
  const Sampling sampling = Sampling::random(kNoReplicates, true);
  for (const std::uint32_t filled : {1U, 31U, 32U, 64U}) {
    Sums sums(kTestGroups, 17);
    for (std::uint32_t g = filled; g < kTestGroups; ++g) sums.x[g] = sums.y[g] = 0;
    const Margin margin = sampling.estimate(sampling.ratio(sums.y, sums.x)).mc_half_width;
    EXPECT_EQ(margin.has_value(), filled >= 32) << filled;
    EXPECT_FALSE(margin.is_exact());
    // At 1 of 64 groups each has data with a chance of 1 / 64: 64 times the trajectories fill most of them.
    if (filled == 1) {
      EXPECT_NEAR(margin.factor(), 63, 1);
    }
  }
}

TEST(Sampling, GroupsThatHappenToAgreeKnowNothing) {
  const GroupLayout layout{64, 4, 4};
  const Sampling sampling = Sampling::random(layout, true);
  const std::vector<double> y(layout.total(), 5.125), x(layout.total(), 2);
  const Estimate estimate = sampling.estimate(sampling.ratio(y, x));
  EXPECT_EQ(estimate.value, 2.5625);
  EXPECT_FALSE(estimate.mc_half_width);
  EXPECT_FALSE(estimate.trace_half_width);
}

TEST(Sampling, WhatIsNotFiniteHasNoInterval) {
  const std::vector<double> none(kTestGroups, 0);
  for (const Sampling& sampling : {Sampling::random(kNoReplicates, true), Sampling::exact(kNoReplicates, true)}) {
    const Estimate estimate = sampling.estimate(without_error(sampling.ratio(none, none)));
    EXPECT_TRUE(std::isnan(estimate.value));
    EXPECT_FALSE(estimate.mc_half_width);
    EXPECT_FALSE(estimate.trace_half_width);
  }
}

TEST(Sampling, FewerThanEightSequencesWithDataGiveNoTraceInterval) {
  const Sampling sampling = Sampling::exact(kNoReplicates, true);
  for (const std::uint32_t filled : {7U, 8U}) {
    Sums sums(kTestGroups, 18);
    for (std::uint32_t g = filled; g < kTestGroups; ++g) sums.x[g] = sums.y[g] = 0;
    const Estimate estimate = sampling.estimate(sampling.ratio(sums.y, sums.x));
    EXPECT_TRUE(estimate.mc_half_width.is_exact());
    EXPECT_EQ(estimate.trace_half_width.has_value(), filled == 8);
  }
}

TEST(Margin, IsExactByWordOnlyAndReadsAsSummariesStateIt) {
  EXPECT_FALSE(Margin::estimated(0).has_value());
  EXPECT_FALSE(Margin::estimated(std::nan("")).has_value());
  EXPECT_TRUE(Margin::exact().is_exact());
  EXPECT_TRUE(Margin(0.0).is_exact());
  EXPECT_FALSE(Margin(0.5).is_exact());
  EXPECT_EQ(*(Margin(0.5) * 3), 1.5);
  EXPECT_TRUE((Margin::exact() * 3).is_exact());
  EXPECT_EQ(Margin::unknown(4).stated(), std::nullopt);
}

TEST(Sampling, WithoutReplicatesThereIsNoTraceInterval) {
  const Sums sums(kTestGroups, 11);
  const Sampling sampling = Sampling::random(kNoReplicates, true);
  EXPECT_FALSE(sampling.estimate(sampling.ratio(sums.y, sums.x)).trace_half_width);
}

TEST(Sampling, ExactCountsHaveNoMonteCarloErrorAndATraceIntervalOnlyWhereGroupsSuffice) {
  const Sums sums(kTestGroups, 12);
  for (const bool suffice : {false, true}) {
    const Sampling sampling = Sampling::exact(kNoReplicates, suffice);
    const Estimate estimate = sampling.estimate(sampling.ratio(sums.y, sums.x));
    EXPECT_EQ(estimate.mc_half_width, 0.0);
    EXPECT_EQ(estimate.trace_half_width.has_value(), suffice);
  }
}

TEST(Sampling, TheBootstrapOfExactCountsHasTheAnalyticVariance) {
  constexpr std::uint32_t kSequences = 500;
  const Sampling sampling = Sampling::exact({kSequences, 0, 0}, true);
  const Sums sums(kSequences, 13);
  const double total = std::accumulate(sums.x.begin(), sums.x.end(), 0.0);
  const double r = std::accumulate(sums.y.begin(), sums.y.end(), 0.0) / total;
  double squares = 0;  // Poisson(1) weights have variance 1: Var r = sum (Y_s - r X_s)^2 / (sum X)^2
  for (std::uint32_t s = 0; s < kSequences; ++s) squares += std::pow(sums.y[s] - r * sums.x[s], 2);
  const double deviation = std::sqrt(squares) / total;
  const Estimate estimate = sampling.estimate(sampling.ratio(sums.y, sums.x));
  // Four standard errors of a standard deviation from 2,000 resamples.
  EXPECT_NEAR(estimate.trace_half_width.value() / (1.959964 * deviation), 1, 4 / std::sqrt(2 * 2000.0));
}

TEST(StudentT, AgreesWithTheTable) {
  EXPECT_NEAR(student_t(8), 2.3060, 1e-4);
  EXPECT_NEAR(student_t(15), 2.1314, 6e-5);
  EXPECT_NEAR(student_t(30), 2.0423, 6e-5);
  EXPECT_NEAR(student_t(63), 1.9983, 6e-5);
  EXPECT_NEAR(student_t(1e6), 1.9600, 6e-5);
}

}  // namespace
}  // namespace moecarlo
