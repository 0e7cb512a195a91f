#include "hw/sensitivity/band.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "hw/projection/evaluate.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

constexpr std::uint32_t kContext = 1024;

/// Autoregressive decoding of GPT-OSS on one system, three hits and a miss a layer.
struct Case {
  Model model = read_model("gpt-oss-20b");
  System system = read_system("elmoe3d-4gb");
  Workload workload = step_on(system, 3, 1);

  Workload step_on(const System& machine, std::uint32_t hits, std::uint32_t misses) const {
    const Placement placement = place(machine, autoregressive(), model, {kContext, 1, 0, 8}, model.moe_layers);
    return one_step(model, placement, 1, hits, misses);
  }
  SensitivityRow row() const { return {"row", {system, autoregressive(), 8, workload, {}}, {}}; }
  AssumptionBand band() const { return assumption_band(row(), model, kContext); }
  Projection on(const System& machine) const {
    return project_held(machine, autoregressive(), model, kContext, workload, 8);
  }
  double speed(const System& machine) const { return tokens_per_second(on(machine), workload); }
  double millijoules(const System& machine) const { return 1e3 * joules_per_token(on(machine), workload); }

  Preset without_assumptions() const {
    Preset preset = system.preset;
    for (Constant& constant : preset.constants) constant.status = "published";
    return preset;
  }
  /// Nothing of the model is assumed, and of the system only this.
  void assume_only(const std::string& key) {
    Preset preset = without_assumptions();
    for (Constant& constant : preset.constants) {
      if (constant.key == key) constant.status = "assumed";
    }
    system = make_system(preset);
    for (Constant& constant : model.preset.constants) constant.status = "published";
  }
};

TEST(Band, IsTheValueItselfWhereNothingIsAssumed) {
  Case one;
  one.assume_only("nothing");
  const AssumptionBand band = one.band();
  EXPECT_EQ(band.constants, 0U);
  EXPECT_DOUBLE_EQ(band.tokens_per_second.low, one.speed(one.system));
  EXPECT_DOUBLE_EQ(band.tokens_per_second.high, band.tokens_per_second.low);
  EXPECT_DOUBLE_EQ(band.energy_mj_per_token.high, one.millijoules(one.system));
  EXPECT_FALSE(band.speedup);
  EXPECT_EQ(band.widest, "");
}

TEST(Band, OfOneConstantIsFromHalfToTwiceOfIt) {
  for (const char* key : {"ext.bandwidth", "ext.energy", "static.logic", "logic.clock"}) {
    Case one;
    one.assume_only(key);
    const System half = make_system(scaled(one.system.preset, key, 0.5));
    const System twice = make_system(scaled(one.system.preset, key, 2));
    const AssumptionBand band = one.band();
    EXPECT_EQ(band.constants, 1U) << key;
    EXPECT_NEAR(band.tokens_per_second.low, std::min(one.speed(half), one.speed(twice)), 1e-9) << key;
    EXPECT_NEAR(band.tokens_per_second.high, std::max(one.speed(half), one.speed(twice)), 1e-9) << key;
    EXPECT_NEAR(band.energy_mj_per_token.low, std::min(one.millijoules(half), one.millijoules(twice)), 1e-9) << key;
    EXPECT_NEAR(band.energy_mj_per_token.high, std::max(one.millijoules(half), one.millijoules(twice)), 1e-9) << key;
  }
}

TEST(Band, OfAShareEndsAtOneAndARangeThatIsStatedIsTaken) {
  Case one;
  one.assume_only("ext.efficiency");
  EXPECT_NEAR(one.band().tokens_per_second.high,
              one.speed(make_system(with_value(one.system.preset, "ext.efficiency", 1))), 1e-9);
  one.assume_only("ext.bandwidth");
  for (Constant& constant : one.system.preset.constants) {
    if (constant.key == "ext.bandwidth") constant.range = {90, 110};
  }
  EXPECT_NEAR(one.band().tokens_per_second.low,
              one.speed(make_system(with_value(one.system.preset, "ext.bandwidth", 90))), 1e-9);
  EXPECT_NEAR(one.band().tokens_per_second.high,
              one.speed(make_system(with_value(one.system.preset, "ext.bandwidth", 110))), 1e-9);
}

/// Joules only grow with energies and watts: all of them at one end bound the band, and any one alone lies within.
TEST(Band, TogetherIsWiderThanAloneAndWithinItsCorners) {
  Case one;
  Preset preset = one.without_assumptions();
  std::vector<std::string> keys;
  for (Constant& constant : preset.constants) {
    const bool energy = constant.key.find("energy") != std::string::npos || constant.key.substr(0, 7) == "static.";
    if (!energy) continue;
    constant.status = "assumed";
    keys.push_back(constant.key);
  }
  one.system = make_system(preset);
  for (Constant& constant : one.model.preset.constants) constant.status = "published";
  Preset low = one.system.preset, high = one.system.preset;
  double widest_alone = 0;
  for (const std::string& key : keys) {
    low = scaled(low, key, 0.5);
    high = scaled(high, key, 2);
    widest_alone = std::max(widest_alone, one.millijoules(make_system(scaled(one.system.preset, key, 2))));
  }
  const AssumptionBand band = one.band();
  EXPECT_EQ(band.constants, keys.size());
  EXPECT_GE(band.energy_mj_per_token.low, one.millijoules(make_system(low)));
  EXPECT_LE(band.energy_mj_per_token.high, one.millijoules(make_system(high)));
  EXPECT_GT(band.energy_mj_per_token.high, widest_alone);
  EXPECT_DOUBLE_EQ(band.tokens_per_second.low, band.tokens_per_second.high);
}

TEST(Band, WhatMovesBothSidesLeavesTheirRatio) {
  Case one;
  one.assume_only("ext.bandwidth");
  SensitivityRow row = one.row();
  row.reference = row.own;  // the same system: its constants are one
  const AssumptionBand band = assumption_band(row, one.model, kContext);
  EXPECT_NEAR(band.speedup->low, 1, 1e-12);
  EXPECT_NEAR(band.speedup->high, 1, 1e-12);
  EXPECT_LT(band.tokens_per_second.low, 0.99 * band.tokens_per_second.high);
}

/// Without another capacity that was counted, what changes the cache stays as it is.
TEST(Band, OnlyMovesCapacitiesBetweenCountedOnes) {
  Case one;
  one.assume_only("hb.capacity");
  EXPECT_EQ(one.band().constants, 0U);
  SensitivityRow row = one.row();
  for (const std::uint32_t hits : {2U, 4U}) {
    Workload beside = one.step_on(one.system, hits, 4 - hits);
    beside.capacity.base += hits;  // one smaller than own + 3, one larger
    beside.capacity.base -= 3;
    row.own.neighbours.push_back(beside);
  }
  const AssumptionBand band = assumption_band(row, one.model, kContext);
  EXPECT_EQ(band.constants, 1U);
  EXPECT_LT(band.tokens_per_second.low, band.tokens_per_second.high);
  // Capacities far beyond the neighbours count as theirs: the slope between them, over one expert either way.
  const auto speed_of = [&](const Workload& workload) {
    return tokens_per_second(project_held(one.system, autoregressive(), one.model, kContext, workload, 8), workload);
  };
  const double slope = std::log(speed_of(row.own.neighbours[1]) / speed_of(row.own.neighbours[0])) / 2;
  EXPECT_LE(std::log(band.tokens_per_second.high / band.tokens_per_second.low), 2 * slope * (1 + 1e-9));
}

}  // namespace
}  // namespace moecarlo::hw
