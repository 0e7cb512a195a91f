#include "host/weights/similarity.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/support/float16.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

/// What the weights stand for.
std::vector<double> values_of(const WeightMatrix& matrix) {
  std::vector<double> values;
  for (std::uint64_t i = 0; i < matrix.weights.size(); ++i) {
    const std::uint64_t group = i / matrix.columns * matrix.groups() + i % matrix.columns / 32;
    values.push_back(float16_to_float(matrix.scales[group]) * matrix.weights[i]);
  }
  return values;
}

double slow_cosine(const WeightMatrix& a, const WeightMatrix& b) {
  const auto x = values_of(a), y = values_of(b);
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  return xy / std::sqrt(xx * yy);
}

TEST(Similarity, is_the_cosine_of_what_the_weights_stand_for) {
  const WeightMatrix a = gaussian_matrix(37, 100, 1), b = gaussian_matrix(37, 100, 2);
  EXPECT_NEAR(cosine(a, b), slow_cosine(a, b), 1e-12);
  EXPECT_DOUBLE_EQ(cosine(a, a), 1);
  WeightMatrix negative = a;
  for (std::int8_t& weight : negative.weights) weight = static_cast<std::int8_t>(-weight);
  EXPECT_DOUBLE_EQ(cosine(a, negative), -1);
  WeightMatrix zeros = a;
  zeros.weights.assign(zeros.weights.size(), 0);
  EXPECT_EQ(cosine(a, zeros), 0);
}

TEST(Similarity, takes_every_pair_once_and_names_the_most_alike) {
  std::vector<WeightMatrix> matrices;
  for (std::uint32_t seed = 0; seed < 5; ++seed) matrices.push_back(gaussian_matrix(16, 64, seed));
  for (std::size_t i = 0; i < 512; ++i) matrices[4].weights[i] = matrices[1].weights[i];  // half of it
  double sum = 0;
  for (std::size_t a = 0; a < 5; ++a) {
    for (std::size_t b = a + 1; b < 5; ++b) sum += slow_cosine(matrices[a], matrices[b]);
  }
  const Similarity found = similarity(matrices, 3), alone = similarity(matrices, 1);
  EXPECT_EQ(found.pairs, 10U);
  EXPECT_NEAR(found.sum, sum, 1e-12);
  EXPECT_EQ(found.first, 1U);
  EXPECT_EQ(found.second, 4U);
  EXPECT_NEAR(found.largest, slow_cosine(matrices[1], matrices[4]), 1e-12);
  EXPECT_EQ(found.sum, alone.sum);
  EXPECT_EQ(similarity(std::span(matrices).first(1), 1).pairs, 0U);
}

}  // namespace
}  // namespace moecarlo
