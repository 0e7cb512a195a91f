#include "cuda/core/features.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace moecarlo {
namespace {

/// One LRU cache a layer over whole experts.
struct PlainCell {
  std::vector<Policy> policies{Policy::lru};
  std::vector<std::uint32_t> joints{kNoJoint};
  RoutingView routing;
  PlanView plan;
  Cell cell;

  PlainCell() {
    routing.experts = plan.drafting_experts = 16;
    cell.policy_count = cell.capacity_count = 1;
    cell.depth = 2;
  }
  Features found() {
    plan.policies = ViewArray<Policy>::of(policies);
    plan.joint_index = ViewArray<std::uint32_t>::of(joints);
    return features_of(plan, cell, routing);
  }
};

TEST(Features, AreNoneOfACellOfOneLruCacheALayer) {
  EXPECT_EQ(PlainCell().found(), 0U);
}

TEST(Features, AreFoundOneByOne) {
  using Change = void (*)(PlainCell&);
  static constexpr std::int32_t kLogits = 0;
  static constexpr std::uint16_t kMass = 0;
  static constexpr Demand kAll;
  const std::pair<Feature, Change> changes[] = {
      {Feature::samples, [](PlainCell& one) { one.plan.walk = Walk::samples; }},
      {Feature::enumeration, [](PlainCell& one) { one.plan.walk = Walk::enumerate; }},
      {Feature::replay, [](PlainCell& one) { one.plan.walk = Walk::replay; }},
      {Feature::coupled, [](PlainCell& one) { one.plan.coupled = true; }},
      {Feature::trees, [](PlainCell& one) { one.cell.tree.width = 2; }},
      {Feature::other_policies, [](PlainCell& one) { one.policies = {Policy::lfu}; }},
      {Feature::slices, [](PlainCell& one) { one.plan.drafting_experts = 8; }},
      {Feature::gate_mass, [](PlainCell& one) { one.plan.gate_mass = &kMass; }},
      {Feature::perturbed_routing, [](PlainCell& one) { one.plan.perturb.logits = &kLogits; }},
      {Feature::resampled_rejections, [](PlainCell& one) { one.plan.resample_rejected = true; }},
      {Feature::joint_histograms, [](PlainCell& one) { one.joints = {0}; }},
      {Feature::histograms, [](PlainCell& one) { one.plan.histograms = 1; }},
      {Feature::demands,
       [](PlainCell& one) {
         one.plan.demands = {&kAll, 1};
       }},
      {Feature::several_policies,
       [](PlainCell& one) {
         one.policies = {Policy::lru, Policy::lru};
         one.joints = {kNoJoint, kNoJoint};
         one.cell.policy_count = 2;
       }},
      {Feature::several_capacities,
       [](PlainCell& one) {
         one.joints = {kNoJoint, kNoJoint};
         one.cell.capacity_count = 2;
       }},
  };
  Features all = 0;
  for (const auto& [feature, change] : changes) {
    PlainCell one;
    change(one);
    EXPECT_EQ(one.found(), features(feature));
    EXPECT_FALSE(serves(0, one.plan, one.cell, one.routing));
    EXPECT_TRUE(serves(features(feature), one.plan, one.cell, one.routing));
    all |= features(feature);
  }
  EXPECT_EQ(all, features(Feature::demands) * 2 - 1) << "a feature without a change above";
}

}  // namespace
}  // namespace moecarlo
