#include "hw/sensitivity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

/// Autoregressive decoding of GPT-OSS with hits, over the xPU.
struct Case {
  Model model = read_model("gpt-oss-20b");
  System system = read_system("elmoe3d-4gb"), xpu = read_system("xpu");
  Workload cached = step_on(system, 3, 1), plain = step_on(xpu, 0, 4);
  std::vector<Workload> neighbours;

  Workload step_on(const System& machine, std::uint32_t hits, std::uint32_t misses) const {
    const Placement placement = place(machine, autoregressive(), model, {1024, 1, 0, 8}, model.moe_layers);
    return one_step(model, placement, 1, hits, misses);
  }
  System with_capacity(double factor) const { return make_system(scaled(system.preset, "hb.capacity", factor)); }

  std::vector<SensitivityResult> results(const Scheme& scheme = autoregressive()) const {
    return sensitivity({"row", system, scheme, 8, cached, neighbours, xpu, plain}, model, 1024);
  }
  double speed(const System& machine, const Workload& workload) const {
    return tokens_per_second(project(machine, autoregressive(), model, 1024, workload, 8), workload);
  }
};

std::map<std::string, SensitivityResult> by_constant(const std::vector<SensitivityResult>& results) {
  std::map<std::string, SensitivityResult> map;
  for (const SensitivityResult& result : results) EXPECT_TRUE(map.emplace(result.constant, result).second);
  return map;
}

std::map<std::string, double> by_name(const std::vector<SensitivityResult>& results) {
  std::map<std::string, double> map;
  for (const SensitivityResult& result : results) {
    if (result.elasticity) map[result.constant] = *result.elasticity;
  }
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
  for (std::size_t i = 1; i < results.size(); ++i) {
    if (!results[i].elasticity) continue;  // those without one come last
    ASSERT_TRUE(results[i - 1].elasticity);
    EXPECT_GE(std::abs(*results[i - 1].elasticity), std::abs(*results[i].elasticity));
  }
  std::map<std::string, std::string> status;
  for (const SensitivityResult& result : results) {
    EXPECT_EQ(result.row, "row");
    status[result.constant] = result.status;
  }
  EXPECT_EQ(status.at("ext.bandwidth"), "published");
  EXPECT_EQ(status.at("links.aggregation"), "assumed");
}

TEST(Sensitivity, NamesEveryConstantWithAnElasticityOrTheReasonForNone) {
  Case sample;
  for (const char* name : {"hb-xpu", "elmoe3d-4gb", "elmoe3d-8gb", "xpu-pim", "xpu-logicpim", "xpu-nmp"}) {
    sample.system = read_system(name);
    for (const char* scheme_name : {"ar", "eagle", "slm", "quant"}) {
      const Scheme scheme = find_scheme(scheme_name);
      const Placement placement = place(sample.system, scheme, sample.model, {1024, 1, 0, 8}, sample.model.moe_layers);
      sample.cached = one_step(sample.model, placement, 1, sample.system.hb ? 3 : 0, sample.system.hb ? 1 : 4);
      const auto results = by_constant(sample.results(scheme));
      std::size_t constants = 0;
      const auto expect_all = [&](const std::string& prefix, const Preset& preset) {
        for (const Constant& constant : preset.constants) {
          ++constants;
          ASSERT_EQ(results.count(prefix + constant.key), 1U) << name << scheme_name << prefix << constant.key;
          const SensitivityResult& result = results.at(prefix + constant.key);
          EXPECT_EQ(result.status, constant.status);
          const bool refused = result.method.starts_with("not taken: ") || result.method.starts_with("not counted: ");
          EXPECT_EQ(result.elasticity.has_value(), !refused) << name << result.constant << result.method;
          EXPECT_FALSE(result.method.empty());
        }
      };
      expect_all("", sample.system.preset);
      expect_all(scheme.name + ": ", scheme.preset);
      expect_all("xpu: ", sample.xpu.preset);
      EXPECT_EQ(results.size(), constants);
    }
  }
}

TEST(Sensitivity, OfAWholeNumberIsTakenOverOneStep) {
  Case sample;
  // So slow a logic that multiplications decide; 4-bit weights of the experts take one pass at 4 and 5 bits a pass, two
  // at 3, the 8-bit dense weights two and three.
  sample.system = make_system(scaled(sample.system.preset, "logic.clock", 1e-4));
  const auto results = by_constant(sample.results());
  const auto at = [&](double bits) {
    return sample.speed(make_system(with_value(sample.system.preset, "logic.bits_per_pass", bits)), sample.cached);
  };
  const SensitivityResult& bits = results.at("logic.bits_per_pass");
  EXPECT_EQ(bits.method, "one step either way");
  EXPECT_GT(*bits.elasticity, 0.1);
  EXPECT_NEAR(*bits.elasticity, std::log(at(5) / at(3)) / std::log(5.0 / 3.0), 1e-12);
  EXPECT_EQ(results.at("logic.clock").method, "1 % either way");
}

TEST(Sensitivity, OfAShareOfOneIsTakenDownwards) {
  Case sample;
  sample.system = make_system(with_value(sample.system.preset, "hb.efficiency", 1));
  const auto results = by_constant(sample.results());
  EXPECT_EQ(results.at("hb.efficiency").method, "1 % down only");
  EXPECT_NEAR(*results.at("hb.efficiency").elasticity, *results.at("hb.bandwidth").elasticity, 2e-3);
}

TEST(Sensitivity, OfTheCapacityIsTakenBetweenCountedNeighbours) {
  Case sample;
  const System small = sample.with_capacity(0.8), large = sample.with_capacity(1.3);
  sample.neighbours = {sample.step_on(small, 2, 2), sample.step_on(large, 4, 0)};
  const SensitivityResult both = by_constant(sample.results()).at("hb.capacity");
  // What more capacity brings is what the hits of its cache bring; where the slope is taken from slot to slot, the
  // capacities of the sample differ from the slots' by less than one of more than a hundred.
  const double expected =
      std::log(sample.speed(large, sample.neighbours[1]) / sample.speed(small, sample.neighbours[0])) /
      std::log(1.3 / 0.8);
  EXPECT_NEAR(*both.elasticity, expected, 0.01 * expected);
  EXPECT_THAT(both.method, testing::StartsWith("between the counted "));

  sample.neighbours.erase(sample.neighbours.begin());
  const SensitivityResult above = by_constant(sample.results()).at("hb.capacity");
  const double one_sided =
      std::log(sample.speed(large, sample.neighbours[0]) / sample.speed(sample.system, sample.cached)) / std::log(1.3);
  EXPECT_NEAR(*above.elasticity, one_sided, 0.02 * one_sided);
}

TEST(Sensitivity, OfACapacityWithoutNeighboursIsNamedAsNotCounted) {
  const auto results = by_constant(Case().results());
  EXPECT_FALSE(results.at("hb.capacity").elasticity);
  EXPECT_THAT(results.at("hb.capacity").method, testing::HasSubstr("not counted: no other capacity was"));
  EXPECT_EQ(results.at("ext.capacity").elasticity, 0.0);  // a limit, not a speed
}

}  // namespace
}  // namespace moecarlo::hw
