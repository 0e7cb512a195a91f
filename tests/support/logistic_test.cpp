#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "host/support/error.hpp"
#include "host/support/logistic.hpp"

namespace moecarlo {
namespace {

using ::testing::HasSubstr;

struct Case {
  std::vector<double> x, p, weight;
  LogisticFit fit() const { return fit_logistic(x, p, weight); }
};

struct Expected {
  double b0, b1, b0_error, b1_error, deviance, null_deviance, dispersion;
};

void expect_fit(const Case& points, const Expected& expected, double relative) {
  const LogisticFit fit = points.fit();
  EXPECT_TRUE(fit.converged);
  EXPECT_LT(fit.iterations, 20);
  const auto near = [&](double found, double wanted) { EXPECT_NEAR(found, wanted, relative * std::abs(wanted)); };
  near(fit.b0, expected.b0);
  near(fit.b1, expected.b1);
  near(fit.b0_error, expected.b0_error);
  near(fit.b1_error, expected.b1_error);
  near(fit.deviance, expected.deviance);
  near(fit.null_deviance, expected.null_deviance);
  near(fit.dispersion, expected.dispersion);
}

// By 200 Newton steps in NumPy on the plain normal equations.
TEST(LogisticFit, AgreesWithNewtonInNumPy) {
  expect_fit({{0.1, 0.3, 0.35, 0.5, 0.72, 0.9}, {0.2, 0.0, 0.45, 0.5, 1.0, 0.83}, {1, 2, 1.5, 4, 0.25, 3}},
             {-2.6419069049500927, 4.958934628301741, 0.9019987937267179, 1.6641012136715494, 1.5672893333226496,
              4.920222448571355, 0.26723260562541046},
             1e-9);
  expect_fit({{-3, -1, 0, 0.5, 2, 4, 5, 7}, {0, 0, 1, 0, 1, 0.5, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1}},
             {-0.6151856680593001, 0.624527867099459, 0.9182862834951867, 0.3878541994937219, 5.702774737549696,
              9.57873295530344, 0.7962873741409854},
             1e-9);
}

TEST(LogisticFit, SurvivesALargeOffsetAndZeroWeights) {
  // The reference itself loses six digits to the offset.
  expect_fit({{1000, 1001, 1002, 1003, 1004, 1010}, {0.9, 0.8, 0.85, 0.6, 0.4, 0.1}, {10, 20, 0, 5, 5, 1}},
             {557.127416844342, -0.5551364392820488, 80.00970317000346, 0.07986575314653811, 0.21142226648215612,
              6.85730962846283, 0.0953198394802753},
             1e-6);
}

TEST(LogisticFit, RecoversTheCurveItIsGiven) {
  std::mt19937 random(3);
  for (const auto& [b0, b1] : {std::pair{-2.0, 3.0}, std::pair{0.5, -4.0}, std::pair{6.0, 12.0}, std::pair{1.0, 0.0}}) {
    Case exact;
    for (int i = 0; i < 50; ++i) {
      const double x = static_cast<double>(random()) / 4294967296.0 * 2 - 1;
      exact.x.push_back(x);
      exact.p.push_back(1 / (1 + std::exp(-(b0 + b1 * x))));
      exact.weight.push_back(1 + static_cast<double>(random() % 100));
    }
    const LogisticFit fit = exact.fit();
    EXPECT_TRUE(fit.converged);
    EXPECT_NEAR(fit.b0, b0, 1e-9);
    EXPECT_NEAR(fit.b1, b1, 1e-9);
    EXPECT_NEAR(fit.deviance, 0, 1e-9);
    EXPECT_LT(fit.b1_error, 1e-7);
  }
}

TEST(LogisticFit, CoversTheTruthOfNoisyCounts) {
  std::mt19937 random(4);
  int inside = 0;
  constexpr int repeats = 400;
  for (int r = 0; r < repeats; ++r) {
    Case counts;
    for (int i = 0; i < 40; ++i) {
      const double x = i / 40.0;
      std::binomial_distribution<int> draw(30, 1 / (1 + std::exp(-(-1 + 2.5 * x))));
      counts.x.push_back(x);
      counts.p.push_back(draw(random) / 30.0);
      counts.weight.push_back(30);
    }
    const LogisticFit fit = counts.fit();
    inside += std::abs(fit.b1 - 2.5) < 2.024 * fit.b1_error ? 1 : 0;  // Student t, 38 degrees of freedom
  }
  EXPECT_NEAR(inside, 0.95 * repeats, 4.5 * std::sqrt(0.05 * 0.95 * repeats));
}

TEST(LogisticFit, TwoPointsHaveNoErrors) {
  const LogisticFit fit = Case{{0, 1}, {0.25, 0.75}, {1, 5}}.fit();
  EXPECT_NEAR(fit.b0, -std::log(3.0), 1e-12);
  EXPECT_NEAR(fit.b1, 2 * std::log(3.0), 1e-12);
  EXPECT_TRUE(std::isnan(fit.b0_error) && std::isnan(fit.b1_error) && std::isnan(fit.dispersion));
}

void expect_refused(const Case& points, const char* message) {
  try {
    points.fit();
    ADD_FAILURE() << "accepted, expected " << message;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_THAT(error.what(), HasSubstr(message));
  }
}

TEST(LogisticFit, SeparableDataAreRefused) {
  expect_refused({{0, 1, 2, 3}, {0, 0, 1, 1}, {1, 1, 1, 1}}, "separable");
  expect_refused({{0, 1, 2, 3}, {1, 1, 0, 0}, {1, 1, 1, 1}}, "separable");
  expect_refused({{0, 1, 1, 3}, {0, 0, 1, 1}, {1, 1, 1, 1}}, "separable");  // quasi: they meet at one x
  expect_refused({{0, 1, 3}, {0, 0.5, 1}, {1, 1, 1}}, "separable");         // likewise
  expect_refused({{0, 1, 2}, {0, 0, 0}, {1, 1, 1}}, "separable");           // all failures
  expect_refused({{0, 1, 2}, {1, 1, 1}, {1, 1, 1}}, "separable");           // all successes
  expect_refused({{0, 1, 2, 3}, {0, 1, 0, 1}, {1, 0, 1, 1}}, "separable");  // the overlap has no weight
  EXPECT_NO_THROW((Case{{0, 1, 2, 3}, {0, 1, 0, 1}, {1, 1, 1, 1}}.fit()));
}

TEST(LogisticFit, BadPointsAreRefused) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  expect_refused({{1, 1, 1}, {0, 0.5, 1}, {1, 1, 1}}, "two different x");
  expect_refused({{0, 1}, {0.5, 0.5}, {0, 0}}, "two different x");
  expect_refused({{}, {}, {}}, "two different x");
  expect_refused({{0, 1}, {0.5}, {1, 1}}, "unequal lengths");
  expect_refused({{0, 1}, {0.5, 1.5}, {1, 1}}, "point 1");
  expect_refused({{0, 1}, {nan, 0.5}, {1, 1}}, "point 0");
  expect_refused({{0, nan}, {0.5, 0.5}, {1, 1}}, "point 1");
  expect_refused({{0, 1}, {0.5, 0.5}, {1, -1}}, "point 1");
}

}  // namespace
}  // namespace moecarlo
