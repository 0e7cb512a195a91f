#include "host/statistics/resample.hpp"

#include <Random123/philox.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "host/statistics/metrics.hpp"
#include "tests/statistics/tiny_tallies.hpp"

namespace moecarlo {
namespace {

GroupCounts random_counts(std::uint32_t groups, std::size_t columns) {
  GroupCounts counts{groups, columns, {}};
  std::mt19937_64 random(4);
  for (std::size_t i = 0; i < groups * columns; ++i) counts.counts.push_back(random() >> (8 + random() % 50));
  return counts;
}

/// By inversion of the distribution, from the published generator instead of our own.
std::uint32_t slow_weight(std::uint64_t i) {
  const auto number = static_cast<std::uint32_t>(i / 4);
  const std::uint32_t draw = r123::Philox4x32()({{number, 0, 0, (6U << 24) + (1U << 16)}}, {{0, 2}})[i % 4];
  std::uint32_t weight = 0;
  double term = std::exp(-1.0), below = term;
  for (; (draw + 0.5) / 4294967296.0 > below; below += term) term /= ++weight;
  return weight;
}

TEST(ResampleWeights, are_poisson_counts_of_the_published_generator) {
  const std::vector<std::uint8_t> weights = resample_weights(37);
  ASSERT_EQ(weights.size(), 2000U * 37);
  for (std::size_t i = 0; i < weights.size(); ++i) ASSERT_EQ(weights[i], slow_weight(i)) << i;
}

TEST(ResampleOnHost, sums_weighted_counts_of_every_column) {
  for (const std::size_t columns : {1U, 127U, 300U}) {
    const GroupCounts counts = random_counts(9, columns);
    const std::vector<std::uint8_t> weights = resample_weights(9);
    const std::vector<std::uint64_t> sums = resample_on_host(counts);
    ASSERT_EQ(sums.size(), kResamples * columns);
    for (std::size_t i = 0; i < sums.size(); ++i) {
      std::uint64_t expected = 0;
      for (std::size_t g = 0; g < 9; ++g) {
        expected += weights[i / columns * 9 + g] * counts.counts[g * columns + i % columns];
      }
      ASSERT_EQ(sums[i], expected) << "resample " << i / columns << ", column " << i % columns;
    }
  }
}

/// Ten sequences with random counts in every group record.
Tallies exact_tallies(Walk walk) {
  TallyShape shape = tiny_shape(walk);
  shape.cells[0].batch = 1;
  if (walk == Walk::replay)
    shape.cells[0].acceptance.kind = Acceptance::by_token;  // lengths that another trace would change
  shape.groups = {10, 0, 0};
  Tallies tallies(shape);
  std::mt19937 random(6);
  for (std::uint64_t& counter : tallies.counters) counter = 1 + random() % 1000;
  return tallies;
}

TEST(ExactMetrics, have_in_each_resample_the_quotient_of_resampled_sums) {
  const Tallies tallies = exact_tallies(Walk::replay);
  const Cell& cell = tallies.layout.cells[0];
  const MetricReader reader(tallies);
  const std::vector<std::uint8_t> weights = resample_weights(10);
  constexpr PointAddress kLruAtThree{0, 1, 1};
  const auto rates = reader.quantity("hit_rate", kLruAtThree).replicates;
  const auto tokens = reader.quantity("tokens_per_round", kLruAtThree).replicates;
  ASSERT_EQ(rates.size(), kResamples);
  for (std::size_t r = 0; r < kResamples; ++r) {
    std::uint64_t hits = 0, distinct = 0, emitted = 0, rounds = 0;
    for (std::uint64_t g = 0; g < 10; ++g) {
      const std::uint64_t weight = weights[r * 10 + g];
      hits += weight * tallies.counters[cell.points_by_group + (3 * 10 + g) * cell.point_width() + kHits];
      distinct += weight * tallies.counters[cell.unions_by_group + g * cell.union_width() + kDistinct];
      rounds += weight * tallies.counters[cell.rounds + g];
      for (std::uint64_t a = 0; a < 2; ++a) emitted += weight * (a + 1) * tallies.counters[cell.accepted + 2 * g + a];
    }
    ASSERT_EQ(rates[r], static_cast<double>(hits) / static_cast<double>(distinct));
    ASSERT_EQ(tokens[r], static_cast<double>(emitted) / static_cast<double>(rounds));
  }
}

TEST(ExactMetrics, weight_resampled_slices_with_the_acceptance_law) {
  const Tallies tallies = exact_tallies(Walk::enumerate);  // P(a = 0) = 3/4, P(a = 1) = 1/4
  const Cell& cell = tallies.layout.cells[0];
  const std::vector<std::uint8_t> weights = resample_weights(10);
  const auto found = MetricReader(tallies).quantity("rejected_only", {0, 0, 1}).replicates;
  ASSERT_EQ(found.size(), kResamples);
  for (std::size_t r = 0; r < kResamples; ++r) {
    double fetched = 0, passes = 0;
    for (std::uint64_t g = 0; g < 10; ++g) {
      const std::uint64_t* slices =
          &tallies.counters[cell.points_by_group + (10 + g) * cell.point_width() + kRejectedOnly];
      fetched += weights[r * 10 + g] * (0.75 * static_cast<double>(slices[0]) + 0.25 * static_cast<double>(slices[1]));
      passes += 2.0 * weights[r * 10 + g] * static_cast<double>(tallies.counters[cell.rounds + g]);
    }
    ASSERT_NEAR(found[r], fetched / passes, 1e-12);
  }
}

TEST(ExactMetrics, are_resampled_by_whom_the_caller_names) {
  const Tallies tallies = exact_tallies(Walk::replay);
  int calls = 0;
  const Resample resample = [&](const GroupCounts& groups) {
    ++calls;
    EXPECT_EQ(groups.counts.size(), groups.groups * groups.columns);
    return resample_on_host(groups);
  };
  const MetricReader reader(tallies, resample);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(reader.estimate("misses", {0, 0, 0}).trace_half_width,
            MetricReader(tallies).estimate("misses", {0, 0, 0}).trace_half_width);
}

}  // namespace
}  // namespace moecarlo
