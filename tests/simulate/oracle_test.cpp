#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/shared/environment.hpp"
#include "tests/shared/oracle_suite.hpp"
#include "tests/shared/random_study.hpp"
#include "tests/simulate/engines.hpp"

namespace moecarlo {
namespace {

constexpr std::uint32_t kTests = 12;  // the studies are dealt to so many tests, which may run at a time
constexpr double kProbability = 0.001;

class EveryEngine : public ::testing::TestWithParam<std::uint32_t> {};

/// Every `kTests`-th study from the parameter on.
void compare_every(std::uint32_t first, std::uint32_t studies, std::uint32_t (*number_of)(std::uint32_t)) {
  const double scale = testing::parameter("MOECARLO_ORACLE_SCALE", 1);
  std::vector<testing::Simulate> engines = testing::on_every_cpu();
  engines.insert(engines.end(),
                 {testing::simulate_drawn_ahead, testing::simulate_lru_grids, testing::simulate_bundles});
  testing::Deviations deviations;
  for (std::uint32_t n = first; n < studies; n += kTests) {
    testing::compare_with_oracle(number_of(n), engines, scale, deviations);
  }
  const double bound = testing::largest_deviate(deviations.comparisons, kProbability / kTests);
  EXPECT_LT(deviations.largest, bound) << deviations.where;
  ::testing::Test::RecordProperty("comparisons", std::to_string(deviations.comparisons));
  ::testing::Test::RecordProperty("largest", std::to_string(deviations.largest));
}

// MOECARLO_ORACLE_STUDIES: random studies in all. MOECARLO_ORACLE_SCALE: trajectories of each, in units of a usual run.
TEST_P(EveryEngine, AgreesWithTheOracleOnRandomStudies) {
  const auto studies = static_cast<std::uint32_t>(testing::parameter("MOECARLO_ORACLE_STUDIES", 60));
  compare_every(GetParam(), studies, [](std::uint32_t n) { return n; });
}

// MOECARLO_DEMAND_STUDIES: the same of those that may have demand rules.
TEST_P(EveryEngine, AgreesWithTheOracleOnStudiesWithDemandRules) {
  const auto studies = static_cast<std::uint32_t>(testing::parameter("MOECARLO_DEMAND_STUDIES", 24));
  compare_every(GetParam(), studies, testing::demand_study);
}

/// Of the studies behind the usual ones the first `count` of a kind.
void expect_agreement(std::uint32_t count, bool (*is_of_kind)(const Study& study)) {
  testing::Deviations deviations;
  for (std::uint32_t number = 121; count > 0; ++number) {
    if (!is_of_kind(testing::random_study(number).study)) continue;
    testing::compare_with_oracle(number, testing::on_every_cpu(), 0.2, deviations);
    --count;
  }
  EXPECT_LT(deviations.largest, testing::largest_deviate(deviations.comparisons, kProbability)) << deviations.where;
}

TEST(EveryHistogram, AgreesWithTheOracleOfTreesAndWithDemandRules) {
  expect_agreement(2, [](const Study& study) { return study.histograms != 0 && study.draft.width > 1; });
  expect_agreement(2, [](const Study& study) { return study.histograms != 0 && study.demand.has_value(); });
}

TEST(MissRate, AgreesWithTheOracle) {
  expect_agreement(6, [](const Study& study) {
    return study.demand && study.demand->stated.count("miss_rate") > 0 && study.rounds > 2;
  });
}

INSTANTIATE_TEST_SUITE_P(RandomStudies, EveryEngine, ::testing::Range(0U, kTests));

}  // namespace
}  // namespace moecarlo
