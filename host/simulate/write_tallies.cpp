#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "host/simulate/tallies.hpp"
#include "host/simulate/tallies_layout.hpp"
#include "host/support/hdf5.hpp"

namespace moecarlo {
namespace {

using hdf5::OutputGroup;

template <class T>
std::string_view name_of(T value, const Names<T>& names) {
  return std::find_if(names.begin(), names.end(), [&](const auto& name) { return name.second == value; })->first;
}

template <class T>
void write_vector(OutputGroup& group, const std::string& name, const std::vector<T>& values) {
  if (!values.empty()) group.write<T>(name, {values.size()}, values);
}

/// In the narrowest integers that hold all values.
void write_narrow(OutputGroup& group, const std::string& name, const std::vector<std::uint64_t>& extents,
                  std::span<const std::uint64_t> values) {
  const auto write_as = [&]<class T>(T) {
    const std::vector<T> narrow(values.begin(), values.end());
    group.write<T>(name, extents, narrow);
  };
  const std::uint64_t most = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  if (std::in_range<std::uint8_t>(most)) return write_as(std::uint8_t{});
  if (std::in_range<std::uint16_t>(most)) return write_as(std::uint16_t{});
  if (std::in_range<std::uint32_t>(most)) return write_as(std::uint32_t{});
  group.write<std::uint64_t>(name, extents, values);
}

void write_joints(OutputGroup& group, const JointBins& bins) {
  if (bins.first.size() <= 1) return;
  group.write<std::uint64_t>("joint_first", {bins.first.size()}, bins.first);
  group.write<std::uint32_t>("joint_place", {bins.place.size()}, bins.place);
  write_narrow(group, "joint_count", {bins.count.size()}, bins.count);
}

void write_cell(OutputGroup& root, const Tallies& tallies, const JointBins& joints, std::size_t index) {
  const CellShape& shape = tallies.shape.cells[index];
  OutputGroup group = root.create_group(cell_name(index));
  group.write_integer("batch", shape.batch);
  group.write_integer("depth", shape.depth);
  group.write_integer("bits", shape.bits);
  group.write_integer("tree_width", shape.tree.width);
  group.write_integer("tree_verify_tokens", shape.tree.verify_tokens);
  group.write_string("acceptance", name_of(shape.acceptance.kind, acceptance_rule_names()));
  group.write_integer("acceptance_table", shape.acceptance.table);
  group.write_boolean("acceptance_independent", shape.acceptance.independent);
  group.write_boolean("apart", shape.apart);
  if (shape.chunk_requests > 0) group.write_integer("chunk_requests", shape.chunk_requests);
  if (shape.alpha) group.write_string("alpha", fmt::format("{}", *shape.alpha));
  if (tallies.shape.asks) {
    const auto& numbers = shape.demand.demand.numbers.of;
    group.write_string("demand", shape.demand.label);
    group.write_string("demand_rule", to_string(shape.demand.demand.rule));
    group.write_integer("demand_channels", shape.demand.demand.channels);
    write_vector(group, "demand_numbers", std::vector<std::uint64_t>(std::begin(numbers), std::end(numbers)));
  }
  std::vector<const char*> policies;
  for (const Policy policy : shape.policies) policies.push_back(to_string(policy));
  group.write_string("policies", fmt::format("{}", fmt::join(policies, " ")));
  std::vector<std::uint32_t> base, extra, joint;
  for (const Capacity& capacity : shape.capacities) {
    base.push_back(capacity.base);
    extra.push_back(capacity.extra_layers);
  }
  joint.assign(shape.joint.begin(), shape.joint.end());
  write_vector(group, "capacity_base", base);
  write_vector(group, "capacity_extra_layers", extra);
  write_vector(group, "capacity_joint", joint);
  if (!shape.nested.empty()) {
    std::vector<std::uint32_t> near, far;
    for (const NestedPair& pair : shape.nested) {
      near.push_back(pair.near);
      far.push_back(pair.far);
    }
    write_vector(group, "nested_near", near);
    write_vector(group, "nested_far", far);
  }
  write_vector(group, "acceptance_thresholds", shape.thresholds);
  for (const Block& block : blocks_of(tallies.shape, tallies.layout, index)) {
    write_narrow(group, block.name, block.extents, std::span(tallies.counters).subspan(block.offset, block.size()));
  }
  write_joints(group, joints);
}

/// What was counted, and its shape.
void write_counts(OutputGroup& root, const Tallies& tallies, const std::vector<JointBins>& joints) {
  const TallyShape& shape = tallies.shape;
  root.write_string("walk", name_of(shape.walk, walk_names()));
  root.write_string("union_counts", names_of(kUnionCounts));
  root.write_string("point_counts", names_of(kPointCounts));
  if (shape.asks) root.write_string("demand_counts", names_of(kDemandCounts));
  root.write_integer("layers", shape.layers);
  root.write_integer("experts", shape.experts);
  root.write_integer("top_k", shape.top_k);
  if (shape.zero_experts > 0) root.write_integer("zero_computation_experts", shape.zero_experts);
  root.write_integer("slices", shape.slices);
  root.write_string("scope", to_string(shape.scope));
  root.write_boolean("warm", shape.warm);
  root.write_string("histograms", names_of(shape.histograms));
  root.write_integer("groups", shape.groups.groups);
  root.write_integer("replicates", shape.groups.replicates);
  root.write_integer("populations", shape.groups.populations);
  root.write_integer("joint_groups", shape.joint_groups.groups);
  root.write_integer("joint_replicates", shape.joint_groups.replicates);
  write_vector(root, "population_starts", shape.population_starts);
  write_vector(root, "prompts", shape.prompts);
  write_vector(root, "prefetch_leads", shape.leads);
  write_vector(root, "layer_ranges",
               std::vector<std::uint32_t>(shape.ranges.first + 1, shape.ranges.first + shape.ranges.count));
  root.write_integer("sequences", shape.sequences);
  root.write_integer("subset", shape.subset);
  root.write_integer("trajectories", static_cast<std::int64_t>(tallies.trajectories));
  root.write_integer("replicate_trajectories", static_cast<std::int64_t>(tallies.replicate_trajectories));
  root.write_integer("shard", tallies.shard.index);
  root.write_integer("shards", tallies.shard.count);
  root.write_integer("cells", static_cast<std::int64_t>(shape.cells.size()));
  for (std::size_t c = 0; c < shape.cells.size(); ++c) write_cell(root, tallies, joints[c], c);
  if (tallies.counters.size() > tallies.layout.size) {
    const auto beside = std::span(tallies.counters).subspan(tallies.layout.size);
    write_narrow(root, kCountersBeside, {beside.size()}, beside);
  }
}

}  // namespace

void write_tallies(const std::filesystem::path& file, const Tallies& tallies, const Provenance& provenance) {
  write_tallies(file, tallies, joint_bins(tallies), provenance);
}

void write_tallies(const std::filesystem::path& file, const Tallies& tallies, const std::vector<JointBins>& joints,
                   const Provenance& provenance) {
  hdf5::OutputFile output(file);
  OutputGroup& root = output.root();
  root.write_string("schema", kTalliesSchema);
  root.write_integer("schema_version", kTalliesVersion);
  root.write_string("study", provenance.study_toml);
  root.write_string("trace", provenance.trace_json);
  root.write_string("program", provenance.program);
  root.write_boolean("finished", provenance.finished);
  write_counts(root, tallies, joints);
  if (tallies.prefill) {
    OutputGroup prefill = root.create_group(kPrefillGroup);
    write_counts(prefill, tallies.prefill->tallies, tallies.prefill->joints);
  }
  if (tallies.mixed) {
    OutputGroup mixed = root.create_group(kMixedGroup);
    write_counts(mixed, tallies.mixed->tallies, tallies.mixed->joints);
  }
  output.commit();
}

}  // namespace moecarlo
