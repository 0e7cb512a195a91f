#include "host/study/acceptance.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

// A threshold of 32 bits is off by half a unit, and E[a] adds up at most d of d such errors.
constexpr double kUnit = 1.0 / 4294967296.0;

AcceptanceSpec with_alpha(AcceptanceModel model, double alpha) {
  AcceptanceSpec spec;
  spec.model = model;
  spec.alpha = alpha;
  return spec;
}

double expected_length(const std::vector<double>& law) {
  double sum = 0;
  for (std::size_t a = 0; a < law.size(); ++a) sum += static_cast<double>(a) * law[a];
  return sum;
}

std::vector<double> law_of(const AcceptanceSpec& spec, std::uint32_t depth) {
  return accepted_length_law(acceptance_thresholds(spec, depth));
}

TEST(AcceptanceThresholds, ConstantHasTheGeometricMean) {
  for (const double b : {0.1, 0.5, 0.73, 0.95}) {
    for (const std::uint32_t d : {1U, 4U, 8U, 30U}) {
      const double closed = b * (1 - std::pow(b, d)) / (1 - b);
      EXPECT_NEAR(expected_length(law_of(with_alpha(AcceptanceModel::constant, b), d)), closed, d * d * kUnit);
    }
  }
}

TEST(AcceptanceThresholds, CertaintyIsExactAtBothEnds) {
  for (const AcceptanceModel model : {AcceptanceModel::constant, AcceptanceModel::ratio}) {
    EXPECT_THAT(acceptance_thresholds(with_alpha(model, 1), 3), testing::Each(Threshold{1} << 32));
    EXPECT_THAT(acceptance_thresholds(with_alpha(model, 0), 3), testing::Each(Threshold{0}));
  }
}

TEST(AcceptanceThresholds, RatioGivesTheShareOfTheDraftThatIsAccepted) {
  for (const double alpha : {0.001, 0.1, 0.5, 0.9, 0.999, 1.0}) {
    for (const std::uint32_t d : {1U, 2U, 4U, 8U, 16U}) {
      EXPECT_NEAR(expected_length(law_of(with_alpha(AcceptanceModel::ratio, alpha), d)) / d, alpha, 1e-9)
          << "alpha " << alpha << ", depth " << d;
    }
  }
}

TEST(AcceptanceThresholds, RatioIsOneProbabilityThatGrowsWithTheDepth) {
  const auto shallow = acceptance_thresholds(with_alpha(AcceptanceModel::ratio, 0.6), 2);
  const auto deep = acceptance_thresholds(with_alpha(AcceptanceModel::ratio, 0.6), 8);
  EXPECT_THAT(deep, testing::Each(deep.front()));
  EXPECT_GT(deep.front(), shallow.front());
  // d = 2: b + b^2 = 1.2, so b = (sqrt(5.8) - 1) / 2.
  EXPECT_NEAR(static_cast<double>(shallow.front()) * kUnit, (std::sqrt(5.8) - 1) / 2, kUnit);
}

TEST(AcceptanceThresholds, PositionsAreTakenAsConditionalProbabilities) {
  AcceptanceSpec spec;
  spec.model = AcceptanceModel::positions;
  spec.positions = {0.5, 0.25, 1};
  EXPECT_THAT(acceptance_thresholds(spec, 3),
              testing::ElementsAre(Threshold{1} << 31, Threshold{1} << 30, Threshold{1} << 32));
  EXPECT_THAT(acceptance_thresholds(spec, 1), testing::ElementsAre(Threshold{1} << 31));
  EXPECT_THAT(law_of(spec, 3), testing::ElementsAre(0.5, 0.375, 0, 0.125));
}

TEST(AcceptanceThresholds, MarginalRatesAreTheSharesOfDraftsThatGetSoFar) {
  AcceptanceSpec spec;
  spec.model = AcceptanceModel::marginal;
  spec.positions = {0.5, 0.125, 0, 0};
  EXPECT_THAT(acceptance_thresholds(spec, 4), testing::ElementsAre(Threshold{1} << 31, Threshold{1} << 30, 0, 0));
  EXPECT_THAT(law_of(spec, 4), testing::ElementsAre(0.5, 0.375, 0.125, 0, 0));
  spec.positions = {0.8, 0.6, 0.3};
  const std::vector<double> law = law_of(spec, 3);
  for (std::size_t length = 1; length <= 3; ++length) {
    EXPECT_NEAR(std::accumulate(law.begin() + static_cast<std::ptrdiff_t>(length), law.end(), 0.0),
                spec.positions[length - 1], 3 * kUnit);
  }
}

TEST(AcceptanceThresholds, TooFewPositionsAreRefused) {
  AcceptanceSpec spec;
  spec.model = AcceptanceModel::positions;
  spec.positions = {0.5, 0.25};
  try {
    acceptance_thresholds(spec, 3);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("expected at least 3 values, found 2"));
  }
}

TEST(AcceptanceThresholds, LengthsReproduceTheirHistogramCutAtTheDepth) {
  AcceptanceSpec spec;
  spec.model = AcceptanceModel::lengths;
  spec.lengths = {17, 0, 5, 40, 1, 0, 37};
  const double total = 100;
  for (std::uint32_t depth = 0; depth <= 9; ++depth) {
    std::vector<double> expected(depth + 1, 0.0);
    for (std::size_t a = 0; a < spec.lengths.size(); ++a) {
      expected[std::min<std::size_t>(a, depth)] += static_cast<double>(spec.lengths[a]) / total;
    }
    EXPECT_THAT(law_of(spec, depth), testing::Pointwise(testing::DoubleNear(10 * kUnit), expected))
        << "depth " << depth;
  }
}

TEST(AcceptedLengthLaw, SumsToOne) {
  for (const std::uint32_t d : {0U, 1U, 7U, 255U}) {
    for (const double alpha : {0.0, 0.3, 0.999, 1.0}) {
      const std::vector<double> law = law_of(with_alpha(AcceptanceModel::constant, alpha), d);
      ASSERT_EQ(law.size(), d + 1);
      EXPECT_NEAR(std::accumulate(law.begin(), law.end(), 0.0), 1, 1e-13);
    }
  }
}

TEST(AcceptedLengthLaw, DepthZeroAcceptsNothing) {
  EXPECT_THAT(law_of(with_alpha(AcceptanceModel::ratio, 0.9), 0), testing::ElementsAre(1.0));
}

}  // namespace
}  // namespace moecarlo
