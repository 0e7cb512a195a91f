#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "host/statistics/quantity.hpp"

namespace moecarlo {
namespace {

constexpr std::uint32_t kGroupCount = 8;

/// Replicates drawn from a known law: a half is 10 + a part common to its replicate + noise of its own.
struct KnownLaw {
  GroupLayout layout;
  double between_variance;     ///< of the common part
  double half_noise_variance;  ///< of each half

  /// Trace variance estimated in each of `count` simulated studies; negative where none was reported.
  std::vector<double> trace_variances(int count) const {
    const Sampling sampling = Sampling::random(layout, true);
    std::mt19937_64 engine(77);
    std::normal_distribution<double> common(0, std::sqrt(between_variance)), noise(0, std::sqrt(half_noise_variance));
    std::vector<double> variances;
    for (int i = 0; i < count; ++i) {
      std::vector<double> y(layout.total(), 10.0);
      for (std::uint32_t r = 0; r < layout.replicates; ++r) {
        const double shift = common(engine);
        for (const std::uint32_t half : {0U, 1U}) y[kGroupCount + 2 * r + half] += shift + noise(engine);
      }
      const std::vector<double> ones(layout.total(), 1.0);
      const auto half_width = sampling.estimate(sampling.ratio(y, ones)).trace_half_width;
      variances.push_back(half_width ? std::pow(*half_width / student_t(layout.replicates - 1), 2) : -1);
    }
    return variances;
  }
};

void expect_mean(const std::vector<double>& values, double expected) {
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) squares += (value - mean) * (value - mean);
  const auto count = static_cast<double>(values.size());
  EXPECT_NEAR(mean, expected, 4 * std::sqrt(squares / (count - 1) / count)) << "more than 4 standard errors away";
}

double unreported_share(const std::vector<double>& values) {
  double missing = 0;
  for (const double value : values) missing += value < 0 ? 1 : 0;
  return missing / static_cast<double>(values.size());
}

TEST(TraceVariance, IsUnbiasedOnceTheNoiseOfTheReplicatesIsTakenOut) {
  const auto variances = KnownLaw{{kGroupCount, 64, 64}, 1.0, 0.4}.trace_variances(4000);
  ASSERT_EQ(unreported_share(variances), 0);
  expect_mean(variances, 1.0);
}

TEST(TraceVariance, PooledPopulationsAreScaledBackToOne) {
  // Each of 16 replicates mixes 4 populations, so that its common part has a quarter of a population's variance.
  const auto variances = KnownLaw{{kGroupCount, 16, 64}, 0.25, 0.01}.trace_variances(4000);
  ASSERT_EQ(unreported_share(variances), 0);
  expect_mean(variances, 1.0);
}

TEST(TraceVariance, OfPartsWithSequencesOfTheirOwnIsThatOfTheirWeightedMean) {
  // A part with a share w of the sequences varies with variance 1 / w around the mean, all of them together with 1.
  const GroupLayout layout{kGroupCount, 32, 32};
  TallyShape shape;
  for (std::uint64_t r = 0; r < 32; ++r) shape.population_starts.push_back(10 + 3 * (r % 4));
  const Replication replication = Replication::of(shape, layout);
  const std::vector<double>& weights = replication.weights;
  const Sampling sampling = Sampling::random(layout, true, replication);
  std::mt19937_64 engine(11);
  std::normal_distribution<double> normal(0, 1);
  std::vector<double> variances;
  for (int i = 0; i < 4000; ++i) {
    std::vector<double> y(layout.total(), 10.0);
    for (std::uint32_t r = 0; r < layout.replicates; ++r) {
      const double own = normal(engine) / std::sqrt(weights[r]);
      for (const std::uint32_t half : {0U, 1U}) y[kGroupCount + 2 * r + half] += own + normal(engine);
    }
    const auto half_width =
        sampling.estimate(sampling.ratio(y, std::vector<double>(layout.total(), 1.0))).trace_half_width;
    variances.push_back(std::pow(half_width.value() / student_t(31), 2));
  }
  expect_mean(variances, 1.0);
}

TEST(TraceVariance, IsNotReportedWhereNoiseExceedsHalfOfTheSpread) {
  const GroupLayout layout{kGroupCount, 64, 64};
  const Sampling sampling = Sampling::random(layout, true);
  const std::vector<double> ones(layout.total(), 1.0);
  const double between = 64.0 / 63.0;  // replicates in turn 1 above and 1 below their mean
  for (const double noise : {0.499 * between, 0.501 * between}) {
    std::vector<double> y(layout.total(), 10.0);
    for (std::uint32_t r = 0; r < layout.replicates; ++r) {
      y[kGroupCount + 2 * r] += (r % 2 == 0 ? 1 : -1) + std::sqrt(noise);
      y[kGroupCount + 2 * r + 1] += (r % 2 == 0 ? 1 : -1) - std::sqrt(noise);
    }
    const auto half_width = sampling.estimate(sampling.ratio(y, ones)).trace_half_width;
    ASSERT_EQ(half_width.has_value(), noise < between / 2);
    if (half_width) {
      EXPECT_NEAR(*half_width, student_t(63) * std::sqrt(between - noise), 1e-12);
    }
  }
}

TEST(TraceVariance, IsNotReportedWhereTheReplicatesHappenToAgree) {
  EXPECT_EQ(unreported_share(KnownLaw{{kGroupCount, 64, 64}, 0, 0}.trace_variances(3)), 1);
}

// Noise falls with the number of trajectories: at the factor that a missing interval asks for, most studies have one.
TEST(TraceVariance, IsReportedByMostStudiesOfAsManyTrajectoriesAsWouldDo) {
  const GroupLayout layout{kGroupCount, 64, 64};
  const Sampling sampling = Sampling::random(layout, true);
  const double half_noise = 8;  // four times the variance of the common part is what replicates have of it
  std::mt19937_64 engine(5);
  std::normal_distribution<double> common(0, 1), noise(0, std::sqrt(half_noise));
  std::vector<double> factors;
  for (int i = 0; i < 400; ++i) {
    std::vector<double> y(layout.total(), 10.0);
    for (std::uint32_t r = 0; r < layout.replicates; ++r) {
      const double shift = common(engine);
      for (const std::uint32_t half : {0U, 1U}) y[kGroupCount + 2 * r + half] += shift + noise(engine);
    }
    const Margin margin =
        sampling.estimate(sampling.ratio(y, std::vector<double>(layout.total(), 1.0))).trace_half_width;
    if (!margin) factors.push_back(margin.factor());
  }
  ASSERT_GT(factors.size(), 380U);
  std::nth_element(factors.begin(), factors.begin() + 200, factors.end());
  const double typical = factors[200];
  EXPECT_GT(typical, 4);
  EXPECT_LT(typical, 12);
  EXPECT_LT(unreported_share(KnownLaw{layout, 1.0, half_noise / typical}.trace_variances(400)), 0.25);
}

TEST(TraceVariance, IsNotReportedWhereAReplicateCountedNothing) {
  const GroupLayout layout{kGroupCount, 4, 4};
  const Sampling sampling = Sampling::random(layout, true);
  std::vector<double> y(layout.total(), 1.0), x(layout.total(), 2.0);
  for (std::uint32_t i = kGroupCount; i < layout.total(); ++i) y[i] += 0.1 * (i / 2);
  ASSERT_TRUE(sampling.estimate(sampling.ratio(y, x)).trace_half_width);
  for (const std::uint32_t half : {0U, 1U}) {  // first one half of a replicate, then all of it
    y[kGroupCount + half] = x[kGroupCount + half] = 0;
    const Estimate estimate = sampling.estimate(sampling.ratio(y, x));
    EXPECT_EQ(estimate.value, 0.5);
    EXPECT_FALSE(estimate.trace_half_width);
  }
}

}  // namespace
}  // namespace moecarlo
