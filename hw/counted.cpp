#include "hw/counted.hpp"

#include <algorithm>

#include "host/study/acceptance.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

/// Which joint group a group of the other tallies belongs to: both take trajectories (or sequences) in turn.
std::uint32_t joint_group_of(const TallyShape& shape, std::uint32_t group) {
  if (group < shape.groups.groups) return group % shape.joint_groups.groups;
  const std::uint32_t half = (group - shape.groups.groups) % 2;
  const std::uint32_t replicate = (group - shape.groups.groups) / 2;
  return shape.joint_groups.groups + 2 * (replicate % shape.joint_groups.replicates) + half;
}

/// Rounds and tokens of every joint group.
std::vector<GroupCounts> count_groups(const Tallies& tallies, std::size_t index) {
  const TallyShape& shape = tallies.shape;
  const Cell& cell = tallies.layout.cells[index];
  const std::vector<double> law = accepted_length_law(shape.cells[index].thresholds);
  std::vector<GroupCounts> groups(shape.joint_groups.total());
  for (std::uint32_t g = 0; g < shape.groups.total(); ++g) {
    GroupCounts& into = groups[joint_group_of(shape, g)];
    const std::uint64_t rounds = tallies.counters[cell.rounds + g];
    into.rounds += rounds;
    for (std::uint32_t a = 0; a <= cell.depth; ++a) {
      const std::uint64_t row = cell.accepted + std::uint64_t{g} * (cell.depth + 1);
      const double requests = shape.walk == Walk::enumerate ? law[a] * static_cast<double>(rounds)
                                                            : static_cast<double>(tallies.counters[row + a]);
      into.tokens += (a + 1) * requests;
    }
  }
  return groups;
}

using Classes = std::vector<LayerClassCounts>;

/// A joint histogram of the tallies with what is needed to read it.
struct CountedPoint {
  const Tallies& tallies;
  std::size_t cell;
  const JointTally& joint;
  const Capacity& capacity;

  std::vector<std::uint64_t> slice(std::uint64_t offset, std::uint64_t row, std::uint64_t size) const {
    const auto first = tallies.counters.begin() + static_cast<std::ptrdiff_t>(offset + row * size);
    return {first, first + static_cast<std::ptrdiff_t>(size)};
  }

  /// The counts of one class of layers in one joint group.
  LayerClassCounts layer_class(std::uint32_t number, std::uint32_t group, std::uint32_t layers,
                               std::uint32_t slots) const {
    const std::uint64_t row = std::uint64_t{number} * tallies.shape.joint_groups.total() + group;
    LayerClassCounts counts;
    counts.layers = layers;
    counts.capacity = slots;
    counts.max_hits = joint.rows - 1;
    counts.max_distinct = joint.columns - 1;
    counts.verify = slice(joint.verify, row, std::uint64_t{joint.rows} * joint.columns);
    if (tallies.shape.cells[cell].depth > 0) counts.draft = slice(joint.draft, row, joint.rows);
    counts.cache_writes = slice(joint.writes, row, 1).front();
    return counts;
  }

  /// All classes of a group: the layers that hold one expert more, then the others.
  Classes classes(std::uint32_t group) const {
    const std::uint32_t layers = tallies.shape.layers;
    const std::uint32_t extra = std::min(capacity.extra_layers, layers);
    Classes all;
    if (extra > 0) all.push_back(layer_class(0, group, extra, capacity.base + 1));
    if (extra < layers) all.push_back(layer_class(1, group, layers - extra, capacity.base));
    return all;
  }
};

CountedPoint find_point(const Tallies& tallies, std::uint32_t batch, std::uint32_t depth, Policy policy,
                        std::uint32_t bits, const Capacity& capacity, const std::string& asked_by) {
  const TallyShape& shape = tallies.shape;
  for (std::size_t index = 0; index < shape.cells.size(); ++index) {
    const CellShape& from = shape.cells[index];
    if (from.batch != batch || from.depth != depth || from.acceptance.independent) continue;
    if (from.bits != 0 && from.bits != bits) continue;
    const auto found = std::find(from.capacities.begin(), from.capacities.end(), capacity);
    const auto of_policy = std::find(from.policies.begin(), from.policies.end(), policy);
    if (found == from.capacities.end() || of_policy == from.policies.end()) continue;
    const auto c = static_cast<std::uint32_t>(found - from.capacities.begin());
    const auto p = static_cast<std::uint32_t>(of_policy - from.policies.begin());
    const Cell& cell = tallies.layout.cells[index];
    const std::uint32_t joint_index = tallies.layout.joint_index[cell.first_joint + p * cell.capacity_count + c];
    if (joint_index != kNoJoint) return {tallies, index, tallies.layout.joints[joint_index], *found};
  }
  fail(ErrorKind::usage,
       "{}: its {:.3f} experts a layer at batch {}, depth {} were not counted (expected a system that the study was "
       "simulated for)",
       asked_by, capacity.mean(shape.layers), batch, depth);
}

/// What an autoregressive step touches becomes what a draft step touches.
void take_drafts(const Classes& steps, Classes& into) {
  for (std::size_t c = 0; c < into.size(); ++c) {
    into[c].draft = steps[c].verify;
    into[c].max_draft_misses = steps[c].max_distinct;
    if (steps[c].max_hits == into[c].max_hits) continue;
    into[c].draft.resize((into[c].max_hits + std::size_t{1}) * (into[c].max_draft_misses + std::size_t{1}), 0);
  }
}

}  // namespace

Workload workload_of(const Tallies& tallies, std::uint32_t batch, std::uint32_t depth, Policy policy,
                     std::uint32_t bits, const Capacity& capacity, DraftRouting routing, const std::string& asked_by) {
  const TallyShape& shape = tallies.shape;
  const CountedPoint point = find_point(tallies, batch, depth, policy, bits, capacity, asked_by);
  const Tree& tree = shape.cells[point.cell].tree;
  Workload workload;
  workload.batch = batch;
  workload.depth = depth;
  workload.draft_width = tree.width;
  workload.verify_columns = tree.verified(depth);
  workload.policy = to_string(policy);
  workload.capacity = capacity;
  workload.layers = shape.layers;
  workload.top_k = shape.top_k;
  workload.groups = shape.joint_groups.groups;
  workload.replicates = shape.joint_groups.replicates;
  workload.counts = count_groups(tallies, point.cell);
  for (std::uint32_t g = 0; g < shape.joint_groups.total(); ++g) workload.counts[g].classes = point.classes(g);
  if (depth == 0 || routing != DraftRouting::all) return workload;
  const CountedPoint step = find_point(tallies, batch, 0, policy, bits, capacity, asked_by);
  for (std::uint32_t g = 0; g < shape.joint_groups.total(); ++g) {
    take_drafts(step.classes(g), workload.counts[g].classes);
  }
  return workload;
}

}  // namespace moecarlo::hw
