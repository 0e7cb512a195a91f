#include "hw/machine/task.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "hw/projection/placement.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

enum : std::uint8_t { kLogic, kStore, kLink, kHelper, kView };

Resource resource(const char* name, ResourceKind kind, double per_second, double joules) {
  Resource made;
  made.name = made.energy = name;
  made.kind = kind;
  made.seconds_per = 1 / per_second;
  made.joules_per = joules;
  return made;
}

/// A bus of 1 GB/s to a store, a link of 2 GB/s, logic of 16 Gop/s; a helper with 10 GB/s of its own and 4 Gop/s.
System round_numbers(bool works_beside = false) {
  System system;
  system.resources = {
      resource("compute", ResourceKind::unit, 16e9, 1e-12), resource("store", ResourceKind::store, 1e9, 5e-12),
      resource("link", ResourceKind::link, 2e9, 3e-12), resource("near", ResourceKind::unit, 4e9, 2e-12),
      resource("near", ResourceKind::store, 10e9, 1e-12)};
  system.tiers = {{"store", 1e12, kStore, 0}};
  Unit logic, helper;
  logic.name = "logic";
  logic.operations = kLogic;
  logic.bits_per_pass = helper.bits_per_pass = 8;
  logic.paths = {{kStore}};
  helper.name = "near";
  helper.operations = kHelper;
  helper.paths = {{kView}};
  system.units = {logic, helper};
  system.helper = Helper{1, 1, 1, 1e12, works_beside};
  return system;
}

/// So many bytes of the store and operations, of which the helper may take a share.
Task shared(const System& system, double bytes, double operations, double share) {
  return read_shared(system, 0, bytes, share) + operate_shared(system, operations / 2, 8, share);
}

TEST(Work, AddsAndScalesAmountsAndMessages) {
  Work work;
  work.add(kLink, 100, 2);
  work.add(kStore, 7);
  work += 3 * work;
  EXPECT_EQ(work.amount(kLink), 400);
  EXPECT_EQ(work.messages(kLink), 8);
  EXPECT_EQ(work.amount(kStore), 28);
  EXPECT_EQ(work.size(), std::size_t{kLink} + 1);
}

TEST(Work, LastsAsLongAsItsSlowestResource) {
  const System system = round_numbers();
  Work work;
  work.add(kStore, 3e9);
  work.add(kLink, 4e9);
  work.add(kLogic, 8e9);
  EXPECT_DOUBLE_EQ(seconds_of(system, work), 3);
  EXPECT_DOUBLE_EQ(resource_seconds(system, work, kLink), 2);
  EXPECT_DOUBLE_EQ(resource_seconds(system, work, kLogic), 0.5);
  EXPECT_EQ(seconds_of(system, Work{}), 0);
}

TEST(Work, MessagesWaitForTheirLatencyAndPagesAreWhole) {
  System system = round_numbers();
  system.resources[kStore].message_seconds = 0.25;
  const Work two = read(system, system.units[0], 0, 1e9, 2);
  EXPECT_DOUBLE_EQ(seconds_of(system, two), 1 + 2 * 0.25);
  system.resources[kStore].page_bytes = 4096;
  // Five messages of 5000 bytes take two pages each.
  EXPECT_EQ(read(system, system.units[0], 0, 25000, 5).amount(kStore), 5 * 2 * 4096);
  EXPECT_EQ(read(system, system.units[0], 0, 25000).amount(kStore), 25000) << "a stream has no pages";
}

TEST(Work, ACoupledStoreWaitsForItsBusiestGroup) {
  System system = round_numbers();
  system.resources[kStore].groups = 4;
  const Work work = read(system, system.units[0], 0, 2e9);
  EXPECT_DOUBLE_EQ(seconds_of(system, work, 1.5), 3);
  EXPECT_DOUBLE_EQ(coupled_load(system, 1), 4);
  // Two experts in four groups: both in one with probability 1/4, so the fullest holds 5/4 of a mean of 1/2.
  EXPECT_DOUBLE_EQ(coupled_load(system, 2), 2.5);
}

TEST(Work, EnergyIsAmountsTimesJoulesAndPowerTimesTime) {
  System system = round_numbers();
  system.resources[kStore].energy_standing = Standing::published;
  system.resources[kLink].energy_standing = Standing::derived;
  system.resources[kLogic].energy_standing = Standing::assumed;
  system.static_watts = {0, 0.5, 2};
  Work work;
  work.add(kStore, 1e12);
  work.add(kLink, 1e12);
  work.add(kLogic, 1e12);
  EXPECT_DOUBLE_EQ(joules_of(system, work, 4), 5 + 3 + 1 + 4 * 2.5);
  const JoulesByStanding joules = joules_by_standing(system, work, 4);
  EXPECT_DOUBLE_EQ(joules.published, 5);
  EXPECT_DOUBLE_EQ(joules.derived, 3 + 4 * 0.5);
  EXPECT_DOUBLE_EQ(joules.assumed, 1 + 4 * 2);
}

TEST(Compute, CountsTwoOpsAMultiplyAddForEachPassAndToken) {
  const System system = read_system("elmoe3d-4gb");
  const Unit& logic = system.units.front();
  const Work work = compute(logic, {{10, 30}, {20, 5}}, 3, 8);
  EXPECT_EQ(work.amount(logic.operations), 2 * 400 * 3 * 2);
  EXPECT_EQ(work.amount(logic.broadcast.value()), 16 * 30 * 3);
  EXPECT_EQ(work.amount(logic.collect.value()), 35 * 3 * 4);
  for (const auto& [bits, passes] : {std::pair{1, 1}, {4, 1}, {5, 2}, {8, 2}, {16, 4}})
    EXPECT_EQ(logic.passes(bits), passes) << bits;
}

TEST(Compute, NarrowWeightsAreUnpackedFirst) {
  Unit unit;
  unit.bits_per_pass = 16;
  unit.decode = 3;
  EXPECT_EQ(decode(unit, 100, 4).amount(0), 300);
  EXPECT_EQ(decode(unit, 100, 16).size(), 0U);
}

TEST(Link, IsTheSlowerOfStreamlineAndAggregation) {
  const System system = read_system("elmoe3d-4gb");
  const Unit& logic = system.units.front();
  Work work = read(system, logic, system.home(), 16 * 500);
  work.add(logic.broadcast.value(), 16 * 1000);
  EXPECT_DOUBLE_EQ(resource_seconds(system, work, *logic.broadcast), 1500 / 128e9);
  work.add(logic.collect.value(), 16 * 3000);
  EXPECT_DOUBLE_EQ(resource_seconds(system, work, *logic.collect), 3000 / 32e9);
}

TEST(Helper, TakesAWholePartWhereItEndsFirst) {
  const System system = round_numbers();
  EXPECT_DOUBLE_EQ(run(system, shared(system, 1e9, 0, 1)).seconds, 0.1);
  const Done done = run(system, shared(system, 1e9, 8e9, 1));  // 2 s near memory, 1 s over the bus
  EXPECT_DOUBLE_EQ(done.seconds, 1);
  EXPECT_EQ(done.work.amount(kView), 0);
  EXPECT_EQ(done.work.amount(kLogic), 8e9);
}

TEST(Helper, TakesTurnsWithTheFirstUnitWhereTheyDoNotWorkSideBySide) {
  // 0.4 GB over the bus at 1 GB/s, then 0.6 GB near memory at 10 GB/s.
  const Done in_turn = run(round_numbers(), shared(round_numbers(), 1e9, 0, 0.6));
  EXPECT_DOUBLE_EQ(in_turn.work.amount(kView), 0.6e9);
  EXPECT_DOUBLE_EQ(in_turn.seconds, 0.4 + 0.06);
  EXPECT_DOUBLE_EQ(run(round_numbers(true), shared(round_numbers(true), 1e9, 0, 0.6)).seconds, 0.4);
}

TEST(Helper, IsChosenByTheTimeThatThePartThenTakes) {
  const System system = round_numbers();
  for (const double share : {0.1, 0.6, 1.0}) {
    for (const double operations : {0.0, 1e9, 3e9, 4e9, 2e10}) {
      const double own = std::max(1.0, operations / 16e9);
      const double both =
          std::max(1 - share, (1 - share) * operations / 16e9) + share * std::max(0.1, operations / 4e9);
      EXPECT_DOUBLE_EQ(run(system, shared(system, 1e9, operations, share)).seconds, std::min(own, both))
          << share << " " << operations;
    }
  }
}

TEST(Helper, BesideTheFirstUnitTheSplitEndsFirst) {
  const System system = round_numbers(true);
  for (const double operations : {0.0, 1e8, 2e9, 8e9, 4e10, 4e11}) {
    for (const double fixed : {0.0, 3e8}) {
      Task part = shared(system, 1e9, operations, 1);
      part.own.add(kStore, fixed);
      const Done done = run(system, part);
      double best = 1e9;
      for (int i = 0; i <= 100000; ++i) {
        const double share = i / 1e5;
        Work tried = part.own;
        tried += (1 - share) * part.here;
        tried += share * part.there;
        best = std::min(best, seconds_of(system, tried));
      }
      EXPECT_NEAR(done.seconds, best, 1e-4 * best) << operations << " " << fixed;
      EXPECT_LE(done.seconds, best * (1 + 1e-12));
      EXPECT_DOUBLE_EQ(done.work.amount(kView) + done.work.amount(kStore), 1e9 + fixed);
      EXPECT_NEAR(done.work.amount(kHelper) + done.work.amount(kLogic), operations, 1e-6 * operations);
    }
  }
}

TEST(Helper, HoldsOnlyTheExpertsThatItsCapacityTakes) {
  const System system = read_system("xpu-nmp");
  const Model model = read_model("qwen3-30b-a3b");
  const Plan plan = plan_autoregressive(system, model, {1024, 1, 0, 8}, {});
  const double held = 16e9 / experts_bytes(model);
  const Task& miss = find_routed(plan.round, RoundPart::verify_experts)->work.miss;
  EXPECT_NEAR(system.amount(miss.there, "near"), held * expert_bytes(model), 1e-6);
  EXPECT_NEAR(system.amount(miss.own, "ext"), (1 - held) * expert_bytes(model), 1e-6);
  EXPECT_EQ(find_part(plan.round, RoundPart::verify_attention)->task.there.size(), 0U);
}

}  // namespace
}  // namespace moecarlo::hw
