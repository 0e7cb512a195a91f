#include <gtest/gtest.h>

#include "cuda/core/prefetch/predictors.hpp"
#include "host/simulate/partners.hpp"
#include "host/study/parse_study.hpp"
#include "host/support/error.hpp"
#include "tests/shared/dice.hpp"
#include "tests/shared/oracle_suite.hpp"
#include "tests/simulate/engines.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo::testing {
namespace {

/// Gives a study a predictor, any that is possible.
void foresee(RandomStudy& random, std::uint32_t number) {
  Dice dice(number);
  for (int attempt = 0; attempt < 20; ++attempt) {
    Study study = random.study;
    study.prefetch = PrefetchSpec{Predictor{dice.below(kPredictors)}, {1}, std::nullopt};
    if (random.trace.layers > 2 && dice.heads()) study.prefetch->leads = {1, 2};
    const bool sized = with_predictor(study.prefetch->predictor, [](auto one) { return decltype(one)::kTakesExperts; });
    if (sized && dice.heads()) study.prefetch->experts = dice.between(1, 3);
    try {
      check_study(study, "study");
    } catch (const Error&) {
      continue;
    }
    random.study = study;
    return;
  }
}

bool can_foresee(const RandomStudy& random) {
  return random.trace.layers > 1 && random.study.mode != Mode::exhaustive && random.study.cache.scope == Scope::layer &&
         random.study.cache.objects == Objects::experts;
}

TEST(Prefetches, AgreeWithTheOracleOnRandomStudies) {
  Deviations deviations;
  int studies = 0;
  for (std::uint32_t number = 0; studies < 6; ++number) {
    if (!can_foresee(random_study(number))) continue;
    compare_with_oracle(number, on_every_cpu(), 0.1, deviations, [&](RandomStudy& random) { foresee(random, number); });
    ++studies;
  }
  EXPECT_LT(deviations.largest, largest_deviate(deviations.comparisons, 0.001)) << deviations.where;
}

/// Two layers, one expert a token: three tokens choose 0 first, and then 0 twice and 1 once; one chooses 1, then 2.
TEST(Prefetches, LearnWhichExpertsMeet) {
  TableSpec spec;
  spec.layers = 2;
  spec.experts = 4;
  spec.top_k = 1;
  spec.lengths = {4};
  const RoutingTable table = pack_table(spec, {0, 0, 0, 0, 0, 1, 1, 2});
  const auto of_second_layer = [&](std::uint32_t count, std::uint32_t expert) {
    return most_met_partners(table, {1}, count)[4 + expert];
  };
  EXPECT_EQ(of_second_layer(1, 0), 0b0001U);
  EXPECT_EQ(of_second_layer(2, 0), 0b0011U);
  EXPECT_EQ(of_second_layer(2, 1), 0b0100U) << "experts that never met are left out";
  EXPECT_EQ(of_second_layer(2, 2), 0U);
  EXPECT_EQ(most_met_partners(table, {1}, 2)[0], 0U) << "layer 0 has none before it";
}

}  // namespace
}  // namespace moecarlo::testing
