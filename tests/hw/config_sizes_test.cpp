#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "hw/model/model.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;

/// A configuration with what was counted on the model that it makes (scripts/cross_check/model_sizes.py).
struct Counted {
  std::string name;
  double total = 0, active = 0, moe_layers = 0;  ///< 0: not known
  std::string config;                            ///< as Python writes it: with Infinity
};

std::vector<Counted> read_counts(const std::string& file) {
  std::ifstream stream(std::string(MOECARLO_SOURCE_DIR) + "/tests/hw/configs/" + file);
  std::vector<Counted> counts;
  for (std::string line; std::getline(stream, line);) {
    const std::string mark = ",\"config\":";
    const std::size_t at = line.find(mark);
    const auto head = nlohmann::json::parse(line.substr(0, at) + "}");
    const auto number = [&](const char* key) { return head[key].is_null() ? 0 : head[key].get<double>(); };
    counts.push_back({head.value(head.contains("family") ? "family" : "name", ""), number("total"), number("active"),
                      number("moe_layers"), line.substr(at + mark.size(), line.size() - at - mark.size() - 1)});
  }
  return counts;
}

void expect_near(double ours, double counted, const std::string& what) {
  if (counted > 0) {
    EXPECT_NEAR(ours / counted, 1, 0.02) << what;
  }
}

void expect_sizes(const Model& model, const Counted& counted) {
  expect_near(total_parameters(model), counted.total, counted.name + ": total");
  expect_near(active_parameters(model), counted.active, counted.name + ": active");
  if (counted.moe_layers > 0) {
    EXPECT_EQ(model.moe_layers, counted.moe_layers) << counted.name;
  }
}

TEST(ConfigSizes, PublishedModelsAreRightWithinTwoPerCent) {
  const auto counts = read_counts("published.jsonl");
  ASSERT_GT(counts.size(), 30U);
  for (const Counted& counted : counts) {
    const SampleFile file("config.json", counted.config);
    try {
      expect_sizes(read_model(file.path()), counted);
    } catch (const Error& error) {
      ADD_FAILURE() << counted.name << ": " << error.what();
    }
  }
}

/// What transformers makes of a family's defaults is what we read there, or its structure is refused by a key; nothing
/// else. Counts include norms and biases, which are left out here.
TEST(ConfigSizes, EveryFamilyIsRightWithinTwoPerCentOrRefusedByKey) {
  const auto counts = read_counts("families.jsonl");
  ASSERT_GT(counts.size(), 60U);
  std::set<std::string> right;
  for (const Counted& counted : counts) {
    const SampleFile file("config.json", counted.config);
    std::string refusal;
    try {
      const Model model = read_model(file.path());
      expect_sizes(model, counted);
      right.insert(counted.name);
    } catch (const Error& error) {
      refusal = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::input);
    }
    if (refusal.empty()) continue;
    EXPECT_THAT(refusal, AnyOf(HasSubstr("is not modelled"), HasSubstr("are not modelled"), HasSubstr("no key "),
                               HasSubstr("may change what the model is made of")))
        << counted.name;
  }
  EXPECT_GE(static_cast<double>(right.size()), 0.75 * static_cast<double>(counts.size()));
  EXPECT_THAT(right, IsSupersetOf({"llama4", "jamba", "nemotron_h", "qwen3_next", "step3p5", "afmoe", "bailing_hybrid",
                                   "granitemoe", "granitemoehybrid", "granitemoeshared"}));
}

TEST(ConfigSizes, OnlyLayersWithAttentionCacheKeysAndValues) {
  for (const Counted& counted : read_counts("published.jsonl")) {
    if (counted.name != "qwen3-next" && counted.name != "jamba-mini" && counted.name != "nemotron-3-nano") continue;
    const SampleFile file("config.json", counted.config);
    const Model model = read_model(file.path());
    // Layers with attention x key and value x heads x head size x two bytes.
    const double expected = counted.name == "qwen3-next"   ? 12 * 2 * 2 * 256 * 2.0
                            : counted.name == "jamba-mini" ? 4 * 2 * 8 * 128 * 2.0
                                                           : 6 * 2 * 2 * 128 * 2.0;
    EXPECT_EQ(kv_bytes_per_token(model), expected) << counted.name;
    EXPECT_GT(request_bytes(model, 0), 0) << counted.name;  // states
  }
}

TEST(ConfigSizes, WindowsBoundWhatIsCachedAndRead) {
  for (const Counted& counted : read_counts("published.jsonl")) {
    if (counted.name != "gpt-oss-20b") continue;
    const SampleFile file("config.json", counted.config);
    const Model model = read_model(file.path());
    EXPECT_EQ(kv_bytes_per_token(model), 24 * 2048.0);
    EXPECT_EQ(request_bytes(model, 1024), 12 * 2048.0 * (1024 + 128));
    EXPECT_EQ(request_bytes(model, 100), 24 * 2048.0 * 100);
  }
}

}  // namespace
}  // namespace moecarlo::hw
