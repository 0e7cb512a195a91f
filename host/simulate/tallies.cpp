#include "host/simulate/tallies.hpp"

#include <algorithm>
#include <utility>

#include "cuda/core/histogram/histograms.hpp"
#include "host/support/memory_limit.hpp"

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
JointTally joint_box(const TallyShape& shape, const CellShape& cell, const Capacity& capacity) {
  const std::uint64_t touched = std::uint64_t{cell.batch} * cell.tree.verified(cell.depth) * shape.top_k;
  const auto most = static_cast<std::uint32_t>(std::min<std::uint64_t>(shape.experts, touched));
  JointTally joint;
  const std::uint32_t largest = capacity.base + (capacity.extra_layers > 0 ? 1 : 0);
  // Hits never exceed `most`, but draft steps may touch every resident; a pool may give one layer all its slots.
  const std::uint32_t residents = shape.scope == Scope::pool ? capacity.total(shape.layers) : largest;
  joint.rows = std::min(residents, shape.experts) + 1;
  joint.columns = most + 1;
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
    cell.apart = from.apart;
    cell.first_policy = static_cast<std::uint32_t>(layout.policies.size());
    cell.policy_count = static_cast<std::uint32_t>(from.policies.size());
    layout.policies.insert(layout.policies.end(), from.policies.begin(), from.policies.end());
    if (shape.asks) {
      cell.demand = static_cast<std::uint32_t>(layout.demands.size());
      cell.demand_counts = static_cast<std::uint32_t>(std::size(kDemandCounts));
      cell.drafts_nearest = drafts_nearest(from.demand.demand.rule);
      layout.demands.push_back(from.demand.demand);
    }
    cell.leads = static_cast<std::uint32_t>(shape.leads.size());
    cell.slices = shape.walk == Walk::enumerate ? from.depth + 1 : 1;
    each_histogram(shape.histograms, cell, shape.experts, [&](auto histogram, const HistogramColumns& columns) {
      cell.union_histograms += decltype(histogram)::kOfUnion ? 1 + columns.bins : 0;
      cell.point_histograms += decltype(histogram)::kOfPoint ? 1 + columns.bins : 0;
    });
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
      layout.joints.push_back(joint_box(shape, from, from.capacities[capacity]));
    }
    cell.first_nested = static_cast<std::uint32_t>(layout.nested.size());
    for (std::uint32_t policy = 0; policy < cell.policy_count; ++policy) {
      for (const NestedPair& pair : from.nested) {
        const JointTally box = joint_box(shape, from, from.capacities[pair.far]);
        const std::uint32_t first = policy * cell.capacity_count;
        layout.nested.push_back({first + pair.near, first + pair.far, box.rows, box.columns});
      }
    }
    cell.nested_count = static_cast<std::uint32_t>(layout.nested.size()) - cell.first_nested;
    // Episodes replay one cell at a time and share the scratch; the other walks fill all cells at once.
    const std::uint32_t width = cell.totals_width();
    const bool alone = shape.walk == Walk::episodes || shape.walk == Walk::replay;
    cell.first_total = alone ? 0 : totals;
    totals += width;
    layout.totals_width = alone ? std::max(layout.totals_width, width) : totals;
    layout.cells.push_back(cell);
  }
  layout.first_joint_counter = allocator.used();
  const std::uint64_t classes_and_groups = std::uint64_t{2} * shape.ranges.count * shape.joint_groups.total();
  for (JointTally& joint : layout.joints) {
    joint.verify = allocator.take(classes_and_groups * joint.rows * joint.columns);
    joint.draft = allocator.take(classes_and_groups * joint.rows);
    joint.writes = allocator.take(classes_and_groups);
  }
  for (NestedTally& nested : layout.nested) {
    nested.passes = allocator.take(classes_and_groups * nested.rows * nested.columns);
    nested.near_hits = allocator.take(classes_and_groups * nested.rows * nested.columns);
  }
  layout.size = allocator.used();
  return layout;
}

bool TallyShape::acceptance_reads_trace() const {
  return std::any_of(cells.begin(), cells.end(), [](const CellShape& cell) {
    return cell.depth > 0 && (cell.acceptance.kind != Acceptance::by_position);
  });
}

std::vector<TallyLayout::Sparse> TallyLayout::sparse_of(std::size_t index) const {
  const Cell& cell = cells[index];
  std::vector<Sparse> all;
  const auto add = [&](std::uint64_t first, std::uint64_t end) { all.push_back({first, end - first}); };
  const auto end_of_joint = [&](std::size_t joint) {
    if (joint + 1 < joints.size()) return joints[joint + 1].verify;
    return nested.empty() ? size : nested.front().passes;
  };
  for (std::uint32_t point = 0; point < cell.points(); ++point) {
    const std::uint32_t joint = joint_index[cell.first_joint + point];
    if (joint != kNoJoint) add(joints[joint].verify, end_of_joint(joint));
  }
  for (std::uint32_t n = cell.first_nested; n < cell.first_nested + cell.nested_count; ++n) {
    add(nested[n].passes, n + 1 < nested.size() ? nested[n + 1].passes : size);
  }
  return all;
}

JointBins joint_bins(const Tallies& tallies, std::size_t cell) {
  JointBins bins;
  bins.first.push_back(0);
  for (const auto& [first, size] : tallies.layout.sparse_of(cell)) {
    const std::uint64_t* counters = tallies.counters.data() + first;
    for (std::uint64_t place = 0; place < size; ++place) {
      if (counters[place] == 0) continue;
      bins.place.push_back(static_cast<std::uint32_t>(place));
      bins.count.push_back(counters[place]);
    }
    bins.first.push_back(bins.place.size());
  }
  return bins;
}

std::vector<JointBins> joint_bins(const Tallies& tallies) {
  std::vector<JointBins> cells;
  for (std::size_t cell = 0; cell < tallies.shape.cells.size(); ++cell) cells.push_back(joint_bins(tallies, cell));
  return cells;
}

void add_joints(Tallies& tallies, const std::vector<JointBins>& joints) {
  expect_memory(tallies.layout.size * sizeof(std::uint64_t), "the whole of the tallies");
  tallies.counters.resize(tallies.layout.size, 0);
  for (std::size_t cell = 0; cell < joints.size(); ++cell) {
    const auto& [first, place, count] = joints[cell];
    const std::vector<TallyLayout::Sparse> sparse = tallies.layout.sparse_of(cell);
    for (std::size_t s = 0; s < sparse.size(); ++s) {
      std::uint64_t* counters = tallies.counters.data() + sparse[s].first;
      for (std::uint64_t bin = first[s]; bin < first[s + 1]; ++bin) counters[place[bin]] = count[bin];
    }
  }
}

void add(JointBins& sum, const JointBins& more) {
  if (sum.first.empty()) return;  // a cell without joint histograms
  JointBins both;
  for (std::size_t joint = 0; joint + 1 < sum.first.size(); ++joint) {
    both.first.push_back(both.place.size());
    std::uint64_t a = sum.first[joint], b = more.first[joint];
    const std::uint64_t end_a = sum.first[joint + 1], end_b = more.first[joint + 1];
    while (a < end_a || b < end_b) {
      const bool in_a = a < end_a && (b == end_b || sum.place[a] <= more.place[b]);
      const bool in_b = b < end_b && (a == end_a || more.place[b] <= sum.place[a]);
      both.place.push_back(in_a ? sum.place[a] : more.place[b]);
      both.count.push_back((in_a ? sum.count[a] : 0) + (in_b ? more.count[b] : 0));
      a += in_a ? 1 : 0;
      b += in_b ? 1 : 0;
    }
  }
  both.first.push_back(both.place.size());
  sum = std::move(both);
}

Tallies::Tallies(TallyShape shape_of_study)
    : shape(std::move(shape_of_study)), layout(TallyLayout::of(shape)), counters(layout.size, 0) {}

Tallies::Tallies(TallyShape shape_of_study, TallyLayout layout_of_shape, std::uint64_t counters_kept)
    : shape(std::move(shape_of_study)), layout(std::move(layout_of_shape)), counters(counters_kept, 0) {}

}  // namespace moecarlo
