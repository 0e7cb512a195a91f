#pragma once

#include "cuda/core/draft.hpp"
#include "cuda/core/layer_bundle.hpp"
#include "cuda/core/plan.hpp"
#include "cuda/core/tally.hpp"

namespace moecarlo {

/// What one trajectory does in a bundle of `Lanes` layers: everything a replay needs besides its path.
template <int Lanes>
struct LayerContext {
  const RoutingView& routing;
  const PlanView& plan;
  const TrajectoryId& id;
  const TallyView& tally;
  std::uint32_t first_layer;
  int first_lane;         ///< lanes below it belong to another bundle and are not counted
  std::uint64_t* totals;  ///< scratch, [plan.totals_width][Lanes]; for each cell a union record, then its point records

  /// Lanes from this one on have no layer, where there are fewer than lanes: what lies behind a row is replayed in
  /// them, and not counted.
  MOECARLO_HOST_DEVICE int end_lane() const {
    const std::uint32_t left = Lanes == 1 ? 1 : routing.layers - first_layer;
    return left < Lanes ? static_cast<int>(left) : Lanes;
  }

  MOECARLO_HOST_DEVICE std::uint32_t layer(int lane) const { return first_layer + static_cast<std::uint32_t>(lane); }

  /// Number `field` of a cell's union record, or of one of its point records: [Lanes].
  MOECARLO_HOST_DEVICE std::uint64_t* union_total(const Cell& cell, std::uint32_t field) const {
    return totals + std::size_t{cell.first_total + field} * Lanes;
  }
  MOECARLO_HOST_DEVICE std::uint64_t* point_total(const Cell& cell, std::uint32_t point, std::uint32_t field) const {
    return union_total(cell, cell.union_width() + point * cell.point_width() + field);
  }
  MOECARLO_HOST_DEVICE void clear(const Cell& cell) const {
    std::uint64_t* record = union_total(cell, 0);
    for (std::uint32_t i = 0; i < cell.totals_width() * Lanes; ++i) record[i] = 0;
  }
};

/// The distinct experts of one pass of a cell: into the union record and the histogram.
template <int Lanes>
MOECARLO_HOST_DEVICE void count_union(const LayerContext<Lanes>& at, const Cell& cell,
                                      const LaneWord<Lanes>& distinct) {
  add_lanes(at.union_total(cell, kDistinct), distinct);
  if (!at.id.is_main()) return;
  for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
    at.tally.add(cell.distinct + std::uint64_t{at.layer(lane)} * (at.routing.experts + 1) + distinct[lane], 1);
  }
}

/// The joint histogram of a design point, or null where no system asked for one.
MOECARLO_HOST_DEVICE const JointTally* joint_of(const PlanView& plan, const Cell& cell, std::uint32_t point) {
  const std::uint32_t index = plan.joint_index[cell.first_joint + point];
  return index == kNoJoint ? nullptr : plan.joints + index;
}

/// Row of a joint tally's [classes][groups] arrays: the class of a layer, the group of this trajectory.
MOECARLO_HOST_DEVICE std::uint64_t joint_row(const PlanView& plan, const TrajectoryId& id, std::uint32_t layer,
                                             const Capacity& capacity) {
  const std::uint64_t layer_class = 2 * plan.ranges.of(layer) + (layer < capacity.extra_layers ? 0 : 1);
  return layer_class * plan.joint_groups.total() + id.joint_group;
}

template <int Lanes>
MOECARLO_HOST_DEVICE void count_joint(const LayerContext<Lanes>& at, const JointTally& joint, const Capacity& capacity,
                                      const LaneWord<Lanes>& hits, const LaneWord<Lanes>& distinct) {
  for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
    const std::uint64_t row = joint_row(at.plan, at.id, at.layer(lane), capacity);
    const std::uint64_t misses = distinct[lane] - hits[lane];
    at.tally.add(joint.verify + (row * joint.rows + hits[lane]) * joint.columns + misses, 1);
  }
}

/// The nested tallies of a pass that touches `all`. `residents(point)`: what a point holds, as `all` is given.
template <class Masks, int Lanes, class Residents>
MOECARLO_HOST_DEVICE void count_nested(const LayerContext<Lanes>& at, const Cell& cell, const Masks& all,
                                       const LaneWord<Lanes>& distinct, const Residents& residents) {
  for (std::uint32_t n = 0; n < cell.nested_count; ++n) {
    const NestedTally& nested = at.plan.nested[cell.first_nested + n];
    const Capacity& capacity = at.plan.capacities[cell.first_capacity + nested.point % cell.capacity_count];
    const Masks found = all & residents(nested.point);
    const LaneWord<Lanes> hits{found.count()}, near{(found & residents(nested.near)).count()};
    for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
      const std::uint64_t row = joint_row(at.plan, at.id, at.layer(lane), capacity);
      const std::uint64_t place =
          (row * nested.rows + hits[lane] - near[lane]) * nested.columns + distinct[lane] - hits[lane];
      at.tally.add(nested.passes + place, 1);
      at.tally.add(nested.near_hits + place, near[lane]);
    }
  }
}

/// The order of experts by distance in a layer, see nearest_routing.
MOECARLO_HOST_DEVICE const std::uint16_t* nearest_in(const PlanView& plan, std::uint32_t layer) {
  return plan.nearest + std::size_t{layer} * plan.drafting_experts * plan.drafting_experts;
}

/// Counts the residents that a draft step touches in one lane's layer. `step(i)`: its tokens, i < count.
template <int Words, int Lanes, class Step>
MOECARLO_HOST_DEVICE void count_touched(const LayerContext<Lanes>& at, const Cell& cell, int lane,
                                        const JointTally& joint, const Capacity& capacity, const Step& step,
                                        std::uint32_t count, const ExpertMask<Words>& residents, std::uint32_t round) {
  const std::uint32_t layer = at.layer(lane);
  // A replay is one trajectory of any number of rounds; the others' rounds fit their field.
  const DrawAddress address{at.plan.seed,
                            at.id.stream,
                            at.id.number + (round >> DrawAddress::kRoundBits),
                            round % DrawAddress::kRounds,
                            0,
                            Purpose::draft_replacement,
                            0,
                            layer};
  const DraftLayer draft{at.plan.drafting_experts, at.plan.drafting_top_k,
                         at.plan.draft_weights + std::size_t{layer} * at.plan.drafting_experts,
                         cell.drafts_nearest ? nearest_in(at.plan, layer) : nullptr};
  const std::uint32_t distinct = draft_distinct<Words>(draft, step, count, residents, address);
  at.tally.add(joint.draft + joint_row(at.plan, at.id, layer, capacity) * joint.rows + distinct, 1);
}

/// Where a token's gate masses in a layer lie, [drafting_top_k]; null where they are not known (no token of the trace,
/// or its routing is drawn).
MOECARLO_HOST_DEVICE const std::uint16_t* gate_mass_at(const RoutingView& routing, const PlanView& plan,
                                                       std::uint32_t token, std::uint32_t layer) {
  if (plan.gate_mass == nullptr || token >= plan.tokens || plan.perturb.logits != nullptr) return nullptr;
  return plan.gate_mass + (std::size_t{token} * routing.stride + layer) * plan.drafting_top_k;
}

/// The same for the magnitudes of its channels, [channels].
MOECARLO_HOST_DEVICE const std::uint8_t* magnitudes_at(const RoutingView& routing, const PlanView& plan,
                                                       std::uint32_t token, std::uint32_t layer) {
  if (plan.channel_magnitude == nullptr || token >= plan.tokens) return nullptr;
  return plan.channel_magnitude + (std::size_t{token} * routing.stride + layer) * plan.channels;
}

/// The same for the order of its scores, [drafting_experts].
MOECARLO_HOST_DEVICE const std::uint16_t* score_order_at(const RoutingView& routing, const PlanView& plan,
                                                         std::uint32_t token, std::uint32_t layer) {
  if (plan.score_order == nullptr || token >= plan.tokens || plan.perturb.logits != nullptr) return nullptr;
  return plan.score_order + (std::size_t{token} * routing.stride + layer) * plan.drafting_experts;
}

/// Adds one record of the totals to the tallies of its layer (main family only) and of the group.
template <int Lanes>
MOECARLO_HOST_DEVICE void flush_record(const LayerContext<Lanes>& at, const std::uint64_t* record, std::uint32_t width,
                                       std::uint64_t by_layer, std::uint64_t by_group) {
  for (std::uint32_t field = 0; field < width; ++field) {
    std::uint64_t sum = 0;
    for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
      const std::uint64_t count = record[field * Lanes + static_cast<std::uint32_t>(lane)];
      sum += count;
      if (at.id.is_main()) at.tally.add(by_layer + std::uint64_t{at.layer(lane)} * width + field, count);
    }
    at.tally.add(by_group + std::uint64_t{at.id.group} * width + field, sum);
  }
}

/// Adds the totals of a cell to the tallies.
template <int Lanes>
MOECARLO_HOST_DEVICE void flush(const LayerContext<Lanes>& at, const Cell& cell) {
  flush_record(at, at.union_total(cell, 0), cell.union_width(), cell.unions_by_layer, cell.unions_by_group);
  const std::uint32_t width = cell.point_width();
  for (std::uint32_t point = 0; point < cell.points(); ++point) {
    flush_record(at, at.point_total(cell, point, 0), width,
                 cell.points_by_layer + std::uint64_t{point} * at.routing.layers * width,
                 cell.points_by_group + std::uint64_t{point} * at.plan.groups.total() * width);
    if (const JointTally* joint = joint_of(at.plan, cell, point)) {
      const Capacity& capacity = at.plan.capacities[cell.first_capacity + point % cell.capacity_count];
      for (int lane = at.first_lane; lane < at.end_lane(); ++lane) {
        at.tally.add(joint->writes + joint_row(at.plan, at.id, at.layer(lane), capacity),
                     at.point_total(cell, point, kCacheWrites)[lane]);
      }
    }
  }
}

}  // namespace moecarlo
