#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "host/trace/synth_law.hpp"

namespace moecarlo {
namespace {

using Chosen = std::vector<std::uint16_t>;

/// Upper bound of a chi-square variate that one fair sample in ten thousand exceeds (Wilson and Hilferty, 1931).
double chi_square_bound(double degrees) {
  const double spread = 2 / (9 * degrees);
  return degrees * std::pow(1 - spread + 3.72 * std::sqrt(spread), 3);
}

/// Chi-square of counted against expected numbers; both maps have the same keys.
template <class Key>
double chi_square(const std::map<Key, double>& counted, const std::map<Key, double>& expected) {
  double sum = 0;
  for (const auto& [key, want] : expected) {
    const auto found = counted.find(key);
    const double have = found == counted.end() ? 0 : found->second;
    sum += (have - want) * (have - want) / want;
  }
  return sum;
}

/// Calls body(sequence, topic, layer, token, before, now) for every token; `before` is empty at sequence starts.
template <class Body>
void walk(const SynthLaw& law, Body body) {
  for (std::uint64_t sequence = 0; sequence < law.options().sequences; ++sequence) {
    const std::uint32_t topic = law.topic_of(sequence);
    for (std::uint32_t layer = 0; layer < law.options().layers; ++layer) {
      Chosen now(law.options().top_k), before;
      for (std::uint32_t token = 0; token < law.length_of(sequence); ++token) {
        law.advance(sequence, topic, token, layer, now);
        body(topic, layer, token, before, now);
        before = now;
      }
    }
  }
}

SynthOptions small_options(std::uint32_t experts, std::uint32_t top_k) {
  SynthOptions options;
  options.layers = 3;
  options.experts = experts;
  options.top_k = top_k;
  options.sequences = 100;
  options.tokens_per_sequence = 200;
  return options;
}

/// Probability that slots filled with `filled` are followed by `expert` in a draw without replacement.
double next_draw(const std::vector<double>& weights, const Chosen& filled, std::uint16_t expert) {
  double left = 1;
  for (const auto taken : filled) {
    if (taken == expert) return 0;
    left -= weights[taken];
  }
  return weights[expert] / left;
}

std::vector<double> weights_of(const SynthLaw& law, std::uint32_t topic, std::uint32_t layer) {
  std::vector<double> weights;
  for (std::uint32_t e = 0; e < law.options().experts; ++e) weights.push_back(law.probability(topic, layer, e));
  return weights;
}

TEST(SynthLaw, WithoutStructureEveryUniformSubsetIsEquallyLikely) {
  const SynthLaw law(small_options(6, 3));
  std::map<Chosen, double> counted, expected;
  double tokens = 0;
  walk(law, [&](std::uint32_t, std::uint32_t, std::uint32_t, const Chosen&, Chosen now) {
    std::sort(now.begin(), now.end());
    ++counted[now];
    ++tokens;
  });
  ASSERT_EQ(counted.size(), 20U);  // 6 choose 3
  for (const auto& [subset, count] : counted) expected[subset] = tokens / 20;
  EXPECT_LT(chi_square(counted, expected), chi_square_bound(19));
}

TEST(SynthLaw, WithoutStructureConsecutiveTokensAreIndependent) {
  const SynthLaw law(small_options(4, 2));
  std::map<std::pair<Chosen, Chosen>, double> counted, expected;
  double pairs = 0;
  walk(law, [&](std::uint32_t, std::uint32_t, std::uint32_t token, const Chosen& before, const Chosen& now) {
    if (token == 0) return;
    ++counted[{before, now}];
    ++pairs;
  });
  ASSERT_EQ(counted.size(), 144U);  // ordered pairs of 4, twice
  for (const auto& [pair, count] : counted) expected[pair] = pairs / 144;
  EXPECT_LT(chi_square(counted, expected), chi_square_bound(143));
}

TEST(SynthLaw, WithoutStructureDistinctExpertsFollowTheClosedForm) {
  // E|U| = E (1 - (1 - k / E)^n) over n independent tokens.
  const SynthLaw law(small_options(32, 4));
  const std::uint32_t window = 5;
  double sum = 0, squares = 0, windows = 0;
  std::set<std::uint16_t> seen;
  walk(law, [&](std::uint32_t, std::uint32_t, std::uint32_t token, const Chosen&, const Chosen& now) {
    seen.insert(now.begin(), now.end());
    if (token % window != window - 1) return;
    const auto distinct = static_cast<double>(seen.size());
    sum += distinct;
    squares += distinct * distinct;
    ++windows;
    seen.clear();
  });
  const double mean = sum / windows, error = std::sqrt((squares / windows - mean * mean) / windows);
  EXPECT_NEAR(mean, 32 * (1 - std::pow(1 - 4.0 / 32, window)), 4 * error);
}

TEST(SynthLaw, WeightsFollowTheZipfExponentInRankOrder) {
  SynthOptions options = small_options(7, 2);
  options.zipf = 1.3;
  const SynthLaw law(options);
  double norm = 0;
  for (int rank = 1; rank <= 7; ++rank) norm += std::pow(rank, -1.3);
  for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
    std::set<std::uint32_t> ranks;
    for (std::uint32_t expert = 0; expert < 7; ++expert) {
      ranks.insert(law.rank_of(layer, expert));
      EXPECT_NEAR(law.probability(0, layer, expert), std::pow(law.rank_of(layer, expert) + 1, -1.3) / norm, 1e-8);
    }
    EXPECT_EQ(ranks.size(), 7U);
  }
}

TEST(SynthLaw, TokensAreSuccessiveWeightedDrawsWithoutReplacement) {
  SynthOptions options = small_options(5, 3);
  options.layers = 1;
  options.zipf = 1.0;
  options.sequences = 300;
  const SynthLaw law(options);
  const std::vector<double> weights = weights_of(law, 0, 0);
  std::map<Chosen, double> counted, expected;
  double tokens = 0;
  walk(law, [&](std::uint32_t, std::uint32_t, std::uint32_t, const Chosen&, const Chosen& now) {
    ++counted[now];
    ++tokens;
  });
  for (std::uint16_t a = 0; a < 5; ++a) {
    for (std::uint16_t b = 0; b < 5; ++b) {
      for (std::uint16_t c = 0; c < 5; ++c) {
        const double p = next_draw(weights, {}, a) * next_draw(weights, {a}, b) * next_draw(weights, {a, b}, c);
        if (p > 0) expected[{a, b, c}] = tokens * p;
      }
    }
  }
  ASSERT_EQ(expected.size(), 60U);
  EXPECT_LT(chi_square(counted, expected), chi_square_bound(59));
}

TEST(SynthLaw, StickySlotsFollowTheStatedTransitionsFromEveryState) {
  SynthOptions options = small_options(4, 2);
  options.layers = 1;
  options.zipf = 0.7;
  options.stickiness = 0.4;
  options.sequences = 500;
  const SynthLaw law(options);
  const std::vector<double> weights = weights_of(law, 0, 0);
  std::map<std::pair<Chosen, Chosen>, double> counted, expected;
  std::map<Chosen, double> left;
  walk(law, [&](std::uint32_t, std::uint32_t, std::uint32_t token, const Chosen& before, const Chosen& now) {
    if (token == 0) return;
    ++counted[{before, now}];
    ++left[before];
  });
  ASSERT_EQ(left.size(), 12U);
  for (const auto& [x, visits] : left) {
    for (std::uint16_t a = 0; a < 4; ++a) {
      for (std::uint16_t b = 0; b < 4; ++b) {
        if (a == b) continue;
        const double first = 0.4 * (a == x[0]) + 0.6 * next_draw(weights, {}, a);
        const double fresh = next_draw(weights, {a}, b);
        const double second = x[1] == a ? fresh : 0.4 * (b == x[1]) + 0.6 * fresh;
        expected[{x, {a, b}}] = visits * first * second;
      }
    }
  }
  EXPECT_LT(chi_square(counted, expected), chi_square_bound(12 * 11));
}

TEST(SynthLaw, TopicsAreUniformAndTiltSlot0AsStated) {
  SynthOptions options = small_options(6, 2);
  options.layers = 1;
  options.zipf = 0.5;
  options.topics = 3;
  options.topic_strength = 0.3;
  options.sequences = 900;
  options.tokens_per_sequence = 60;
  const SynthLaw law(options);
  std::map<std::uint32_t, double> sequences, uniform = {{0, 300}, {1, 300}, {2, 300}};
  for (std::uint64_t s = 0; s < options.sequences; ++s) ++sequences[law.topic_of(s)];
  EXPECT_LT(chi_square(sequences, uniform), chi_square_bound(2));

  std::map<std::pair<std::uint32_t, std::uint16_t>, double> counted, expected;
  std::map<std::uint32_t, double> tokens;
  walk(law, [&](std::uint32_t topic, std::uint32_t, std::uint32_t, const Chosen&, const Chosen& now) {
    ++counted[{topic, now[0]}];
    ++tokens[topic];
  });
  const std::vector<double> base = zipf_weights(6, 0.5);
  for (std::uint32_t topic = 0; topic < 3; ++topic) {
    double own = 0;
    int owned = 0;
    for (std::uint32_t e = 0; e < 6; ++e) {
      if (law.owner_of(0, e) != topic) continue;
      own += base[law.rank_of(0, e)];
      ++owned;
    }
    EXPECT_EQ(owned, 2);
    for (std::uint16_t e = 0; e < 6; ++e) {
      const double weight = base[law.rank_of(0, e)];
      const double tilted = 0.7 * weight + (law.owner_of(0, e) == topic ? 0.3 * weight / own : 0);
      expected[{topic, e}] = tokens[topic] * tilted;
    }
  }
  EXPECT_LT(chi_square(counted, expected), chi_square_bound(3 * 5));
}

TEST(SynthLaw, FullCarryOverRepeatsTheFirstToken) {
  SynthOptions options = small_options(8, 3);
  options.stickiness = 1;
  walk(SynthLaw(options),
       [&](std::uint32_t, std::uint32_t, std::uint32_t token, const Chosen& before, const Chosen& now) {
         if (token == 0) return;
         ASSERT_EQ(now, before);
       });
}

TEST(SynthLaw, DrawsDistinctExpertsEvenWhereTheWeightsLeaveHardlyAny) {
  for (const double zipf : {0.0, 10.0}) {
    SynthOptions options = small_options(1024, 1024);
    options.layers = 1;
    options.sequences = 1;
    options.tokens_per_sequence = 3;
    options.zipf = zipf;
    options.topics = 64;
    options.topic_strength = 1;
    options.stickiness = 0.5;
    walk(SynthLaw(options), [&](std::uint32_t, std::uint32_t, std::uint32_t, const Chosen&, const Chosen& now) {
      EXPECT_EQ(std::set<std::uint16_t>(now.begin(), now.end()).size(), 1024U);
    });
  }
}

TEST(SynthLaw, SlotsPast256HaveDrawsOfTheirOwn) {
  SynthOptions options = small_options(1024, 300);
  options.layers = 1;
  options.sequences = 1;
  options.stickiness = 0.5;
  int both = 0, tokens = 0;
  walk(SynthLaw(options),
       [&](std::uint32_t, std::uint32_t, std::uint32_t token, const Chosen& before, const Chosen& now) {
         if (token == 0) return;
         both += (before[0] == now[0]) == (before[256] == now[256]);
         ++tokens;
       });
  EXPECT_NEAR(both, tokens / 2.0, 4 * std::sqrt(tokens / 4.0));
}

TEST(SynthLaw, EveryOptionOfTheLawChangesTheChoices) {
  const SynthOptions plain = small_options(16, 4);
  const auto trace_of = [](const SynthOptions& options) {
    Chosen all;
    walk(SynthLaw(options), [&](std::uint32_t, std::uint32_t, std::uint32_t, const Chosen&, const Chosen& now) {
      all.insert(all.end(), now.begin(), now.end());
    });
    return all;
  };
  const Chosen reference = trace_of(plain);
  EXPECT_EQ(trace_of(plain), reference);
  const auto differs = [&](auto change) {
    SynthOptions options = plain;
    change(options);
    return trace_of(options) != reference;
  };
  EXPECT_TRUE(differs([](SynthOptions& o) { o.seed = 2; }));
  EXPECT_TRUE(differs([](SynthOptions& o) { o.zipf = 0.5; }));
  EXPECT_TRUE(differs([](SynthOptions& o) { o.stickiness = 0.1; }));
  EXPECT_TRUE(differs([](SynthOptions& o) { o.topics = 4, o.topic_strength = 0.1; }));
  EXPECT_TRUE(differs([](SynthOptions& o) { o.length_spread = 0.5; }));
}

}  // namespace
}  // namespace moecarlo
