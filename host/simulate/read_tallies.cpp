#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <sstream>

#include "host/simulate/tallies.hpp"
#include "host/simulate/tallies_layout.hpp"
#include "host/study/limits.hpp"
#include "host/support/hdf5.hpp"
#include "host/support/hdf5_names.hpp"

namespace moecarlo {
namespace {

using hdf5::Group;

constexpr std::uint32_t kMostObjects = 1 << 16;  ///< experts or their slices
constexpr std::uint32_t kMostGroups = 1 << 16;
constexpr std::uint64_t kMostTrajectories = std::uint64_t{1} << 62;

template <class T>
T read_choice(const Group& group, const std::string& attribute, std::string_view word, const Names<T>& names) {
  for (const auto& [name, value] : names) {
    if (word == name) return value;
  }
  std::vector<std::string_view> known;
  for (const auto& [name, value] : names) known.push_back(name);
  fail(ErrorKind::input, "{}: unknown (expected {}, found {})", group.name_of("@" + attribute), fmt::join(known, ", "),
       printable(word));
}

template <class T>
T read_choice(const Group& group, const std::string& attribute, const Names<T>& names) {
  return read_choice(group, attribute, group.read_string(attribute), names);
}

std::vector<std::uint64_t> read_vector(const Group& group, const std::string& name) {
  return group.has(name) ? group.read_integers<std::uint64_t>(name) : std::vector<std::uint64_t>{};
}

/// A number that a tally has to have: from 0 to `most`.
std::uint64_t read_count(const Group& group, const std::string& name, std::uint64_t most) {
  const std::int64_t value = group.read_integer(name);
  if (value < 0 || static_cast<std::uint64_t>(value) > most) {
    fail(ErrorKind::input, "{}: impossible (expected 0 to {}, found {})", group.name_of("@" + name), most, value);
  }
  return static_cast<std::uint64_t>(value);
}

std::uint32_t read_small(const Group& group, const std::string& name, std::uint32_t most = ~std::uint32_t{0}) {
  return static_cast<std::uint32_t>(read_count(group, name, most));
}

/// Words with spaces between them, each once.
template <class T>
std::vector<T> read_choices(const Group& group, const std::string& attribute, const Names<T>& names) {
  std::vector<T> values;
  std::istringstream words(group.read_string(attribute));
  for (std::string word; words >> word;) {
    values.push_back(read_choice(group, attribute, word, names));
    if (std::count(values.begin(), values.end(), values.back()) > 1) {
      fail(ErrorKind::input, "{}: impossible (expected every word once, found {} again)",
           group.name_of("@" + attribute), word);
    }
  }
  return values;
}

HistogramSet read_histograms(const Group& root) {
  HistogramSet set = 0;
  for (const std::uint32_t place : read_choices(root, "histograms", histogram_names())) set |= 1U << place;
  return set;
}

double read_alpha(const Group& group) {
  const std::string text = group.read_string("alpha");
  double alpha = -1;
  const auto end = text.data() + text.size();
  if (std::from_chars(text.data(), end, alpha).ptr != end || !(alpha >= 0 && alpha <= 1)) {
    fail(ErrorKind::input, "{}: impossible (expected a number from 0 to 1, found {})", group.name_of("@alpha"),
         printable(text));
  }
  return alpha;
}

DemandPoint read_demand(const Group& group) {
  DemandPoint point{{read_choice(group, "demand_rule", demand_rule_names()), {}}, group.read_string("demand")};
  const auto numbers = group.read_integers<std::uint64_t>("demand_numbers", {kMostDemandParameters});
  std::copy(numbers.begin(), numbers.end(), point.demand.numbers.of);
  point.demand.channels = static_cast<std::uint32_t>(read_count(group, "demand_channels", kMostCells));
  return point;
}

/// Each within a larger one of so many capacities.
std::vector<NestedPair> read_nested(const Group& group, std::size_t capacities) {
  const auto near = read_vector(group, "nested_near");
  const auto far = group.read_integers<std::uint64_t>("nested_far", {near.size()});
  std::vector<NestedPair> pairs;
  for (std::size_t i = 0; i < near.size(); ++i) {
    if (near[i] >= far[i] || far[i] >= capacities) {
      fail(ErrorKind::input, "{}: impossible at [{}] (expected a larger one of {} capacities than {}, found {})",
           group.name_of("nested_far"), i, capacities, near[i], far[i]);
    }
    pairs.push_back({static_cast<std::uint32_t>(near[i]), static_cast<std::uint32_t>(far[i])});
  }
  return pairs;
}

CellShape read_cell_shape(const Group& group, bool asks) {
  constexpr std::array<std::string_view, 15> attributes{
      "acceptance", "acceptance_independent", "acceptance_table", "alpha",           "apart",       "batch",
      "bits",       "chunk_requests",         "demand",           "demand_channels", "demand_rule", "depth",
      "policies",   "tree_verify_tokens",     "tree_width"};
  constexpr std::array<std::string_view, 18> members{
      "acceptance_thresholds", "accepted_length", "capacity_base",      "capacity_extra_layers",
      "capacity_joint",        "demand_numbers",  "distinct_histogram", "drafted",
      "joint_count",           "joint_first",     "joint_place",        "nested_far",
      "nested_near",           "points_by_group", "points_by_layer",    "rounds",
      "unions_by_group",       "unions_by_layer"};
  hdf5::expect_attributes(group, attributes);
  hdf5::expect_members(group, members);
  CellShape shape;
  shape.batch = read_small(group, "batch", kMostBatch);
  shape.depth = read_small(group, "depth", kMostDraftTokens);
  shape.bits = read_small(group, "bits");
  shape.tree = {read_small(group, "tree_width", 255), read_small(group, "tree_verify_tokens", 255)};
  shape.acceptance = {read_choice(group, "acceptance", acceptance_rule_names()), read_small(group, "acceptance_table"),
                      group.read_integer("acceptance_independent") != 0};
  shape.apart = group.read_integer("apart") != 0;
  if (group.has_attribute("chunk_requests")) shape.chunk_requests = read_small(group, "chunk_requests", shape.batch);
  if (group.has_attribute("alpha")) shape.alpha = read_alpha(group);
  if (asks) shape.demand = read_demand(group);
  shape.policies = read_choices(group, "policies", policy_names());
  const auto base = read_vector(group, "capacity_base");
  const auto extra = group.read_integers<std::uint64_t>("capacity_extra_layers", {base.size()});
  const auto joint = group.read_integers<std::uint64_t>("capacity_joint", {base.size()});
  for (std::size_t c = 0; c < base.size(); ++c) {
    shape.capacities.push_back({static_cast<std::uint32_t>(base[c]), static_cast<std::uint32_t>(extra[c])});
    shape.joint.push_back(joint[c] != 0);
    if (c > 0 && !(shape.capacities[c - 1] < shape.capacities[c])) {
      fail(ErrorKind::input, "{}: impossible at [{}] (expected capacities that ascend)", group.name_of("capacity_base"),
           c);
    }
  }
  if (group.has("nested_near")) shape.nested = read_nested(group, shape.capacities.size());
  shape.thresholds = read_vector(group, "acceptance_thresholds");
  if (shape.acceptance.kind == Acceptance::by_position && shape.thresholds.size() != shape.depth) {
    fail(ErrorKind::input, "{}: wrong number of thresholds (expected the depth, {}, found {})",
         group.name_of("acceptance_thresholds"), shape.depth, shape.thresholds.size());
  }
  return shape;
}

/// Trajectories fall into the groups of a family in turn, and into its replicates, where it has populations.
GroupLayout read_group_layout(const Group& root, const std::string& prefix, const GroupLayout& most) {
  GroupLayout layout{read_small(root, prefix + "groups", most.groups),
                     read_small(root, prefix + "replicates", most.replicates), read_small(root, "populations")};
  if (layout.groups == 0 || (layout.replicates == 0) != (layout.populations == 0)) {
    fail(ErrorKind::input, "{}: impossible groups (expected groups, and replicates of populations, found {}, {} of {})",
         root.name_of("@" + prefix + "groups"), layout.groups, layout.replicates, layout.populations);
  }
  return layout;
}

/// The shape decides how much memory the counters take: the data have to have it, all of them, before any is allocated.
void check_extents(const Group& root, const TallyShape& shape, const TallyLayout& layout) {
  for (std::size_t c = 0; c < shape.cells.size(); ++c) {
    const Group group = root.open_group(cell_name(c));
    for (const Block& block : blocks_of(shape, layout, c)) {
      hdf5::expect_extents(group.open_dataset(block.name), block.extents, "its extents");
    }
  }
  for (std::size_t c = 0; c < shape.cells.size(); ++c) {
    for (const TallyLayout::Sparse& sparse : layout.sparse_of(c)) {
      if (sparse.size <= ~std::uint32_t{0}) continue;
      fail(ErrorKind::input, "{}: impossible joint histogram (expected at most {} counters, found {})",
           root.name_of("@experts"), ~std::uint32_t{0}, sparse.size);
    }
  }
}

/// What is more was not written by this program.
void expect_root_names(const Group& root, bool is_root) {
  constexpr std::array<std::string_view, 30> attributes{"cells",
                                                        "demand_counts",
                                                        "experts",
                                                        "finished",
                                                        "groups",
                                                        "histograms",
                                                        "joint_groups",
                                                        "joint_replicates",
                                                        "layers",
                                                        "point_counts",
                                                        "populations",
                                                        "program",
                                                        "replicate_trajectories",
                                                        "replicates",
                                                        "schema",
                                                        "schema_version",
                                                        "scope",
                                                        "sequences",
                                                        "shard",
                                                        "shards",
                                                        "slices",
                                                        "study",
                                                        "subset",
                                                        "top_k",
                                                        "trace",
                                                        "trajectories",
                                                        "union_counts",
                                                        "walk",
                                                        "warm",
                                                        "zero_computation_experts"};
  hdf5::expect_attributes(root, attributes);
  std::set<std::string> names{"layer_ranges", "population_starts", "prefetch_leads"};
  if (is_root) names.insert({kPrefillGroup, kMixedGroup, kCountersBeside});
  if (!is_root) names.insert("prompts");
  const std::uint64_t cells = read_count(root, "cells", kMostCells);
  for (std::uint64_t c = 0; c < cells; ++c) names.insert(cell_name(c));
  for (const std::string& member : root.members()) {
    if (names.count(member) > 0) continue;
    fail(ErrorKind::input, "{}: unknown (expected {} cells)", root.name_of(member), cells);
  }
}

/// Columns are read by their place: those of another version would be taken for each other.
void expect_counts(const Group& root, const std::string& attribute, std::span<const CountInfo> counts) {
  if (const std::string found = root.read_string(attribute); found != names_of(counts)) {
    fail(ErrorKind::input, "{}: other counts (expected {}, found {})", root.name_of("@" + attribute), names_of(counts),
         printable(found));
  }
}

TallyShape read_shape(const Group& root, bool is_root) {
  expect_root_names(root, is_root);
  expect_counts(root, "union_counts", kUnionCounts);
  expect_counts(root, "point_counts", kPointCounts);
  TallyShape shape;
  shape.walk = read_choice(root, "walk", walk_names());
  shape.layers = read_small(root, "layers");
  shape.experts = read_small(root, "experts", kMostObjects);
  shape.top_k = read_small(root, "top_k");
  if (root.has_attribute("zero_computation_experts")) {
    shape.zero_experts = read_small(root, "zero_computation_experts");
  }
  shape.slices = read_small(root, "slices", 2);
  shape.scope = read_choice(root, "scope", scope_names());
  shape.warm = root.read_integer("warm") != 0;
  shape.histograms = read_histograms(root);
  for (const std::uint64_t lead : read_vector(root, "prefetch_leads")) {
    if (shape.leads.size() == kMostLeads || lead == 0 || lead >= kMostLayers) {
      fail(ErrorKind::input, "{}: impossible (expected up to {} numbers of layers, found {} among them)",
           root.name_of("prefetch_leads"), kMostLeads, lead);
    }
    shape.leads.push_back(static_cast<std::uint32_t>(lead));
  }
  for (const std::uint64_t first : read_vector(root, "layer_ranges")) {
    const std::uint32_t before = shape.ranges.first[shape.ranges.count - 1];
    if (shape.ranges.count == LayerRanges::kMost || first <= before || first >= shape.layers) {
      fail(ErrorKind::input, "{}: impossible (expected up to {} layers, ascending from 1 to {}, found {} among them)",
           root.name_of("layer_ranges"), LayerRanges::kMost - 1, shape.layers - 1, first);
    }
    shape.ranges.first[shape.ranges.count++] = static_cast<std::uint32_t>(first);
  }
  shape.asks = root.has_attribute("demand_counts");
  if (shape.asks) expect_counts(root, "demand_counts", kDemandCounts);
  shape.groups = read_group_layout(root, "", {kMostGroups, kMostGroups, 0});
  shape.joint_groups = read_group_layout(root, "joint_", shape.groups);
  shape.population_starts = read_vector(root, "population_starts");
  if (!shape.population_starts.empty() && shape.population_starts.size() != shape.groups.populations) {
    fail(ErrorKind::input, "{}: wrong number of populations (expected {}, found {})", root.name_of("population_starts"),
         shape.groups.populations, shape.population_starts.size());
  }
  shape.prompts = read_vector(root, "prompts");
  shape.sequences = read_small(root, "sequences");
  shape.subset = read_small(root, "subset", shape.sequences / 2);
  const std::uint64_t cells = read_count(root, "cells", kMostCells);
  for (std::uint64_t c = 0; c < cells; ++c) {
    shape.cells.push_back(read_cell_shape(root.open_group(cell_name(c)), shape.asks));
  }
  return shape;
}

JointBins read_joints(const Group& group, const TallyLayout& layout, std::size_t cell) {
  const std::vector<TallyLayout::Sparse> sparse = layout.sparse_of(cell);
  if (sparse.empty()) return {};
  JointBins bins;
  bins.first = group.read_integers<std::uint64_t>("joint_first", {sparse.size() + std::uint64_t{1}});
  bins.place = group.read_integers<std::uint32_t>("joint_place");
  bins.count = group.read_integers<std::uint64_t>("joint_count", {bins.place.size()});
  const auto& [first, place, count] = bins;
  if (first.front() != 0 || first.back() != place.size() || !std::is_sorted(first.begin(), first.end())) {
    fail(ErrorKind::input, "{}: impossible (expected to ascend from 0 to {}, the number of bins)",
         group.name_of("joint_first"), place.size());
  }
  for (std::size_t j = 0; j < sparse.size(); ++j) {
    const std::uint64_t size = sparse[j].size;
    for (std::uint64_t bin = first[j]; bin < first[j + 1]; ++bin) {
      if (place[bin] < size && (bin == first[j] || place[bin] > place[bin - 1])) continue;
      fail(ErrorKind::input, "{}: impossible at [{}] (expected places below {} that ascend, found {})",
           group.name_of("joint_place"), bin, size, place[bin]);
    }
  }
  return bins;
}

/// What write_counts wrote; `joints` are those of its cells.
Tallies read_counts(const Group& root, bool is_root, std::vector<JointBins>& joints) {
  TallyShape shape = read_shape(root, is_root);
  TallyLayout layout = TallyLayout::of(shape);
  check_extents(root, shape, layout);
  const std::uint64_t kept = layout.first_joint_counter;
  Tallies tallies(std::move(shape), std::move(layout), kept);
  tallies.trajectories = read_count(root, "trajectories", kMostTrajectories);
  tallies.replicate_trajectories = read_count(root, "replicate_trajectories", kMostTrajectories);
  tallies.shard.count = read_small(root, "shards", Shard::kMost);
  tallies.shard.index = read_small(root, "shard", tallies.shard.count == 0 ? 0 : tallies.shard.count - 1);
  if (tallies.shard.count == 0)
    fail(ErrorKind::input, "{}: impossible (expected 1 or more, found 0)", root.name_of("@shards"));
  joints = {};
  for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
    const Group group = root.open_group(cell_name(c));
    for (const Block& block : blocks_of(tallies.shape, tallies.layout, c)) {
      const auto values = group.read_integers<std::uint64_t>(block.name, block.extents);
      std::copy(values.begin(), values.end(), tallies.counters.begin() + static_cast<std::ptrdiff_t>(block.offset));
    }
    joints.push_back(read_joints(group, tallies.layout, c));
  }
  if (root.has(kCountersBeside) && kept == tallies.layout.size) {
    const auto beside = root.read_integers<std::uint64_t>(kCountersBeside);
    tallies.counters.insert(tallies.counters.end(), beside.begin(), beside.end());
  }
  return tallies;
}

}  // namespace

bool is_finished(const std::filesystem::path& file) {
  return std::filesystem::exists(file) && hdf5::open_file(file).read_integer("finished") != 0;
}

Tallies read_tallies(const std::filesystem::path& file, Provenance& provenance, std::vector<JointBins>& joints) {
  const Group root = hdf5::open_file(file);
  if (const std::string schema = root.read_string("schema"); schema != kTalliesSchema) {
    fail(ErrorKind::input, "{}: wrong schema (expected {}, found {})", file.string(), kTalliesSchema, schema);
  }
  if (const std::int64_t version = root.read_integer("schema_version"); version != kTalliesVersion) {
    fail(ErrorKind::input, "{}: wrong schema_version (expected {}, found {})", file.string(), kTalliesVersion, version);
  }
  provenance = {root.read_string("study"), root.read_string("trace"), printable(root.read_string("program")),
                root.read_integer("finished") != 0};
  Tallies tallies = read_counts(root, true, joints);
  if (root.has(kPrefillGroup)) {
    std::vector<JointBins> of_prefill;
    Tallies prefill = read_counts(root.open_group(kPrefillGroup), false, of_prefill);
    tallies.prefill = std::make_shared<const Prefills>(Prefills{std::move(prefill), std::move(of_prefill)});
  }
  if (root.has(kMixedGroup)) {
    std::vector<JointBins> of_mixed;
    Tallies mixed = read_counts(root.open_group(kMixedGroup), false, of_mixed);
    tallies.mixed = std::make_shared<const Prefills>(Prefills{std::move(mixed), std::move(of_mixed)});
  }
  return tallies;
}

}  // namespace moecarlo
