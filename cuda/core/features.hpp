#pragma once

#include "cuda/core/drawn_routing.hpp"
#include "cuda/core/plan.hpp"

namespace moecarlo {

/// What a cell may ask of the code that simulates it, beyond one LRU cache of one capacity in every layer, verified by
/// chains in episodes. Code for special cases states the features it serves; a cell that has any other goes to the
/// general code, which serves all. A feature that is added here is slow at first, and never wrong.
enum class Feature : std::uint32_t {
  samples,
  enumeration,
  replay,
  coupled,  ///< one pool, acceptance that looks at residents, or demand rules
  trees,
  other_policies,  ///< than LRU
  several_policies,
  several_capacities,
  slices,
  gate_mass,
  perturbed_routing,
  resampled_rejections,
  joint_histograms,
  histograms,  ///< that the study asks for
  demands,     ///< that are not all that the router chose, or are counted
};

using Features = std::uint32_t;

template <class... All>
constexpr Features features(All... all) {
  return (0U | ... | (1U << static_cast<std::uint32_t>(all)));
}

/// Of a plan in host memory, which is simulated over this routing.
inline Features features_of(const PlanView& plan, const Cell& cell, const RoutingView& routing) {
  Features found = 0;
  const auto has = [&](Feature feature, bool is_there) { found |= is_there ? features(feature) : 0; };
  has(Feature::samples, plan.walk == Walk::samples);
  has(Feature::enumeration, plan.walk == Walk::enumerate);
  has(Feature::replay, plan.walk == Walk::replay);
  has(Feature::coupled, plan.coupled);
  has(Feature::trees, !cell.tree.is_chain());
  for (std::uint32_t p = 0; p < cell.policy_count; ++p) {
    has(Feature::other_policies, plan.policies[cell.first_policy + p] != Policy::lru);
  }
  has(Feature::several_policies, cell.policy_count > 1);
  has(Feature::several_capacities, cell.capacity_count > 1);
  has(Feature::slices, plan.drafting_experts != routing.experts);
  has(Feature::gate_mass, plan.gate_mass != nullptr);
  has(Feature::perturbed_routing, plan.perturb.logits != nullptr);
  has(Feature::resampled_rejections, plan.resample_rejected);
  has(Feature::histograms, plan.histograms != 0);
  has(Feature::demands, plan.asks());
  has(Feature::joint_histograms, cell.nested_count > 0);
  for (std::uint32_t point = 0; point < cell.points(); ++point) {
    has(Feature::joint_histograms, plan.joint_index[cell.first_joint + point] != kNoJoint);
  }
  return found;
}

/// Whether code that serves `served` can simulate a cell.
inline bool serves(Features served, const PlanView& plan, const Cell& cell, const RoutingView& routing) {
  return (features_of(plan, cell, routing) & ~served) == 0;
}

}  // namespace moecarlo
