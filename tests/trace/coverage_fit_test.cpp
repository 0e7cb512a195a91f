#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/trace/coverage_fit.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::uint32_t length = 12;

// Two sequences, two layers, top-1 of 4: layer 0 of token t chooses expert t % 4, layer 1 expert t / 3 % 4. The first
// sequence calibrates.
RoutingTable small_table() {
  RoutingTable table;
  table.tokens = 2 * length;
  table.layers = 2;
  table.experts = 4;
  table.top_k = 1;
  table.words = 1;
  for (std::uint32_t token = 0; token < table.tokens; ++token) {
    for (const std::uint32_t expert : {token % 4, token / 3 % 4}) table.masks.push_back(std::uint64_t{1} << expert);
  }
  table.sequences = {{0, length}, {length, length}};
  table.split = {{0}, {1}};
  return table;
}

std::vector<std::uint16_t> equal_mass() {
  return std::vector<std::uint16_t>(std::size_t{2} * 2 * length, 65535);
}

double coverage(std::uint32_t token, std::uint32_t capacity) {
  return (token % 4 < capacity ? 0.5 : 0) + (token / 3 % 4 < capacity ? 0.5 : 0);
}

double law(double x) {
  return 1 / (1 + std::exp(1 - 2 * x));
}

// Half of the experts, at 4 and 8 bits, and a quarter at 4; `of` gives the acceptance of what a token drafts.
template <class Of>
CapturedAcceptance captured_with(Of of) {
  CapturedAcceptance captured{{0.5F, 0.5F, 0.25F}, {4, 8, 4}, {}, ""};
  for (const std::uint32_t capacity : {2U, 0U, 1U}) {
    auto& probability = captured.probability.emplace_back(2 * length, 1.0F);
    for (std::uint32_t token = 0; token + 1 < 2 * length; ++token) {
      if (capacity > 0) probability[token + 1] = static_cast<float>(of(token, capacity));
    }
  }
  return captured;
}

TEST(CoverageFit, FindsTheLawThatMadeTheData) {
  const CapturedAcceptance captured =
      captured_with([](std::uint32_t token, std::uint32_t capacity) { return law(coverage(token, capacity)); });
  const CoverageFit fit = fit_coverage(small_table(), equal_mass(), captured, 3);
  EXPECT_EQ(fit.bits, 4U);
  EXPECT_EQ(fit.points, 2 * (length - 1));
  EXPECT_NEAR(fit.law.b0, -1, 1e-6);
  EXPECT_NEAR(fit.law.b1, 2, 1e-6);
  EXPECT_NEAR(fit.explained, 1, 1e-6);
  EXPECT_NEAR(fit.explained_within, 1, 1e-6);
  EXPECT_NEAR(rms_error(fit), 0, 1e-6);
}

TEST(CoverageFit, IsJudgedOnTheEvaluationSequences) {
  // What is held back is accepted half as often, whatever is resident.
  const CapturedAcceptance captured = captured_with([](std::uint32_t token, std::uint32_t capacity) {
    return token < length ? law(coverage(token, capacity)) : capacity == 1 ? 0.25 : 0.5;
  });
  const CoverageFit fit = fit_coverage(small_table(), equal_mass(), captured, 4);
  EXPECT_NEAR(fit.law.b1, 2, 1e-6);
  ASSERT_EQ(fit.cells.size(), 2U);
  double square = 0;
  for (std::size_t c = 0; c < 2; ++c) {
    const std::uint32_t capacity = c == 0 ? 1 : 2;
    EXPECT_EQ(fit.cells[c].cache_fraction, 0.25F * static_cast<float>(capacity));
    EXPECT_NEAR(fit.cells[c].measured, c == 0 ? 0.25 : 0.5, 1e-6);
    double fitted = 0;
    for (std::uint32_t token = length; token + 1 < 2 * length; ++token) fitted += law(coverage(token, capacity));
    EXPECT_NEAR(fit.cells[c].fitted, fitted / (length - 1), 1e-6);
    square += std::pow(fit.cells[c].fitted - fit.cells[c].measured, 2) / 2;
  }
  EXPECT_NEAR(rms_error(fit), std::sqrt(square), 1e-6);
  EXPECT_LT(fit.explained, 1);
  EXPECT_LT(fit.explained_within, 0);  // there is nothing to tell tokens apart by
}

TEST(CoverageFit, SaysTheLawAndHowWellItHolds) {
  CoverageFit fit;
  fit.law.b0 = -1.5;
  fit.law.b1 = 2.25;
  fit.law.deviance = 3;
  fit.law.null_deviance = 4;
  fit.points = 22;
  fit.bits = 4;
  fit.cells = {{0.25F, 0.25, 0.35}, {0.5F, 0.5, 0.4}};
  fit.explained = 0.125;
  fit.explained_within = -0.02;
  EXPECT_THAT(
      fit_sentences(fit),
      ElementsAre(
          AllOf(HasSubstr("logit P = -1.5 + 2.25 x covered gate mass, fitted to 22 captured probabilities at 4 bits"),
                HasSubstr("explains 25.0 % of their deviance")),
          AllOf(HasSubstr("explains 12.5 % of the deviance, and -2.0 % of"),
                HasSubstr("0.25: 0.250 and 0.350; 0.5: 0.500 and 0.400 (root mean square error 0.100)"))));
}

}  // namespace
}  // namespace moecarlo
