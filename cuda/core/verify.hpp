#pragma once

#include "cuda/core/draft.hpp"
#include "cuda/core/path.hpp"
#include "cuda/core/tally.hpp"

namespace moecarlo {

/// What one trajectory does in one layer: everything a replay needs besides its path.
struct LayerContext {
  const RoutingView& routing;
  const PlanView& plan;
  const TrajectoryId& id;
  const TallyView& tally;
  std::uint32_t layer;
  std::uint64_t* totals;  ///< scratch, [plan.totals_width]; for each cell a union record, then its point records

  MOECARLO_HOST_DEVICE std::uint64_t* union_totals(const Cell& cell) const { return totals + cell.first_total; }
  MOECARLO_HOST_DEVICE std::uint64_t* point_totals(const Cell& cell, std::uint32_t point) const {
    return totals + cell.first_total + cell.union_width() + point * cell.point_width();
  }
  MOECARLO_HOST_DEVICE void clear(const Cell& cell) const {
    std::uint64_t* record = totals + cell.first_total;
    for (std::uint32_t i = 0; i < cell.totals_width(plan.policies); ++i) record[i] = 0;
  }
};

/// The distinct experts of one pass of a cell: into the union record and the histogram.
MOECARLO_HOST_DEVICE void count_union(const LayerContext& at, const Cell& cell, std::uint32_t distinct) {
  at.union_totals(cell)[0] += distinct;
  if (at.id.is_main()) {
    at.tally.add(cell.distinct + std::uint64_t{at.layer} * (at.routing.experts + 1) + distinct, 1);
  }
}

/// The joint histogram of a design point, or null where no system asked for one.
MOECARLO_HOST_DEVICE const JointTally* joint_of(const PlanView& plan, const Cell& cell, std::uint32_t point) {
  const std::uint32_t index = plan.joint_index[cell.first_joint + point];
  return index == kNoJoint ? nullptr : plan.joints + index;
}

/// Row of a joint tally's [classes][groups] arrays: the class of this layer, the group of this trajectory.
MOECARLO_HOST_DEVICE std::uint64_t joint_row(const LayerContext& at, const Capacity& capacity) {
  const std::uint64_t layer_class = at.layer < capacity.extra_layers ? 0 : 1;
  return layer_class * at.plan.joint_groups.total() + at.id.joint_group;
}

MOECARLO_HOST_DEVICE void count_joint(const LayerContext& at, const JointTally& joint, const Capacity& capacity,
                                      std::uint32_t hits, std::uint32_t misses) {
  at.tally.add(joint.verify + (joint_row(at, capacity) * joint.rows + hits) * joint.columns + misses, 1);
}

MOECARLO_HOST_DEVICE void count_joint_draft(const LayerContext& at, const JointTally& joint, const Capacity& capacity,
                                            std::uint32_t distinct) {
  at.tally.add(joint.draft + joint_row(at, capacity) * joint.rows + distinct, 1);
}

/// Draws the replacements of a draft step and counts the residents it touches. tokens: [batch].
template <int Words>
MOECARLO_HOST_DEVICE void count_touched(const LayerContext& at, const JointTally& joint, const Capacity& capacity,
                                        const std::uint32_t* tokens, std::uint32_t batch,
                                        const ExpertMask<Words>& residents, std::uint32_t round, std::uint32_t step) {
  const DrawAddress address{at.plan.seed, at.id.stream, at.id.number, round, 0, Purpose::draft_replacement, step};
  const std::uint32_t* weights = at.plan.draft_weights + std::size_t{at.layer} * at.routing.experts;
  count_joint_draft(at, joint, capacity,
                    draft_distinct(at.routing, at.layer, tokens, batch, residents, weights, address));
}

/// Adds the totals of a cell to the tallies of the layer (main family only) and of the group.
MOECARLO_HOST_DEVICE void flush(const LayerContext& at, const Cell& cell) {
  const std::uint64_t* unions = at.union_totals(cell);
  for (std::uint32_t i = 0; i < cell.union_width(); ++i) {
    if (at.id.is_main()) at.tally.add(cell.unions_by_layer + at.layer * cell.union_width() + i, unions[i]);
    at.tally.add(cell.unions_by_group + at.id.group * cell.union_width() + i, unions[i]);
  }
  const std::uint32_t width = cell.point_width();
  for (std::uint32_t point = 0; point < at.plan.policies * cell.capacity_count; ++point) {
    const std::uint64_t* record = at.point_totals(cell, point);
    const std::uint64_t by_layer =
        cell.points_by_layer + (std::uint64_t{point} * at.routing.layers + at.layer) * width;
    const std::uint64_t by_group =
        cell.points_by_group + (std::uint64_t{point} * at.plan.groups.total() + at.id.group) * width;
    for (std::uint32_t i = 0; i < width; ++i) {
      if (at.id.is_main()) at.tally.add(by_layer + i, record[i]);
      at.tally.add(by_group + i, record[i]);
    }
    if (const JointTally* joint = joint_of(at.plan, cell, point)) {
      const Capacity& capacity = at.plan.capacities[cell.first_capacity + point % cell.capacity_count];
      at.tally.add(joint->writes + joint_row(at, capacity), record[kCacheWrites]);
    }
  }
}

}  // namespace moecarlo
