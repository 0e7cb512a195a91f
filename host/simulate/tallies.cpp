#include "host/simulate/tallies.hpp"

#include <algorithm>
#include <utility>

namespace moecarlo {
namespace {

/// Hands out consecutive offsets.
class Allocator {
 public:
  std::uint64_t take(std::uint64_t count) { return std::exchange(used_, used_ + count); }
  std::uint64_t used() const { return used_; }

 private:
  std::uint64_t used_ = 0;
};

/// Box of the joint histogram: at most U = min(E, B (d + 1) k) experts are touched, at most min(C, U) of them hit.
JointTally lay_out_joint(const TallyShape& shape, const CellShape& cell, const Capacity& capacity,
                         Allocator& allocator) {
  const std::uint64_t touched = std::uint64_t{cell.batch} * cell.tree.verified(cell.depth) * shape.top_k;
  const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(shape.experts, touched));
  JointTally joint;
  const std::uint32_t largest = capacity.base + (capacity.extra_layers > 0 ? 1 : 0);
  // Hits never exceed `most`, but draft steps may touch every resident; a pool may give one layer all its slots.
  const std::uint32_t residents = shape.scope == Scope::pool ? capacity.total(shape.layers) : largest;
  joint.rows = std::min(residents, shape.experts) + 1;
  joint.columns = most + 1;
  const std::uint64_t classes_and_groups = std::uint64_t{2} * shape.joint_groups.total();
  joint.verify = allocator.take(classes_and_groups * joint.rows * joint.columns);
  joint.draft = allocator.take(classes_and_groups * joint.rows);
  joint.writes = allocator.take(classes_and_groups);
  return joint;
}

}  // namespace

TallyLayout TallyLayout::of(const TallyShape& shape) {
  TallyLayout layout;
  Allocator allocator;
  const std::uint64_t groups = shape.groups.total();
  std::uint32_t totals = 0;
  for (const CellShape& from : shape.cells) {
    Cell cell;
    cell.batch = from.batch;
    cell.depth = from.depth;
    cell.tree = from.tree;
    cell.acceptance = from.acceptance;
    cell.first_policy = static_cast<std::uint32_t>(layout.policies.size());
    cell.policy_count = static_cast<std::uint32_t>(from.policies.size());
    layout.policies.insert(layout.policies.end(), from.policies.begin(), from.policies.end());
    cell.slices = shape.walk == Walk::enumerate ? from.depth + 1 : 1;
    cell.first_threshold = static_cast<std::uint32_t>(layout.thresholds.size());
    cell.first_capacity = static_cast<std::uint32_t>(layout.capacities.size());
    cell.capacity_count = static_cast<std::uint32_t>(from.capacities.size());
    cell.first_joint = static_cast<std::uint32_t>(layout.joint_index.size());
    layout.thresholds.insert(layout.thresholds.end(), from.thresholds.begin(), from.thresholds.end());
    layout.capacities.insert(layout.capacities.end(), from.capacities.begin(), from.capacities.end());

    const std::uint64_t points = cell.points();
    cell.rounds = allocator.take(groups);
    cell.accepted = allocator.take(groups * (cell.depth + 1));
    cell.drafted = allocator.take(groups);
    cell.distinct = allocator.take(std::uint64_t{shape.layers} * (shape.experts + 1));
    cell.unions_by_layer = allocator.take(std::uint64_t{shape.layers} * cell.union_width());
    cell.unions_by_group = allocator.take(groups * cell.union_width());
    cell.points_by_layer = allocator.take(points * shape.layers * cell.point_width());
    cell.points_by_group = allocator.take(points * groups * cell.point_width());
    for (std::uint32_t point = 0; point < points; ++point) {
      const std::uint32_t capacity = point % cell.capacity_count;
      if (!from.joint[capacity]) {
        layout.joint_index.push_back(kNoJoint);
        continue;
      }
      layout.joint_index.push_back(static_cast<std::uint32_t>(layout.joints.size()));
      layout.joints.push_back(lay_out_joint(shape, from, from.capacities[capacity], allocator));
    }
    // Episodes replay one cell at a time and share the scratch; the other walks fill all cells at once.
    const std::uint32_t width = cell.totals_width();
    const bool alone = shape.walk == Walk::episodes || shape.walk == Walk::replay;
    cell.first_total = alone ? 0 : totals;
    totals += width;
    layout.totals_width = alone ? std::max(layout.totals_width, width) : totals;
    layout.cells.push_back(cell);
  }
  layout.size = allocator.used();
  return layout;
}

bool TallyShape::acceptance_reads_trace() const {
  return std::any_of(cells.begin(), cells.end(), [](const CellShape& cell) {
    return cell.depth > 0 && (cell.acceptance.kind != Acceptance::by_position);
  });
}

Tallies::Tallies(TallyShape shape_of_study)
    : shape(std::move(shape_of_study)), layout(TallyLayout::of(shape)), counters(layout.size, 0) {}

}  // namespace moecarlo
