#include "cuda/core/acceptance.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/shared/chi_square.hpp"

namespace moecarlo {
namespace {

constexpr Threshold kAlways = Threshold{1} << 32;

Threshold threshold(double probability) {
  return static_cast<Threshold>(std::llround(probability * 4294967296.0));
}

std::vector<std::uint64_t> lengths(const std::vector<Threshold>& thresholds, std::uint64_t draws) {
  const auto depth = static_cast<std::uint32_t>(thresholds.size());
  std::vector<std::uint64_t> counts(depth + 1, 0);
  DrawAddress at{17, Stream::main};
  for (; at.trajectory < draws; ++at.trajectory) ++counts[accepted_length(at, thresholds.data(), depth)];
  return counts;
}

TEST(AcceptedLength, follows_the_geometric_law_of_constant_acceptance) {
  for (const double b : {0.2, 0.5, 0.8}) {
    for (const std::uint32_t depth : {1U, 3U, 4U, 5U, 9U}) {
      const std::uint64_t draws = 40'000;
      const auto counts = lengths(std::vector<Threshold>(depth, threshold(b)), draws);
      std::vector<double> law;
      double mean = 0;
      for (std::uint32_t a = 0; a < depth; ++a) law.push_back(std::pow(b, a) * (1 - b));
      law.push_back(std::pow(b, depth));
      for (std::uint32_t a = 0; a <= depth; ++a) mean += a * static_cast<double>(counts[a]) / draws;
      EXPECT_LT(testing::chi_square_deviate(counts, law), testing::kLargestDeviate) << b << " " << depth;
      const double expected = b * (1 - std::pow(b, depth)) / (1 - b);
      EXPECT_NEAR(mean, expected, 4 * depth / (2 * std::sqrt(draws))) << b << " " << depth;  // sd of a <= depth / 2
    }
  }
}

TEST(AcceptedLength, follows_conditional_probabilities_of_each_position) {
  const std::vector<double> p = {0.9, 0.3, 1.0, 0.6, 0.5, 0.7};
  std::vector<Threshold> thresholds;
  std::vector<double> law;
  double reached = 1;
  for (const double accept : p) {
    thresholds.push_back(threshold(accept));
    law.push_back(reached * (1 - accept));
    reached *= accept;
  }
  law.push_back(reached);
  EXPECT_LT(testing::chi_square_deviate(lengths(thresholds, 60'000), law), testing::kLargestDeviate);
}

TEST(AcceptedLength, is_certain_at_thresholds_zero_and_two_to_the_32) {
  EXPECT_EQ(lengths({kAlways, kAlways, kAlways, kAlways, kAlways}, 5000)[5], 5000U);
  EXPECT_EQ(lengths({0, kAlways, kAlways}, 5000)[0], 5000U);
  EXPECT_EQ(lengths({kAlways, kAlways, 0, kAlways}, 5000)[2], 5000U);
  EXPECT_EQ(lengths({}, 100)[0], 100U);
  EXPECT_EQ(lengths(std::vector<Threshold>(255, kAlways), 10)[255], 10U);
}

TEST(AcceptedLength, of_a_shorter_draft_is_that_of_the_longer_one_cut_off) {
  const std::vector<Threshold> thresholds(12, threshold(0.8));
  for (std::uint64_t trajectory = 0; trajectory < 2000; ++trajectory) {
    const DrawAddress at{3, Stream::main, trajectory, 7, 2};
    const std::uint32_t longest = accepted_length(at, thresholds.data(), 12);
    for (std::uint32_t depth = 0; depth < 12; ++depth) {
      ASSERT_EQ(accepted_length(at, thresholds.data(), depth), std::min(longest, depth));
    }
  }
}

TEST(AcceptedLength, differs_between_rounds_requests_and_trajectories) {
  const std::vector<Threshold> thresholds(8, threshold(0.5));
  const auto length = [&](std::uint64_t trajectory, std::uint32_t round, std::uint32_t request) {
    return accepted_length({1, Stream::main, trajectory, round, request}, thresholds.data(), 8);
  };
  int by_trajectory = 0, by_round = 0, by_request = 0;
  for (std::uint32_t i = 1; i < 200; ++i) {
    by_trajectory += length(i, 0, 0) != length(0, 0, 0) ? 1 : 0;
    by_round += length(0, i, 0) != length(0, 0, 0) ? 1 : 0;
    by_request += length(0, 0, i) != length(0, 0, 0) ? 1 : 0;
  }
  EXPECT_GT(std::min({by_trajectory, by_round, by_request}), 50);
}

}  // namespace
}  // namespace moecarlo
