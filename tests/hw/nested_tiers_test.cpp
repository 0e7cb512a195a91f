// Where the hits of three tiers are found, from the histogram of (hits between, misses) with the sum of near hits a
// bin.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include "hw/plan/integrate.hpp"
#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

/// Where experts of one layer were found in one pass.
struct Found {
  std::uint32_t near, between, far;
};

/// Passes that draw from four popular experts, which the nearest tier mostly holds, and others.
std::vector<Found> drawn_passes(std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<Found> passes;
  for (int pass = 0; pass < 400; ++pass) {
    Found found{};
    const std::uint32_t popular = random() % 5;
    const std::uint32_t distinct = 4 + random() % 9;
    for (std::uint32_t i = 0; i < distinct; ++i) {
      const auto draw = random() % 100;
      ++(i < popular && draw < 80 ? found.near : draw < 60 ? found.between : found.far);
    }
    passes.push_back(found);
  }
  return passes;
}

/// Rates of the same size, so that any of the three may be the slowest: where one always is, nothing is off.
System even_tiers(double near_rate) {
  System system = three_tiers();
  const double rates[] = {near_rate, 3, 2};
  for (std::size_t t = 0; t < 3; ++t) system.resources[system.tiers[t].read].seconds_per = 1e-6 / rates[t];
  return system;
}

struct Tiers {
  System system;
  Model model = sample_model();
  Plan plan = plan_autoregressive(system, model, {10, 2, 0, 8}, {});

  /// Of one layer's experts.
  double seconds(const Found& found) const {
    const double hits = found.near + found.between;
    const auto share = [&](double of) { return hits > 0 ? of / hits : 0; };
    const ExpertsWork& experts = find_routed(plan.round, RoundPart::verify_experts)->work;
    return run(system, experts.at(hits, found.far, {share(found.near), share(found.between)})).seconds;
  }
};

/// A workload of as many rounds as passes, one layer; `nested`: near hits are told apart, in `groups` groups in turn.
Workload workload_of(const std::vector<Found>& passes, bool nested, std::uint32_t groups = 1) {
  Workload workload = sample_workload(0, {3, 0}, 0, 0);
  workload.layers = 1;
  workload.groups = groups;
  workload.counts.assign(groups, {0, 1});
  std::vector<JointCounts::Entry> entries;
  double near = 0, hits = 0;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const auto [nearest, between, far] = passes[i];
    const auto group = static_cast<std::uint32_t>(i % groups);
    if (nested) {
      entries.push_back({group, {between, far}, 1, nearest});
    } else {
      entries.push_back({group, {nearest + between, far}, 1});
    }
    near += nearest;
    hits += nearest + between;
    ++workload.counts[group].rounds;
  }
  workload.classes.push_back({1, 3, {groups, entries, nested}, {}, std::vector<double>(groups, 0)});
  workload.hits_by_tier = {near / hits, 1 - near / hits};
  return workload;
}

double experts_seconds(const Tiers& tiers, const Workload& workload) {
  return integrate(tiers.system, tiers.plan, workload, 1).parts[RoundPart::verify_experts].seconds;
}

TEST(NestedTiers, MeansInPlaceOfTheThreeWayHistogramErrLowAndLittle) {
  double worst_bins = 0, worst_shares = 0;
  for (const double near_rate : {2.0, 4.0}) {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
      const Tiers tiers{even_tiers(near_rate)};
      const std::vector<Found> passes = drawn_passes(seed);
      double full = 0;
      for (const Found& one : passes) full += tiers.seconds(one);
      const double binned = experts_seconds(tiers, workload_of(passes, true));
      EXPECT_LE(binned, full * (1 + 1e-12));  // Jensen: the slowest resource is convex in what it reads
      worst_bins = std::max(worst_bins, 1 - binned / full);
      worst_shares = std::max(worst_shares, std::abs(1 - experts_seconds(tiers, workload_of(passes, false)) / full));
    }
  }
  RecordProperty("error_of_bins", fmt::format("{:.5f}", worst_bins));
  RecordProperty("error_of_shares", fmt::format("{:.5f}", worst_shares));
  EXPECT_LT(worst_bins, 0.03) << worst_bins;
  EXPECT_GT(worst_shares, 2 * worst_bins);  // what one share for all passes, in place of bins, is off by
}

TEST(NestedTiers, BinsOfOneKindOfPassAreExact) {
  const Tiers tiers{even_tiers(2)};
  const std::vector<Found> passes(6, {4, 1, 2});
  EXPECT_NEAR(experts_seconds(tiers, workload_of(passes, true)), 6 * tiers.seconds({4, 1, 2}), 1e-15);
}

TEST(NestedTiers, GroupsDifferInTimeAsTheirNearHitsDo) {
  const Tiers tiers{even_tiers(0.5)};  // near reads decide
  std::vector<Found> passes;
  for (std::uint32_t i = 0; i < 30; ++i) passes.push_back({i % 3 + 3, 1, 1});
  const PassTotals totals = integrate(tiers.system, tiers.plan, workload_of(passes, true, 3), 1);
  const double fixed = totals.groups[0].seconds - 10 * tiers.seconds({3, 1, 1});
  for (std::uint32_t g = 0; g < 3; ++g) {
    EXPECT_NEAR(totals.groups[g].seconds, fixed + 10 * tiers.seconds({g + 3, 1, 1}), 1e-12);
  }
}

TEST(NestedTiers, GroupsThatAreLeftOutLeaveNothingBehind) {
  const Tiers tiers{even_tiers(2)};
  const std::vector<Found> passes{{4, 1, 2}, {0, 3, 3}};  // of a group each
  Workload kept = workload_of(passes, true, 2);
  kept.groups = 1;
  kept.counts.resize(1);
  kept.classes.front().verify = kept.classes.front().verify.of_groups(std::vector{0U});
  kept.classes.front().cache_writes.resize(1);
  EXPECT_NEAR(experts_seconds(tiers, kept), tiers.seconds({4, 1, 2}), 1e-15);
}

TEST(NestedTiers, BytesOfEachTierAreThoseOfItsHits) {
  const Tiers tiers{even_tiers(4)};
  const std::vector<Found> passes = drawn_passes(3);
  Found sums{};
  for (const Found& one : passes) {
    sums.near += one.near;
    sums.between += one.between;
    sums.far += one.far;
  }
  const Work work =
      integrate(tiers.system, tiers.plan, workload_of(passes, true), 1).parts[RoundPart::verify_experts].work;
  const double bytes = expert_bytes(tiers.model);
  const double found[] = {1.0 * sums.near, 1.0 * sums.between, 1.0 * sums.far};
  for (std::size_t t = 0; t < 3; ++t) {
    EXPECT_NEAR(work.amount(tiers.system.tiers[t].read), found[t] * bytes, 1e-6 * found[t] * bytes) << t;
  }
}

}  // namespace
}  // namespace moecarlo::hw
