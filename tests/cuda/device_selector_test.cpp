#include "cuda/device_selector.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <random>

#include "cuda/device_backend.hpp"
#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kTokens = 50;

StoredLogits random_rule(std::mt19937& random) {
  const std::uint32_t experts[] = {1, 5, 16, 32, 64, 100, 128, 200, 256, 384, 512, 1024};
  StoredLogits logits;
  logits.rule.experts = experts[random() % std::size(experts)];
  logits.rule.top_k = 1 + random() % std::min(logits.rule.experts, 10U);
  logits.rule.scoring = static_cast<Scoring>(random() % 3);
  logits.layers = 1 + random() % 4;
  logits.float16 = random() % 2 == 0;
  for (const std::uint32_t groups : {8U, 4U, 2U}) {
    if (logits.rule.experts % groups != 0 || random() % 2 == 0) continue;
    const std::uint32_t size = logits.rule.experts / groups;
    const std::uint32_t fewest = (logits.rule.top_k + size - 1) / size;
    logits.rule.num_groups = groups;
    logits.rule.top_k_groups = fewest + random() % (groups - fewest + 1);
    break;
  }
  const bool tabled = logits.rule.scoring == Scoring::sigmoid && logits.float16;
  if ((tabled || logits.rule.scoring == Scoring::topk_softmax) && random() % 2 == 0) {
    std::normal_distribution<float> bias(0, 0.1F);
    for (std::size_t i = 0; i < std::size_t{logits.layers} * logits.rule.experts; ++i) {
      logits.bias.push_back(bias(random));
    }
  }
  return logits;
}

/// Logits as they would be stored, coarse in every other case so that many are equal, both zeros among them.
std::vector<float> random_logits(const StoredLogits& logits, std::mt19937& random) {
  const bool coarse = random() % 2 == 0;
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> values(kTokens * logits.layers * logits.rule.experts);
  for (float& value : values) {
    value = normal(random);
    if (coarse) value = std::round(value) * (random() % 2 == 0 ? 1.0F : -1.0F);
    if (logits.float16) value = float16_to_float(float_to_float16(value));
  }
  return values;
}

std::vector<std::uint8_t> stored(const StoredLogits& logits, const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() * (logits.float16 ? 2 : 4));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = float_to_float16(values[i]);
    if (logits.float16) {
      std::memcpy(&bytes[2 * i], &half, 2);
    } else {
      std::memcpy(&bytes[4 * i], &values[i], 4);
    }
  }
  return bytes;
}

std::optional<std::uint64_t> select(ExpertSelector& selector, const std::vector<std::uint8_t>& bytes,
                                    std::vector<std::uint16_t>& ids) {
  std::memcpy(selector.room(kTokens), bytes.data(), bytes.size());
  selector.begin();
  return selector.finish(ids);
}

TEST(DeviceSelector, chooses_bit_for_bit_what_the_host_chooses) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    const StoredLogits logits = random_rule(random);
    const ScoringRule& rule = logits.rule;
    const std::vector<float> values = random_logits(logits, random);
    std::vector<std::uint16_t> ids(kTokens * logits.layers * rule.top_k), expected(ids.size());
    const auto selector = make_device_selector(logits, 0);
    ASSERT_NE(selector, nullptr);
    EXPECT_FALSE(select(*selector, stored(logits, values), ids));
    for (std::size_t row = 0; row < kTokens * logits.layers; ++row) {
      const auto bias = logits.bias.empty()
                            ? std::span<const float>()
                            : std::span(logits.bias).subspan(row % logits.layers * rule.experts, rule.experts);
      select_experts(rule, std::span(values).subspan(row * rule.experts, rule.experts), bias,
                     std::span(expected).subspan(row * rule.top_k, rule.top_k));
    }
    ASSERT_EQ(ids, expected) << "case " << i << ": " << rule.experts << " experts, top " << rule.top_k << ", "
                             << to_string(rule.scoring) << ", " << rule.top_k_groups << " of " << rule.num_groups
                             << " groups, bias " << !logits.bias.empty() << ", float16 " << logits.float16;
  }
}

TEST(DeviceSelector, names_the_first_logit_that_is_not_finite) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  for (const bool float16 : {false, true}) {
    StoredLogits logits;
    logits.rule.experts = 100;
    logits.rule.top_k = 2;
    logits.layers = 3;
    logits.float16 = float16;
    std::vector<float> values(kTokens * 300, 1);
    values[7777] = values[9999] = std::numeric_limits<float>::infinity();
    values[8000] = std::numeric_limits<float>::quiet_NaN();
    std::vector<std::uint16_t> ids(kTokens * 6);
    EXPECT_EQ(select(*make_device_selector(logits, 0), stored(logits, values), ids), 7777U);
  }
}

TEST(DeviceSelector, keeps_pieces_apart_that_are_under_way_together) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  StoredLogits logits;
  logits.rule.experts = 64;
  logits.rule.top_k = 4;
  logits.layers = 5;
  std::mt19937 random(3);
  const auto selector = make_device_selector(logits, 0);
  std::vector<std::vector<std::uint16_t>> expected, found;
  const auto finish = [&] { EXPECT_FALSE(selector->finish(found.emplace_back(expected[found.size()].size()))); };
  for (const std::uint64_t tokens : {10U, 700U, 700U, 3U, 900U, 1U}) {
    std::vector<float> values(tokens * logits.layers * logits.rule.experts);
    for (float& value : values) value = static_cast<float>(random() % 1000);
    auto& ids = expected.emplace_back(tokens * logits.layers * logits.rule.top_k);
    for (std::size_t row = 0; row < tokens * logits.layers; ++row) {
      select_experts(logits.rule, std::span(values).subspan(row * 64, 64), {}, std::span(ids).subspan(row * 4, 4));
    }
    std::memcpy(selector->room(tokens), values.data(), values.size() * sizeof(float));
    selector->begin();
    if (expected.size() > 1) finish();
  }
  finish();
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace moecarlo
