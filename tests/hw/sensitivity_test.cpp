#include "hw/sensitivity/sensitivity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "hw/plan/mean_time.hpp"
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
    return sensitivity(
        {"row", {system, scheme, 8, cached, neighbours}, CountedDecoding{xpu, autoregressive(), 8, plain, {}}}, model,
        1024);
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
  EXPECT_EQ(elasticity.at("aggregation.bandwidth"), 0);
}

TEST(Sensitivity, OfEnergyIsTheShareOfTheJoulesThatTheConstantCosts) {
  Case sample;
  sample.cached.classes[0].cache_writes[0] = 1;
  const auto results = by_constant(sample.results());
  const Projection own = project(sample.system, autoregressive(), sample.model, 1024, sample.cached, 8);
  const Breakdown& joules = own.breakdown;
  const double total = joules.at("joules"), standby = joules.at("energy.static") / 2.5;  // 1.6 + 0.4 + 0.5 W
  const double read = joules.at("bytes.hb"), written = joules.at("bytes.hb_written");
  // What comes from home and the activations that each of 16 elements receives cross the streamline links.
  const Plan plan = plan_autoregressive(sample.system, sample.model, {1024, 1, 0, 8}, {});
  const Work round = at_means(sample.system, sample.model, plan.round, mean_counts(sample.cached)).work;
  const double streamline = 8 * 0.2e-12 * round.amount(sample.system.units.front().broadcast.value());
  const std::map<std::string, double> parts{{"ext.energy", joules.at("energy.ext")},
                                            {"hb.read_energy", joules.at("energy.hb") * read / (read + written)},
                                            {"hb.write_energy", joules.at("energy.hb") * written / (read + written)},
                                            {"logic.energy", joules.at("energy.compute")},
                                            {"streamline.energy", streamline},
                                            {"aggregation.energy", joules.at("energy.communication") - streamline},
                                            {"static.logic", 1.6 * standby},
                                            {"static.hb", 0.4 * standby},
                                            {"static.ext", 0.5 * standby}};
  double sum = 0;
  for (const auto& [constant, part] : parts) {
    const SensitivityResult& result = results.at(constant);
    EXPECT_NEAR(*result.energy_elasticity, part / total, 1e-4) << constant;
    EXPECT_GT(*result.energy_elasticity, 0) << constant;
    EXPECT_EQ(*result.energy_gain_elasticity, -*result.energy_elasticity) << constant;
    EXPECT_EQ(*result.elasticity, 0) << constant;
    EXPECT_EQ(*result.speed_elasticity, 0) << constant;
    sum += *result.energy_elasticity;
  }
  EXPECT_NEAR(sum, 1, 1e-3);
  // Faster memory saves the standby power of the time that it saves.
  const SensitivityResult& bandwidth = results.at("ext.bandwidth");
  EXPECT_NEAR(*bandwidth.energy_elasticity, -*bandwidth.elasticity * 2.5 * standby / total, 1e-4);
  // What the reference spends does not enter the row's energy, but its gain.
  const SensitivityResult& other = results.at("xpu: ext.energy");
  EXPECT_EQ(*other.energy_elasticity, 0);
  const Breakdown on_xpu = project(sample.xpu, autoregressive(), sample.model, 1024, sample.plain, 8).breakdown;
  EXPECT_NEAR(*other.energy_gain_elasticity, on_xpu.at("energy.ext") / on_xpu.at("joules"), 1e-4);
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
  EXPECT_EQ(status.at("aggregation.bandwidth"), "assumed");
}

TEST(Sensitivity, NamesEveryConstantWithAnElasticityOrTheReasonForNone) {
  Case sample;
  for (const char* name : {"hb-xpu", "elmoe3d-4gb", "elmoe3d-8gb", "xpu-pim", "xpu-logicpim", "xpu-nmp"}) {
    sample.system = read_system(name);
    for (const char* scheme_name : {"ar", "eagle", "slm", "quant"}) {
      const Scheme scheme = find_scheme(scheme_name);
      const Placement placement = place(sample.system, scheme, sample.model, {1024, 1, 0, 8}, sample.model.moe_layers);
      sample.cached =
          one_step(sample.model, placement, 1, sample.system.has_cache() ? 3 : 0, sample.system.has_cache() ? 1 : 4);
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
          EXPECT_EQ(result.speed_elasticity.has_value(), !refused);
          EXPECT_EQ(result.energy_elasticity.has_value(), !refused);
          EXPECT_EQ(result.energy_gain_elasticity.has_value(), !refused);
          EXPECT_FALSE(result.method.empty());
        }
      };
      expect_all("", sample.system.preset);
      expect_all(scheme.name + ": ", scheme.preset);
      expect_all(sample.model.preset.name + ": ", sample.model.preset);
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
  const System small = sample.with_capacity(0.9), large = sample.with_capacity(1.1);
  sample.neighbours = {sample.step_on(small, 2, 2), sample.step_on(large, 4, 0)};
  const SensitivityResult both = by_constant(sample.results()).at("hb.capacity");
  // What more capacity brings is what the hits of its cache bring; the capacities of the sample differ from the room in
  // them by less than one slot of more than a hundred.
  const double expected =
      std::log(sample.speed(large, sample.neighbours[1]) / sample.speed(small, sample.neighbours[0])) /
      std::log(1.1 / 0.9);
  EXPECT_NEAR(*both.elasticity, expected, 0.01 * expected);
  EXPECT_THAT(both.method, testing::StartsWith("between the counted "));

  sample.neighbours.erase(sample.neighbours.begin());
  const SensitivityResult above = by_constant(sample.results()).at("hb.capacity");
  const double one_sided =
      std::log(sample.speed(large, sample.neighbours[0]) / sample.speed(sample.system, sample.cached)) / std::log(1.1);
  EXPECT_NEAR(*above.elasticity, one_sided, 0.06 * one_sided);  // over 10 % more, 1 / 1.05 of the slope at the start
}

/// The model with another value of one constant, read from a file.
Model edited(const Model& model, const std::string& key, double value) {
  std::map<std::string, std::string> tables;
  for (const Constant& constant : model.preset.constants) {
    const std::size_t dot = constant.key.find('.');
    tables[constant.key.substr(0, dot)] +=
        row(constant.key.substr(dot + 1), constant.key == key ? value : constant.value, constant.unit);
  }
  std::string text;
  for (const auto& [table, rows] : tables) text += "[" + table + "]\n" + rows;
  const SampleFile file("edited.toml", text);
  return read_model(file.path());
}

TEST(Sensitivity, OfModelConstantsIsTheDifferenceBetweenEditedPresets) {
  // EAGLE on the xPU, which caches nothing: one draft step and a verification of two tokens.
  Case sample;
  sample.system = sample.xpu;
  const Scheme scheme = find_scheme("eagle");
  sample.cached = one_step(sample.model, place(sample.xpu, scheme, sample.model, {1024, 1, 1, 8}, 24), 1, 0, 6);
  sample.cached.depth = 1;
  sample.cached.verify_columns = 2;
  sample.cached.counts[0].tokens = 1.5;
  const auto results = by_constant(sample.results(scheme));
  for (const char* key : {"attention.kv_bits", "layers.hidden", "layers.vocabulary", "experts.ffn", "dense.group_size",
                          "draft_head.ffn", "experts.bits"}) {
    const SensitivityResult& result = results.at("gpt-oss-20b: " + std::string(key));
    EXPECT_EQ(result.method, "one step either way");
    double own = 0;
    for (const Constant& constant : sample.model.preset.constants) {
      if (constant.key == key) own = constant.value;
    }
    const Model low = edited(sample.model, key, own - 1), high = edited(sample.model, key, own + 1);
    const auto slope = [&](const Scheme& with, const Workload& workload, auto figure) {
      const auto at = [&](const Model& model) {
        return std::log(figure(project(sample.xpu, with, model, 1024, workload, 8), workload));
      };
      return (at(high) - at(low)) / std::log((own + 1) / (own - 1));
    };
    const double speed = slope(scheme, sample.cached, tokens_per_second);
    const double energy = slope(scheme, sample.cached, joules_per_token);
    EXPECT_NEAR(*result.speed_elasticity, speed, 1e-9) << key;
    EXPECT_NEAR(*result.energy_elasticity, energy, 1e-9) << key;
    EXPECT_NEAR(*result.elasticity, speed - slope(autoregressive(), sample.plain, tokens_per_second), 1e-9) << key;
    EXPECT_NEAR(*result.energy_gain_elasticity, slope(autoregressive(), sample.plain, joules_per_token) - energy, 1e-9)
        << key;
    EXPECT_NE(speed, 0) << key;
  }
}

TEST(Sensitivity, OfASystemThatIsTheReferenceMovesBoth) {
  Case sample;
  sample.system = sample.xpu;
  sample.cached = sample.plain;
  const auto results = sample.results();
  std::set<std::string> names;
  for (const SensitivityResult& result : results) {
    EXPECT_TRUE(names.insert(result.constant).second);
    EXPECT_FALSE(result.constant.starts_with("xpu: ")) << result.constant;
    if (!result.elasticity) continue;
    EXPECT_EQ(*result.elasticity, 0) << result.constant;  // the row is its own reference
    EXPECT_EQ(*result.energy_gain_elasticity, 0) << result.constant;
  }
  EXPECT_NEAR(*by_constant(results).at("ext.bandwidth").speed_elasticity, 1, 1e-4);
  EXPECT_GT(*by_constant(results).at("ext.energy").energy_elasticity, 0.5);
}

TEST(Sensitivity, WithoutAReferenceIsOfTheRowAlone) {
  const Case sample;
  const auto with = by_constant(sample.results());
  const auto results =
      sensitivity({"row", {sample.system, autoregressive(), 8, sample.cached, {}}, std::nullopt}, sample.model, 1024);
  EXPECT_EQ(results.size(), with.size() - sample.xpu.preset.constants.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_FALSE(results[i].elasticity || results[i].energy_gain_elasticity);
    EXPECT_EQ(results[i].speed_elasticity, with.at(results[i].constant).speed_elasticity);
    EXPECT_EQ(results[i].energy_elasticity, with.at(results[i].constant).energy_elasticity);
    if (i == 0 || !results[i].speed_elasticity) continue;
    EXPECT_GE(std::abs(*results[i - 1].speed_elasticity), std::abs(*results[i].speed_elasticity));
  }
}

TEST(Sensitivity, OfWhatWouldChangeTheRoutingHasAReasonInstead) {
  Case sample;
  const auto results = by_constant(sample.results());
  for (const char* key : {"experts.count", "experts.top_k"}) {
    EXPECT_EQ(results.at("gpt-oss-20b: " + std::string(key)).method,
              "not taken: the trace routes a token to 4 of 32 experts");
  }
  sample.model = read_model("qwen3-30b-a3b");
  sample.plain = sample.step_on(sample.xpu, 0, 8);
  sample.cached = one_step(sample.model, place(sample.system, elastic(), sample.model, {1024, 1, 0, 8}, 48), 1, 3, 5);
  EXPECT_EQ(by_constant(sample.results(elastic())).at("qwen3-30b-a3b: experts.bits").method,
            "not taken: elastic drafts from slices, which only experts of 8 bits have");
}

TEST(Sensitivity, OfAConstantThatMovesTheCacheHasWhatTheCacheBrings) {
  Case sample;
  sample.neighbours = {sample.step_on(sample.with_capacity(0.9), 2, 2),
                       sample.step_on(sample.with_capacity(1.1), 4, 0)};
  const auto results = by_constant(sample.results());
  // A head more of queries: so much more dense weight, at the same counts more to read, and so much less of a cache.
  const SensitivityResult& heads = results.at("gpt-oss-20b: attention.query_heads");
  EXPECT_EQ(heads.method, results.at("hb.capacity").method.substr(0, heads.method.find(';')) + "; one step either way");
  const double bytes_of_a_head = 24 * 2 * 2880 * 64 * 8.5 / 8;
  const double seconds =
      project(sample.system, autoregressive(), sample.model, 1024, sample.cached, 8).breakdown.at("seconds");
  const double held = -64 * bytes_of_a_head / (0.97 * 819.2e9) / seconds;
  const double room = -64 * bytes_of_a_head / sample.system.tiers.front().capacity_bytes;  // in per cent of HB
  const double expected = held + room * *results.at("hb.capacity").speed_elasticity;
  EXPECT_NEAR(*heads.speed_elasticity, expected, 1e-3 * std::abs(expected));
  EXPECT_LT(*heads.speed_elasticity, 1.5 * held);  // both are negative
}

TEST(Sensitivity, OfACapacityWithoutNeighboursIsNamedAsNotCounted) {
  const auto results = by_constant(Case().results());
  EXPECT_FALSE(results.at("hb.capacity").elasticity);
  EXPECT_THAT(results.at("hb.capacity").method, testing::HasSubstr("not counted: no other capacity was"));
  EXPECT_EQ(results.at("ext.capacity").elasticity, 0.0);  // a limit, not a speed
}

}  // namespace
}  // namespace moecarlo::hw
