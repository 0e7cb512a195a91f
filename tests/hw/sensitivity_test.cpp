#include "hw/sensitivity.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

/// Autoregressive decoding of GPT-OSS with hits, over the xPU; two workloads that must outlive the row.
struct Case {
  Model model = read_model("gpt-oss-20b");
  System system = read_system("elmoe3d-4gb"), xpu = read_system("xpu");
  Workload cached = one_step(model, place(system, autoregressive(), model, {1024, 1, 0, 8}, 24), 1, 3, 1);
  Workload plain = one_step(model, place(xpu, autoregressive(), model, {1024, 1, 0, 8}, 24), 1, 0, 4);

  std::vector<SensitivityResult> results() const {
    return sensitivity({"row", system, autoregressive(), 8, &cached, xpu, &plain}, model, 1024);
  }
};

std::map<std::string, double> by_name(const std::vector<SensitivityResult>& results) {
  std::map<std::string, double> map;
  for (const SensitivityResult& result : results) map[result.constant] = result.elasticity;
  return map;
}

TEST(Sensitivity, IsTheShareOfTimeThatTheConstantBounds) {
  const Case sample;
  const auto elasticity = by_name(sample.results());
  // Closed form: t = a / HB + x / EXT, so d log speed / d log EXT = (x / EXT) / t, exact to the square of the step.
  const double hb = (dense_bytes(sample.model) + 1024 * kv_bytes_per_token(sample.model)) / (0.97 * 819.2e9);
  const double ext = 24 * expert_bytes(sample.model) / (0.99 * 102.4e9);
  EXPECT_NEAR(elasticity.at("ext.bandwidth"), ext / (hb + ext), 1e-4);
  EXPECT_NEAR(elasticity.at("hb.bandwidth"), hb / (hb + ext), 1e-4);
  EXPECT_NEAR(elasticity.at("hb.efficiency"), hb / (hb + ext), 1e-4);
  EXPECT_NEAR(elasticity.at("xpu: ext.bandwidth"), -1, 1e-4);
  EXPECT_EQ(elasticity.at("ext.energy"), 0);
  EXPECT_EQ(elasticity.at("links.aggregation"), 0);
}

TEST(Sensitivity, IsRankedByMagnitudeWithTheStatusOfEachConstant) {
  const auto results = Case().results();
  for (std::size_t i = 1; i < results.size(); ++i)
    EXPECT_GE(std::abs(results[i - 1].elasticity), std::abs(results[i].elasticity));
  std::map<std::string, std::string> status;
  for (const SensitivityResult& result : results) {
    EXPECT_EQ(result.row, "row");
    status[result.constant] = result.status;
  }
  EXPECT_EQ(status.at("ext.bandwidth"), "published");
  EXPECT_EQ(status.at("links.aggregation"), "assumed");
}

TEST(Sensitivity, LeavesOutWhatTheCountedWorkloadFixes) {
  const auto elasticity = by_name(Case().results());
  for (const char* key : {"hb.capacity", "ext.capacity", "logic.bits_per_pass", "xpu: ext.capacity"})
    EXPECT_EQ(elasticity.count(key), 0U) << key;
  EXPECT_EQ(elasticity.size(), (22U - 3U) + (11U - 2U));
}

}  // namespace
}  // namespace moecarlo::hw
