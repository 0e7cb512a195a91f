#include "hw/machine/work.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "hw/schemes/scheme.hpp"

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

Work mixed() {
  return {3e6, 1e5, 2e5, 7e9, 4e3, 8e4};
}

TEST(Roofs, TimeIsTheSlowestResourceAndNeverLess) {
  const System system = read_system("elmoe3d-4gb");
  const Roofs roof = roofs(system, mixed());
  EXPECT_DOUBLE_EQ(roof.hb, 3e6 / (0.97 * 819.2e9));
  EXPECT_DOUBLE_EQ(roof.ext, 2e5 / (0.99 * 102.4e9));
  EXPECT_DOUBLE_EQ(roof.compute, 7e9 / (2 * 16 * 16384 * 1e9));
  for (const double each : {roof.hb, roof.ext, roof.compute, roof.link}) EXPECT_GE(roof.seconds(), each);
  EXPECT_EQ(roof.seconds(), roof.compute);
}

TEST(Roofs, LinkIsTheSlowerOfStreamlineAndAggregation) {
  const System system = read_system("elmoe3d-4gb");
  Work work;
  work.broadcast_bytes = 1000;
  work.ext_bytes = 16 * 500;
  EXPECT_DOUBLE_EQ(roofs(system, work).link, 1500 / 128e9);
  work.collected_bytes = 16 * 3000;
  EXPECT_DOUBLE_EQ(roofs(system, work).link, 3000 / 32e9);
}

TEST(Roofs, DoublingABandwidthThatIsNotTheBottleneckChangesNothing) {
  const System system = read_system("elmoe3d-8gb");
  const double before = roofs(system, mixed()).seconds();
  for (const char* key : {"hb.bandwidth", "ext.bandwidth", "links.streamline", "links.aggregation"})
    EXPECT_EQ(roofs(make_system(scaled(system.preset, key, 2)), mixed()).seconds(), before) << key;
  EXPECT_DOUBLE_EQ(roofs(make_system(scaled(system.preset, "logic.clock", 2)), mixed()).compute, before / 2);
}

TEST(System, PassesAreWholeStepsOfTheMultiplierWidth) {
  const System system = read_system("elmoe3d-4gb");
  for (const auto& [bits, passes] : {std::pair{1, 1}, {4, 1}, {5, 2}, {8, 2}, {16, 4}})
    EXPECT_EQ(system.passes(bits), passes) << bits;
}

TEST(Energy, CategoriesFollowThePublishedPicojoulesPerBit) {
  const System system = read_system("elmoe3d-4gb");
  const Energy joules = energy(system, mixed(), 2.0);
  EXPECT_DOUBLE_EQ(joules.hb, 8 * 3.1e6 * 0.43e-12);
  EXPECT_DOUBLE_EQ(joules.ext, 8 * 2e5 * 3.88e-12);
  EXPECT_DOUBLE_EQ(joules.compute, 7e9 * 0.08e-12);
  EXPECT_DOUBLE_EQ(joules.communication, 8 * (16 * 4e3 + 2e5 + 8e4) * 0.2e-12);
  EXPECT_DOUBLE_EQ(joules.static_, 2 * (1.6 + 0.4 + 0.5));
  EXPECT_DOUBLE_EQ(joules.total(), joules.hb + joules.ext + joules.compute + joules.communication + joules.static_);
}

TEST(Compute, CountsTwoOpsAMultiplyAddForEachPassAndToken) {
  const System system = read_system("elmoe3d-4gb");
  const Work work = compute(system, {{10, 30}, {20, 5}}, 3, 8);
  EXPECT_EQ(work.ops, 2 * 400 * 3 * 2);
  EXPECT_EQ(work.broadcast_bytes, 30 * 3);
  EXPECT_EQ(work.collected_bytes, 35 * 3 * 4);
  EXPECT_EQ(work.hb_bytes + work.ext_bytes, 0);
}

/// 10 GB/s and 4 Gop/s near memory beside a bus of 1 GB/s and logic of 16 Gop/s, in round numbers.
System with_near_memory(bool works_beside) {
  System system = read_system("xpu");
  system.ops_per_second = 16e9;
  system.ext_bytes_per_second = 1e9;
  system.near.emplace();
  system.near->bytes_per_second = 10e9;
  system.near->ops_per_second = 4e9;
  system.near->works_beside = works_beside;
  return system;
}

TEST(NearMemory, TakesAWholePartWhereItEndsFirst) {
  const System system = with_near_memory(false);
  Work part = within_reach(1, read_ext(1e9));
  EXPECT_DOUBLE_EQ(roofs(system, divide(system, part)).seconds(), 0.1);
  part.near_ops = 8e9;  // 2 s near memory, 1 s on the logic: the bus
  const Work divided = divide(system, part);
  EXPECT_DOUBLE_EQ(roofs(system, divided).seconds(), 1);
  EXPECT_EQ(divided.near_bytes, 0);
  EXPECT_EQ(divided.ops, 8e9);
}

TEST(NearMemory, TakesTurnsWithTheLogicWhereTheyDoNotWorkSideBySide) {
  const System system = with_near_memory(false);
  // 0.4 GB over the bus at 1 GB/s, then 0.6 GB near memory at 10 GB/s.
  const Work part = divide(system, within_reach(0.6, read_ext(1e9)));
  EXPECT_DOUBLE_EQ(part.near_bytes, 0.6e9);
  EXPECT_DOUBLE_EQ(roofs(system, part).seconds(), 0.4 + 0.06);
  EXPECT_DOUBLE_EQ(roofs(with_near_memory(true), part).seconds(), 0.4);
}

TEST(NearMemory, IsChosenByTheTimeThatThePartThenTakes) {
  const System system = with_near_memory(false);
  for (const double share : {0.1, 0.6, 1.0}) {
    for (const double ops : {0.0, 1e9, 3e9, 4e9, 2e10}) {
      Work part = read_ext(1e9);
      part.ops = ops;
      part = within_reach(share, part);
      const double own = std::max(1.0, ops / 16e9);
      const double both = std::max(1 - share, (1 - share) * ops / 16e9) + share * std::max(0.1, ops / 4e9);
      EXPECT_DOUBLE_EQ(roofs(system, divide(system, part)).seconds(), std::min(own, both)) << share << " " << ops;
    }
  }
}

/// The same machine with banks of 1 GB/s, which the busiest group of them may hold up.
TEST(NearMemory, IsChosenWithTheBusiestBanksInMind) {
  System system = with_near_memory(false);
  system.hb.emplace();
  system.hb->bytes_per_second = 1e9;
  Work part = within_reach(1, read_ext(1e9)) + read_hb(2e8);
  part.near_ops = 3e9;
  // 0.2 s of HB and 0.75 s near memory are less than a second of the bus; where one bank holds all, it lasts as long.
  EXPECT_EQ(divide(system, part, 1).near_bytes, 1e9);
  EXPECT_EQ(divide(system, part, 5).near_bytes, 0);
}

TEST(NearMemory, BesideTheLogicTheSplitEndsFirst) {
  const System system = with_near_memory(true);
  for (const double ops : {0.0, 1e8, 2e9, 8e9, 4e10, 4e11}) {
    for (const double fixed : {0.0, 3e8}) {
      Work part = within_reach(1, read_ext(1e9));
      part.near_ops = ops;
      part.ext_bytes = fixed;
      const Work divided = divide(system, part);
      double best = 1e9;
      for (int i = 0; i <= 100000; ++i) {
        Work tried = part;
        const double share = i / 1e5;
        tried.near_bytes *= share;
        tried.near_ops *= share;
        tried.ext_bytes += (1 - share) * part.near_bytes;
        tried.ops += (1 - share) * part.near_ops;
        best = std::min(best, roofs(system, tried).seconds());
      }
      EXPECT_NEAR(roofs(system, divided).seconds(), best, 1e-4 * best) << ops << " " << fixed;
      EXPECT_LE(roofs(system, divided).seconds(), best * (1 + 1e-12));
      EXPECT_DOUBLE_EQ(divided.near_bytes + divided.ext_bytes, 1e9 + fixed);
      EXPECT_NEAR(divided.near_ops + divided.ops, ops, 1e-6 * ops);
    }
  }
}

TEST(NearMemory, HoldsOnlyTheExpertsThatItsCapacityTakes) {
  const System system = read_system("xpu-nmp");
  const Model model = read_model("qwen3-30b-a3b");
  const Plan plan = plan_autoregressive(system, model, {1024, 1, 0, 8});
  const double held = 16e9 / experts_bytes(model);
  EXPECT_NEAR(plan.verify.experts.miss.near_bytes, held * expert_bytes(model), 1e-6);
  EXPECT_NEAR(plan.verify.experts.miss.ext_bytes, (1 - held) * expert_bytes(model), 1e-6);
  for (const FixedPart& part : plan.verify.fixed)
    EXPECT_EQ(part.work.near_bytes, 0) << static_cast<int>(part.component);
}

}  // namespace
}  // namespace moecarlo::hw
