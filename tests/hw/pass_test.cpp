#include "hw/plan/totals.hpp"

#include <gtest/gtest.h>

namespace moecarlo::hw {
namespace {

/// Two stores of one byte a second.
System two_stores() {
  System system;
  system.resources.resize(2);
  for (Resource& resource : system.resources) resource.seconds_per = resource.joules_per = 1;
  return system;
}

Pass part(RoundPart label, std::size_t resource, double amount, double count = 1) {
  Part part{label, count, {}, 0};
  part.task.own.add(resource, amount);
  return {part};
}

Done round_of(const Pass& pass) {
  return sum_pass(two_stores(), pass, {{1}, 1}, nullptr).groups.front();
}

constexpr RoundPart kDraft = RoundPart::draft_experts, kVerify = RoundPart::verify_experts;

TEST(Pass, OneAfterTheOtherTakesTheSum) {
  const Done done = round_of(then({part(kDraft, 0, 3), part(kVerify, 1, 4, 2)}));
  EXPECT_EQ(done.seconds, 3 + 2 * 4);
  EXPECT_EQ(done.work.amount(0), 3);
  EXPECT_EQ(done.work.amount(1), 8);
}

TEST(Pass, RepeatedSoManyTimesItTakesSoManyTimesAsLong) {
  // Three draft steps of 2 s, then a verification of 5 s; a branch that misses half of the time drafts again.
  const Pass draft = times(3, part(kDraft, 0, 2));
  EXPECT_EQ(round_of(then({draft, part(kVerify, 0, 5)})).seconds, 11);
  EXPECT_EQ(round_of(then({draft, part(kVerify, 0, 5), times(0.5, draft)})).seconds, 14);
}

TEST(Pass, OverheadsAreTimeWithoutWork) {
  const Part overhead{RoundPart::verify_overhead, 4, {}, 0.5};
  EXPECT_EQ(round_of({overhead}).seconds, 2);
  EXPECT_EQ(round_of({overhead}).work.size(), 0U);
}

TEST(Pass, BesideTakesTheLongerOfTheTwo) {
  const PassTotals totals = sum_pass(two_stores(), beside(part(kDraft, 0, 3), part(kVerify, 1, 7)), {{1}, 1}, nullptr);
  EXPECT_EQ(totals.groups.front().seconds, 7);
  EXPECT_TRUE(totals.lower_bound);
  double parts = 0;
  totals.parts.for_each([&](RoundPart, const Done& done) { parts += done.seconds; });
  EXPECT_DOUBLE_EQ(parts, 7) << "parts add up to the time that both take together";
}

TEST(Pass, BesideTakesNoLessThanWhatTheyShareNeeds) {
  // Each needs 3 s and 4 s of the same store.
  EXPECT_EQ(round_of(beside(part(kDraft, 0, 3), part(kVerify, 0, 4))).seconds, 7);
  const Pass both = then({part(kVerify, 0, 4), part(kVerify, 1, 6)});
  EXPECT_EQ(round_of(beside(part(kDraft, 0, 3), both)).seconds, 10) << "10 s apart, 7 s of the shared store";
}

TEST(Pass, MirrorSpeculationHidesTheDraftBehindTheSuffix) {
  // Forty layers of 0.5 s of which twenty come first, five draft steps of 4 s beside the rest, two meetings of 0.05 s.
  const Pass prefix = part(kVerify, 0, 0.5, 20), suffix = prefix;
  const Pass meeting = part(RoundPart::verify_link, 0, 0.05);
  const Pass round = then({prefix, meeting, beside(suffix, times(5, part(kDraft, 1, 4))), meeting});
  EXPECT_NEAR(round_of(round).seconds, 30.1, 1e-12);
}

TEST(Pass, GroupsWeighTheSamePassByTheirRounds) {
  const PassTotals totals = sum_pass(two_stores(), part(kVerify, 0, 2), {{1, 3, 10}, 2}, nullptr);
  EXPECT_EQ(totals.groups[1].seconds, 6);
  EXPECT_EQ(totals.groups[2].seconds, 20);
  totals.parts.for_each([&](RoundPart, const Done& done) { EXPECT_EQ(done.seconds, 8) << "of the first two"; });
}

TEST(Pass, PartsAreFoundByTheirLabel) {
  const Pass draft = times(3, part(kDraft, 0, 2));
  const Pass round = then({draft, part(kVerify, 0, 5)});
  EXPECT_EQ(find_part(round, kVerify)->task.own.amount(0), 5);
  EXPECT_EQ(find_part(round, RoundPart::verify_link), nullptr);
  EXPECT_EQ(find_part(*find_repeated(round), kDraft)->task.own.amount(0), 2);
  EXPECT_EQ(find_repeated(part(kVerify, 0, 5)), nullptr);
}

}  // namespace
}  // namespace moecarlo::hw
