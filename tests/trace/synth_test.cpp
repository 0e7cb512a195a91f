#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <set>

#include "host/support/error.hpp"
#include "host/trace/synth.hpp"
#include "host/trace/synth_logits.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using ::testing::HasSubstr;

class SynthFile : public ::testing::Test {
 protected:
  const testing::ScratchFolder folder_;
  const std::filesystem::path path_ = folder_ / "trace.h5";

  TraceReader written(const SynthOptions& options, unsigned threads = 2) {
    write_synthetic_trace(path_, SynthLaw(options), threads, {});
    return TraceReader(path_);
  }

  SynthFigures realised(const SynthOptions& options) {
    return measure_synthetic_trace(written(options), SynthLaw(options), 2, {});
  }
};

SynthOptions structured() {
  SynthOptions options;
  options.layers = 6;
  options.sequences = 60;
  options.tokens_per_sequence = 120;
  options.length_spread = 0.4;
  options.zipf = 0.8;
  options.stickiness = 0.4;
  options.topics = 4;
  options.topic_strength = 0.3;
  return options;
}

void expect_within_errors(const SynthEstimate& estimate, double requested) {
  EXPECT_GT(estimate.standard_error, 0);
  EXPECT_LT(estimate.standard_error, 0.03);
  EXPECT_NEAR(estimate.value, requested, 4 * estimate.standard_error);
}

TEST_F(SynthFile, RealisesTheRequestedParametersInBothForms) {
  for (const TraceForm form : {TraceForm::expert_ids, TraceForm::logits_float16, TraceForm::logits_float32}) {
    SynthOptions options = structured();
    options.form = form;
    const SynthFigures figures = realised(options);
    expect_within_errors(figures.zipf, 0.8);
    expect_within_errors(figures.stickiness, 0.4);
    expect_within_errors(figures.topic_strength, 0.3);
  }
}

TEST_F(SynthFile, MeasuresNoStructureWhereNoneWasAskedFor) {
  SynthOptions options;
  options.layers = 6;
  const SynthFigures figures = realised(options);
  expect_within_errors(figures.zipf, 0);
  expect_within_errors(figures.stickiness, 0);
  EXPECT_TRUE(std::isnan(figures.topic_strength.value)) << "one topic owns every expert";
  // Neighbours share k / E of their experts; a token's share has the variance of a hypergeometric count.
  const double share = 4.0 / 32, variance = 4 * share * (1 - share) * (28.0 / 31) / 16;
  const double pairs = static_cast<double>(figures.tokens - figures.sequences) * options.layers;
  EXPECT_NEAR(figures.adjacent_overlap, share, 4 * std::sqrt(variance / pairs));
}

TEST_F(SynthFile, EstimatesHaveTheErrorsTheyClaim) {
  // Over many seeds the deviations, in standard errors, have mean square 1 (plus or minus 4 sqrt(2 / n)).
  const int seeds = 150;
  double zipf = 0, stickiness = 0, topic_strength = 0;
  SynthOptions options = structured();
  options.layers = 2;
  options.sequences = 40;
  for (int seed = 0; seed < seeds; ++seed) {
    options.seed = static_cast<std::uint32_t>(seed);
    const SynthFigures figures = realised(options);
    const auto squared = [](const SynthEstimate& estimate, double requested) {
      return std::pow((estimate.value - requested) / estimate.standard_error, 2);
    };
    zipf += squared(figures.zipf, 0.8) / seeds;
    stickiness += squared(figures.stickiness, 0.4) / seeds;
    topic_strength += squared(figures.topic_strength, 0.3) / seeds;
  }
  const double bound = 4 * std::sqrt(2.0 / seeds);
  EXPECT_NEAR(zipf, 1, bound);
  EXPECT_NEAR(stickiness, 1, bound);
  EXPECT_NEAR(topic_strength, 1, bound);
}

TEST_F(SynthFile, IsTheSameOnAnyNumberOfThreads) {
  SynthOptions options = structured();
  options.form = TraceForm::logits_float16;
  const auto logits = [&](unsigned threads) {
    const TraceReader trace = written(options, threads);
    return trace.read_logits(0, trace.info().tokens);
  };
  const std::vector<float> one = logits(1);
  EXPECT_TRUE(logits(5) == one);
  options.seed = 2;
  EXPECT_FALSE(logits(5) == one);
}

TEST_F(SynthFile, HoldsTheSameRoutingAsIdsAndAsLogits) {
  SynthOptions options = structured();
  const TraceReader ids = written(options);
  const Choices as_ids = ids.read_choices(0, ids.info().tokens);
  for (const TraceForm form : {TraceForm::logits_float16, TraceForm::logits_float32}) {
    options.form = form;
    const TraceReader logits = written(options);
    EXPECT_EQ(logits.read_choices(0, logits.info().tokens).ids, as_ids.ids);
    EXPECT_EQ(logits.sequence_offsets(), ids.sequence_offsets());
  }
}

TEST_F(SynthFile, HoldsWhatTheLawDrawsWhereverBlocksCutIt) {
  const SynthOptions options = structured();
  const SynthLaw law(options);
  for (const std::uint64_t values_per_block : {1U, 1000U, 1U << 24}) {
    write_synthetic_trace(path_, law, 2, {}, values_per_block);
    const TraceReader trace(path_);
    const Choices choices = trace.read_choices(0, trace.info().tokens);
    for (std::uint64_t sequence = 0; sequence < options.sequences; sequence += 7) {
      for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
        std::vector<std::uint16_t> drawn(options.top_k);
        for (std::uint32_t token = 0; token < law.length_of(sequence); ++token) {
          law.advance(sequence, law.topic_of(sequence), token, layer, drawn);
          const auto stored = choices.at(trace.sequence_offsets()[sequence] + token, layer);
          ASSERT_TRUE(std::equal(stored.begin(), stored.end(), drawn.begin()));
        }
      }
    }
  }
}

TEST_F(SynthFile, SaysThatItIsSyntheticAndFromWhichOptions) {
  const TraceReader trace = written(structured());
  EXPECT_EQ(trace.info().model, "synthetic");
  EXPECT_EQ(trace.info().created_by, "moecarlo synth");
  EXPECT_THAT(trace.info().source, HasSubstr("synthetic: moecarlo synth --layers 6 --experts 32"));
  EXPECT_THAT(trace.info().source, HasSubstr("--zipf 0.8 --stickiness 0.4 --topics 4 --topic-strength 0.3"));
  EXPECT_EQ(trace.phase(), std::vector<std::uint8_t>(trace.info().tokens, 1));
}

TEST_F(SynthFile, HasTheLengthsOfItsLaw) {
  const SynthLaw law(structured());
  const TraceReader trace = written(structured());
  const auto& offsets = trace.sequence_offsets();
  ASSERT_EQ(offsets.size(), 61U);
  for (std::uint64_t s = 0; s < 60; ++s) EXPECT_EQ(offsets[s + 1] - offsets[s], law.length_of(s));
  EXPECT_EQ(offsets.back(), total_tokens(law));
}

TEST(SynthRequest, LengthsAreFixedOrUniformOverTheSpread) {
  SynthOptions options;
  options.tokens_per_sequence = 200;
  EXPECT_EQ(SynthLaw(options).length_of(17), 200U);
  options.length_spread = 0.5;
  options.sequences = 2000;
  const SynthLaw law(options);
  double sum = 0;
  for (std::uint64_t s = 0; s < options.sequences; ++s) {
    const auto length = law.length_of(s);
    EXPECT_GE(length, 100U);
    EXPECT_LE(length, 300U);
    sum += length;
  }
  EXPECT_NEAR(sum / 2000, 200, 4 * (200 / std::sqrt(12.0)) / std::sqrt(2000.0));
}

TEST(SynthRequest, ValuesOutOfRangeAreUsageErrors) {
  const auto refused = [](auto change) {
    SynthOptions options;
    change(options);
    try {
      check(options);
    } catch (const Error& error) {
      return error.kind() == ErrorKind::usage;
    }
    return false;
  };
  EXPECT_TRUE(refused([](SynthOptions& o) { o.layers = 0; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.layers = 1025; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.top_k = 33; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.sequences = 0; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.tokens_per_sequence = 0; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.length_spread = 1.5; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.zipf = -1; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.zipf = std::nan(""); }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.stickiness = 1.01; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.topics = 33; }));
  EXPECT_TRUE(refused([](SynthOptions& o) { o.topic_strength = -0.1; }));
}

TEST(SynthLogits, PutTheChosenOnTopInSlotOrderWithoutTiesInHalfPrecision) {
  for (const std::uint32_t experts : {1U, 5U, 64U, 1024U}) {
    SynthOptions options;
    options.layers = 1;
    options.experts = experts;
    options.top_k = std::min(experts, 3U);
    options.zipf = 2;
    const SynthLaw law(options);
    std::vector<std::uint16_t> chosen(options.top_k);
    std::vector<float> logits(experts);
    for (std::uint32_t token = 0; token < 50; ++token) {
      law.advance(0, 0, token, 0, chosen);
      draw_logits(law, 0, 0, token, 0, chosen, logits);
      std::vector<float> sorted = logits;
      std::sort(sorted.begin(), sorted.end(), std::greater<>());
      for (std::size_t slot = 0; slot < chosen.size(); ++slot) ASSERT_EQ(logits[chosen[slot]], sorted[slot]);
      ASSERT_EQ(std::set<float>(logits.begin(), logits.end()).size(), experts);
      for (const float logit : logits) {
        // Integers of at most 11 bits, scaled by a power of two: exact in float16.
        ASSERT_EQ(logit * 64, std::round(logit * 64));
        ASSERT_LE(std::abs(logit), 32);
      }
    }
  }
}

TEST(SynthLogits, AreLogWeightsPlusGumbelNoiseWhereNothingIsCarriedOver) {
  SynthOptions options;
  options.layers = 1;
  options.experts = 6;
  options.top_k = 2;
  options.zipf = 1.2;
  const SynthLaw law(options);
  const std::uint32_t tokens = 40000;
  std::vector<double> sum(6), squares(6);
  std::vector<std::uint16_t> chosen(2);
  std::vector<float> logits(6);
  for (std::uint32_t token = 0; token < tokens; ++token) {
    law.advance(0, 0, token, 0, chosen);
    draw_logits(law, 0, 0, token, 0, chosen, logits);
    for (std::size_t e = 0; e < 6; ++e) {
      sum[e] += logits[e];
      squares[e] += logits[e] * logits[e];
    }
  }
  // A Gumbel variate has mean 0.5772 and variance pi^2 / 6; its fourth central moment is 5.4 times the variance
  // squared.
  const double variance = std::acos(-1.0) * std::acos(-1.0) / 6;
  for (std::uint32_t e = 0; e < 6; ++e) {
    const double mean = sum[e] / tokens;
    EXPECT_NEAR(mean, std::log(law.probability(0, 0, e)) + 0.57721566, 4 * std::sqrt(variance / tokens));
    EXPECT_NEAR(squares[e] / tokens - mean * mean, variance, 4 * variance * std::sqrt(4.4 / tokens));
  }
}

}  // namespace
}  // namespace moecarlo
