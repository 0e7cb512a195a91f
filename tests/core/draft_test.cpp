#include "cuda/core/draft.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "tests/shared/chi_square.hpp"

namespace moecarlo {
namespace {

using testing::chi_square_deviate;
using testing::kLargestDeviate;
using Mask = ExpertMask<1>;

Mask mask_of(std::uint64_t bits) {
  return Mask::load(&bits);
}

TEST(DrawByWeight, follows_the_weights_of_the_candidates) {
  const std::vector<std::uint32_t> weights = {5, 100, 1, 30, 64, 9};
  const std::uint64_t candidates = 0b111011;  // all but expert 2
  std::vector<std::uint64_t> counts(6, 0);
  DrawAddress at{1, Stream::main, 0, 0, 0, Purpose::draft_replacement};
  for (; at.trajectory < 50'000; ++at.trajectory) {
    ++counts[draw_by_weight(mask_of(candidates), weights.data(), at.draw(0))];
  }
  const double total = 5 + 100 + 30 + 64 + 9;
  const std::vector<double> law = {5 / total, 100 / total, 0, 30 / total, 64 / total, 9 / total};
  EXPECT_LT(chi_square_deviate(counts, law), kLargestDeviate);
}

TEST(DrawByWeight, holds_at_the_extremes_of_draw_and_weight) {
  const std::vector<std::uint32_t> weights(1024, 65535);
  const auto all = ExpertMask<16>::first(1024);
  EXPECT_EQ(draw_by_weight(all, weights.data(), 0), 0U);
  EXPECT_EQ(draw_by_weight(all, weights.data(), ~0U), 1023U);
}

/// Residents that tokens with these choices touch in one layer, replacements by popularity.
std::uint32_t touched_by(const std::vector<std::uint64_t>& choices, std::uint32_t top_k, const Mask& residents,
                         const std::vector<std::uint32_t>& weights, const DrawAddress& at) {
  const DraftLayer layer{static_cast<std::uint32_t>(weights.size()), top_k, weights.data()};
  const auto step = [&](std::uint32_t i) { return StepToken<1>{mask_of(choices[i]), nullptr, i, at.column}; };
  return draft_distinct<1>(layer, step, static_cast<std::uint32_t>(choices.size()), residents, at);
}

TEST(DraftDistinct, of_one_request_is_exact) {
  std::mt19937 random(3);
  const std::vector<std::uint32_t> weights(10, 7);
  for (int i = 0; i < 500; ++i) {
    const std::uint64_t chosen = 1 + random() % 1023;
    const std::uint32_t top_k = count_bits(chosen);
    const Mask residents = mask_of(random() % 1024);
    ASSERT_EQ(touched_by({chosen}, top_k, residents, weights, {}), std::min(top_k, residents.count()));
  }
}

/// Probability of each count of distinct residents when every request draws `missing` replacements without replacement,
/// by weight, from the residents it did not choose: all outcomes, one after the other.
void enumerate(const std::vector<std::uint64_t>& candidates, const std::vector<std::uint32_t>& missing,
               const std::vector<std::uint32_t>& weights, std::size_t request, std::uint32_t drawn, std::uint64_t open,
               std::uint64_t touched, double probability, std::vector<double>& law) {
  if (request == candidates.size()) {
    law[count_bits(touched)] += probability;
    return;
  }
  if (drawn == missing[request]) {
    const std::uint64_t next = request + 1 < candidates.size() ? candidates[request + 1] : 0;
    return enumerate(candidates, missing, weights, request + 1, 0, next, touched, probability, law);
  }
  double total = 0;
  for (std::uint32_t e = 0; e < weights.size(); ++e) total += (open >> e & 1U) != 0 ? weights[e] : 0;
  for (std::uint32_t e = 0; e < weights.size(); ++e) {
    if ((open >> e & 1U) == 0) continue;
    const std::uint64_t bit = std::uint64_t{1} << e;
    enumerate(candidates, missing, weights, request, drawn + 1, open & ~bit, touched | bit,
              probability * weights[e] / total, law);
  }
}

TEST(DraftDistinct, follows_the_law_of_weighted_replacements) {
  const std::vector<std::uint32_t> weights = {40, 20, 9, 5, 3, 2, 1, 1};
  const std::vector<std::uint64_t> choices = {0b11000001, 0b11100000, 0b10010001};  // top-3 of 8
  const std::uint64_t residents = 0b00011111;

  std::vector<std::uint64_t> candidates;
  std::vector<std::uint32_t> missing;
  std::uint64_t touched = 0;
  for (const std::uint64_t chosen : choices) {
    candidates.push_back(residents & ~chosen);
    missing.push_back(3 - count_bits(residents & chosen));
    touched |= residents & chosen;
  }
  std::vector<double> law(6, 0.0);
  enumerate(candidates, missing, weights, 0, 0, candidates[0], touched, 1.0, law);

  std::vector<std::uint64_t> counts(6, 0);
  DrawAddress at{5, Stream::main};
  for (; at.trajectory < 40'000; ++at.trajectory) {
    ++counts[touched_by(choices, 3, mask_of(residents), weights, at)];
  }
  EXPECT_LT(chi_square_deviate(counts, law), kLargestDeviate);
}

TEST(DraftDistinct, saturates_at_the_residents) {
  const std::vector<std::uint64_t> choices = {0b110000, 0b001111, 0b110000};
  const std::vector<std::uint32_t> weights(6, 1);
  EXPECT_EQ(touched_by(choices, 4, mask_of(0b000111), weights, {}), 3U);  // fewer than top-k
  EXPECT_EQ(touched_by(choices, 4, mask_of(0b111111), weights, {}), 6U);  // all chosen by someone
  EXPECT_EQ(touched_by(choices, 4, Mask{}, weights, {}), 0U);             // a cold cache
}

TEST(DraftDistinct, is_at_most_the_residents_and_at_least_what_one_request_uses) {
  std::mt19937 random(11);
  const std::vector<std::uint32_t> weights = {9, 8, 7, 6, 5, 4, 3, 2, 1, 1, 1, 1};
  for (int i = 0; i < 1000; ++i) {
    std::vector<std::uint64_t> choices(4);
    for (std::uint64_t& chosen : choices) {
      while (count_bits(chosen) < 3) chosen |= std::uint64_t{1} << (random() % 12);
    }
    const Mask residents = mask_of(random() % 4096);
    DrawAddress at{1, Stream::main, static_cast<std::uint64_t>(i)};
    const std::uint32_t distinct = touched_by(choices, 3, residents, weights, at);
    ASSERT_LE(distinct, std::min(12U, residents.count()));
    ASSERT_GE(distinct, std::min(3U, residents.count()));
  }
}

TEST(RestrictedRouting, takes_the_best_scoring_residents_in_score_order) {
  std::mt19937 random(17);
  const std::vector<std::uint32_t> weights(20, 1);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::uint16_t> order(20);
    std::iota(order.begin(), order.end(), std::uint16_t{0});
    std::shuffle(order.begin(), order.end(), random);
    const std::uint32_t top_k = 1 + random() % 6;
    Mask chosen, expected;
    for (std::uint32_t k = 0; k < top_k; ++k) chosen.insert(order[k]);
    const Mask residents = mask_of(random() % (1U << 20));
    for (const std::uint16_t expert : order) {  // what a router would choose if the others did not exist
      if (residents.contains(expert) && expected.count() < top_k) expected.insert(expert);
    }
    const DraftLayer layer{20, top_k, weights.data()};
    const Mask used = restricted_routing<1>(layer, {chosen, order.data(), 0, 0}, residents, {});
    ASSERT_EQ(used.word[0], expected.word[0]);
  }
}

TEST(GateMassOf, sums_the_shares_of_all_choices_and_of_resident_ones) {
  const std::uint16_t mass[] = {100, 20, 3};  // of experts 1, 4, 5
  const GateMass sum = gate_mass_of(mask_of(0b110010), mask_of(0b100011), mass);
  EXPECT_EQ(sum.all, 123U);
  EXPECT_EQ(sum.resident, 103U);
}

TEST(CountedStep, moves_on_by_one_each_round_and_touches_once_in_sixteen) {
  for (std::uint64_t trajectory = 0; trajectory < 100; ++trajectory) {
    for (std::uint32_t depth = 1; depth <= 20; ++depth) {
      std::uint32_t touched = 0;
      for (std::uint32_t round = 0; round < 16; ++round) {
        ASSERT_EQ(counted_step(trajectory, round + 1, depth), (counted_step(trajectory, round, depth) + 1) % depth);
        touched += counts_touched(trajectory, round) ? 1 : 0;
      }
      ASSERT_EQ(touched, 1U);
    }
  }
}

TEST(CountedStep, shows_every_group_of_trajectories_all_rounds_and_steps_alike) {
  const std::uint32_t depth = 8;
  for (std::uint32_t group = 0; group < 64; ++group) {
    std::vector<std::uint64_t> rounds(16, 0), steps(depth, 0), touched_steps(depth, 0);
    for (std::uint64_t trajectory = group; trajectory < 64 * 1024; trajectory += 64) {
      for (std::uint32_t round = 0; round < 16; ++round) {
        const std::uint32_t step = counted_step(trajectory, round, depth);
        ++steps[step];
        if (!counts_touched(trajectory, round)) continue;
        ++rounds[round];
        ++touched_steps[step];
      }
    }
    for (const std::uint64_t count : steps) EXPECT_EQ(count, 1024U * 16 / depth) << group;
    for (const std::uint64_t count : rounds) EXPECT_NEAR(static_cast<double>(count), 1024.0 / 16, 8) << group;
    for (const std::uint64_t count : touched_steps)
      EXPECT_NEAR(static_cast<double>(count), 1024.0 / depth, 16) << group;
  }
}

}  // namespace
}  // namespace moecarlo
