#include "hw/projection/counted.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "cuda/core/histogram/histograms.hpp"
#include "host/statistics/certainties.hpp"
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
    into.tokens -= static_cast<double>(rounds * shape.cells[index].chunk_requests);  // of places, which accept nothing
    for (std::uint32_t a = 0; a <= cell.depth; ++a) {
      const std::uint64_t row = cell.accepted + std::uint64_t{g} * (cell.depth + 1);
      const double requests = shape.walk == Walk::enumerate ? law[a] * static_cast<double>(rounds)
                                                            : static_cast<double>(tallies.counters[row + a]);
      into.tokens += (a + 1) * requests;
    }
  }
  return groups;
}

/// Bins of sparse counters, place by place.
struct Bins {
  std::span<const std::uint32_t> place;
  std::span<const std::uint64_t> count;

  /// Those from `first` to before `end`.
  Bins between(std::uint64_t first, std::uint64_t end) const {
    const auto from = static_cast<std::size_t>(std::lower_bound(place.begin(), place.end(), first) - place.begin());
    const auto to = static_cast<std::size_t>(std::lower_bound(place.begin(), place.end(), end) - place.begin());
    return {place.subspan(from, to - from), count.subspan(from, to - from)};
  }
};

/// Those of the sparse counters of a cell that begin with this one.
Bins bins_at(const Tallies& tallies, const std::vector<JointBins>& joints, std::uint32_t cell, std::uint64_t counter) {
  const std::vector<TallyLayout::Sparse> sparse = tallies.layout.sparse_of(cell);
  const auto found =
      std::find_if(sparse.begin(), sparse.end(), [&](const TallyLayout::Sparse& one) { return one.first == counter; });
  const auto at = static_cast<std::size_t>(found - sparse.begin());
  const JointBins& of_cell = joints[cell];
  const std::uint64_t first = of_cell.first[at], size = of_cell.first[at + 1] - first;
  return {std::span(of_cell.place).subspan(first, size), std::span(of_cell.count).subspan(first, size)};
}

/// A block [groups][hits: rows][misses: columns] that starts at `first`, in its order.
std::vector<JointCounts::Entry> entries_of(const Bins& all, std::uint64_t first, std::uint32_t groups,
                                           std::uint32_t rows, std::uint32_t columns) {
  const std::uint32_t box = rows * columns;
  const Bins bins = all.between(first, first + std::uint64_t{groups} * box);
  std::vector<JointCounts::Entry> entries;
  entries.reserve(bins.place.size());
  for (std::size_t i = 0; i < bins.place.size(); ++i) {
    const auto at = static_cast<std::uint32_t>(bins.place[i] - first);
    const std::uint32_t in_box = at % box;
    entries.push_back({at / box, {in_box / columns, in_box % columns}, bins.count[i], 0});
  }
  return entries;
}

}  // namespace

CountedPoints::CountedPoints(const Tallies& tallies, const std::vector<JointBins>& joints,
                             std::optional<PromptChunk> chunk)
    : tallies_(tallies), joints_(joints), chunk_(chunk) {
  for (std::uint32_t index = 0; index < tallies.shape.cells.size(); ++index) {
    const CellShape& shape = tallies.shape.cells[index];
    const Cell& cell = tallies.layout.cells[index];
    if (shape.acceptance.independent) continue;
    if (std::find(demands_.begin(), demands_.end(), shape.demand.label) == demands_.end()) {
      demands_.push_back(shape.demand.label);
    }
    for (std::uint32_t p = 0; p < shape.policies.size(); ++p) {
      for (std::uint32_t c = 0; c < shape.capacities.size(); ++c) {
        const std::uint32_t joint = tallies.layout.joint_index[cell.first_joint + p * cell.capacity_count + c];
        if (joint == kNoJoint) continue;
        const CountedPoint point{index, joint, shape.policies[p], shape.capacities[c]};
        points_.emplace(key_of(point), point);
      }
    }
  }
}

CountedPoints::Key CountedPoints::key_of(const CountedPoint& point) const {
  const CellShape& cell = tallies_.shape.cells[point.cell];
  return {requests_of(cell), cell.depth, cell.bits, cell.alpha, cell.demand.label, point.policy, point.capacity};
}

std::optional<CountedPoint> CountedPoints::find_counted(std::uint32_t batch, std::uint32_t depth, Policy policy,
                                                        std::uint32_t bits, const Capacity& capacity,
                                                        std::optional<double> alpha, const std::string& demand) const {
  for (const std::uint32_t of_cell : {0U, bits}) {
    const auto found = points_.find({batch, depth, of_cell, alpha, demand, policy, capacity});
    if (found != points_.end()) return found->second;
  }
  return std::nullopt;
}

CountedPoint CountedPoints::find(std::uint32_t batch, std::uint32_t depth, Policy policy, std::uint32_t bits,
                                 const Capacity& capacity, const std::string& asked_by, std::optional<double> alpha,
                                 const std::string& demand) const {
  if (const auto found = find_counted(batch, depth, policy, bits, capacity, alpha, demand)) return *found;
  fail(ErrorKind::usage,
       "{}: its {:.3f} experts a layer at batch {}, depth {} were not counted (expected a system that the study was "
       "simulated for)",
       asked_by, capacity.mean(tallies_.shape.layers), batch, depth);
}

namespace {

/// Whether two keys differ in their last part, the capacity, alone.
template <class Key>
bool same_but_capacity(const Key& a, const Key& b) {
  return std::get<0>(a) == std::get<0>(b) && std::get<1>(a) == std::get<1>(b) && std::get<2>(a) == std::get<2>(b) &&
         std::get<3>(a) == std::get<3>(b) && std::get<4>(a) == std::get<4>(b) && std::get<5>(a) == std::get<5>(b);
}

}  // namespace

std::optional<CountedPoint> CountedPoints::smaller(const CountedPoint& point) const {
  const Key key = key_of(point);
  const auto own = points_.find(key);
  if (own == points_.begin() || !same_but_capacity(std::prev(own)->first, key)) return std::nullopt;
  return std::prev(own)->second;
}

std::optional<CountedPoint> CountedPoints::larger(const CountedPoint& point) const {
  const Key key = key_of(point);
  const auto next = points_.upper_bound(key);
  if (next == points_.end() || !same_but_capacity(next->first, key)) return std::nullopt;
  return next->second;
}

std::optional<double> CountedPoints::dropped_mass(const CountedPoint& point) const {
  const Cell& cell = tallies_.layout.cells[point.cell];
  double mass = 0, dropped = 0;
  for (std::uint32_t g = 0; tallies_.shape.asks && g < tallies_.shape.groups.groups; ++g) {
    const std::uint64_t* counts = tallies_.counters.data() + cell.unions_by_group +
                                  std::uint64_t{g} * cell.union_width() + cell.first_demand_count();
    mass += static_cast<double>(counts[kPairMass]);
    dropped += static_cast<double>(counts[kPairMassDropped] + counts[kChannelMassDropped] + counts[kPairMassUpper]);
  }
  return mass > 0 ? std::optional(dropped / mass) : std::nullopt;
}

/// `number`: of the point in its cell.
std::map<std::uint32_t, Foreseen> CountedPoints::foreseen(const CountedPoint& point, std::size_t number) const {
  const TallyShape& shape = tallies_.shape;
  const Cell& cell = tallies_.layout.cells[point.cell];
  std::map<std::uint32_t, Foreseen> found;
  each_histogram(shape.histograms, cell, shape.experts, [&](auto histogram, const HistogramColumns& columns) {
    if constexpr (std::is_same_v<decltype(histogram), PrefetchCounts>) {
      for (std::uint32_t lead = 0; lead < cell.leads; ++lead) {
        double experts[PrefetchCounts::kKinds] = {};
        for (std::uint32_t g = 0; g < shape.groups.groups; ++g) {
          const std::uint64_t* record = tallies_.counters.data() + cell.points_by_group +
                                        (number * shape.groups.total() + g) * cell.point_width() + columns.of_point + 1;
          for (std::uint32_t kind = 0; kind < PrefetchCounts::kKinds; ++kind) {
            experts[kind] += static_cast<double>(record[kind * cell.leads + lead]);
          }
        }
        const double useful = experts[PrefetchCounts::kUseful];
        const auto share = [&](double others) { return useful > 0 ? useful / (useful + others) : 0; };
        found[shape.leads[lead]] = {share(experts[PrefetchCounts::kMissed]), share(experts[PrefetchCounts::kWasted])};
      }
    }
  });
  return found;
}

/// What the last bin lumps together stands at its mean.
std::vector<double> CountedPoints::tokens_per_expert(const CountedPoint& point) const {
  const TallyShape& shape = tallies_.shape;
  const Cell& cell = tallies_.layout.cells[point.cell];
  std::vector<double> law;
  each_histogram(shape.histograms, cell, shape.experts, [&](auto histogram, const HistogramColumns& columns) {
    if constexpr (std::is_same_v<decltype(histogram), TokensPerExpert>) {
      double rest = 0;  // tokens of the last bin's experts
      law.assign(columns.bins + 1, 0);
      for (std::uint32_t g = 0; g < shape.groups.groups; ++g) {
        const std::uint64_t* record =
            tallies_.counters.data() + cell.unions_by_group + std::uint64_t{g} * cell.union_width() + columns.of_union;
        rest += static_cast<double>(record[0]);
        for (std::uint32_t n = 1; n <= columns.bins; ++n) law[n] += static_cast<double>(record[n]);
      }
      for (std::uint32_t n = 1; n < columns.bins; ++n) rest -= n * law[n];
      const double last = std::exchange(law.back(), 0);
      if (last == 0) return;
      const auto place = static_cast<std::size_t>(std::lround(rest / last));
      law.resize(std::max(law.size(), place + 1), 0);
      law[place] += last;
    }
  });
  return std::accumulate(law.begin(), law.end(), 0.0) > 0 ? law : std::vector<double>{};
}

CountedPoint CountedPoints::within(CountedPoint point, const Capacity& nearer) const {
  const Cell& cell = tallies_.layout.cells[point.cell];
  const CellShape& shape = tallies_.shape.cells[point.cell];
  for (std::uint32_t n = cell.first_nested; n < cell.first_nested + cell.nested_count; ++n) {
    const NestedTally& nested = tallies_.layout.nested[n];
    if (tallies_.layout.joint_index[cell.first_joint + nested.point] != point.joint) continue;
    if (shape.capacities[nested.near % cell.capacity_count] == nearer) point.nested = n;
  }
  return point;
}

/// Of the class of layers with this number.
JointCounts CountedPoints::verify_counts(const CountedPoint& point, std::uint32_t number) const {
  const std::uint32_t groups = tallies_.shape.joint_groups.total();
  if (point.nested == kNoJoint) {
    const JointTally& joint = tallies_.layout.joints[point.joint];
    const std::uint64_t first = std::uint64_t{number} * groups * joint.rows * joint.columns;
    return {groups,
            entries_of(bins_at(tallies_, joints_, point.cell, joint.verify), first, groups, joint.rows, joint.columns)};
  }
  const NestedTally& nested = tallies_.layout.nested[point.nested];
  const Bins bins = bins_at(tallies_, joints_, point.cell, nested.passes);
  const std::uint64_t first = std::uint64_t{number} * groups * nested.rows * nested.columns;
  const std::uint64_t near_first = first + (nested.near_hits - nested.passes);
  auto passes = entries_of(bins, first, groups, nested.rows, nested.columns);
  auto near = entries_of(bins, near_first, groups, nested.rows, nested.columns);
  // Where anything was near, a pass was.
  auto pass = passes.begin();
  for (const JointCounts::Entry& hits : near) {
    while (pass->group != hits.group || pass->bin != hits.bin) ++pass;
    pass->nearer = hits.count;
  }
  return {groups, passes, true};
}

LayerClassCounts CountedPoints::layer_class(const CountedPoint& point, std::uint32_t number, std::uint32_t first_layer,
                                            std::uint32_t end_layer) const {
  const JointTally& joint = tallies_.layout.joints[point.joint];
  const Bins bins = bins_at(tallies_, joints_, point.cell, joint.verify);
  const std::uint32_t groups = tallies_.shape.joint_groups.total();
  const std::uint64_t row = std::uint64_t{number} * groups;
  const std::uint64_t draft = joint.draft - joint.verify, writes = joint.writes - joint.verify;

  LayerClassCounts counts;
  counts.first = first_layer;
  counts.layers = end_layer - first_layer;
  counts.capacity = point.capacity.at(first_layer);
  counts.verify = verify_counts(point, number);
  if (tallies_.shape.cells[point.cell].depth > 0) {
    counts.draft = {groups, entries_of(bins, draft + row * joint.rows, groups, joint.rows, 1)};
  }
  counts.cache_writes.assign(groups, 0);
  const Bins written = bins.between(writes + row, writes + row + groups);
  for (std::size_t i = 0; i < written.place.size(); ++i) {
    counts.cache_writes[written.place[i] - (writes + row)] = static_cast<double>(written.count[i]);
  }
  return counts;
}

/// Of each range of layers those that hold one expert more, then the others.
std::vector<LayerClassCounts> CountedPoints::classes(const CountedPoint& point) const {
  const LayerRanges& ranges = tallies_.shape.ranges;
  std::vector<LayerClassCounts> all;
  for (std::uint32_t range = 0; range < ranges.count; ++range) {
    const std::uint32_t first = ranges.first[range];
    const std::uint32_t end = range + 1 < ranges.count ? ranges.first[range + 1] : tallies_.shape.layers;
    const std::uint32_t extra_end = std::clamp(point.capacity.extra_layers, first, end);
    if (first < extra_end) all.push_back(layer_class(point, 2 * range, first, extra_end));
    if (extra_end < end) all.push_back(layer_class(point, 2 * range + 1, extra_end, end));
  }
  return all;
}

/// What a demand rule leaves in each joint group, and which slices those are; empty where it leaves whole experts.
/// `number`: of the point in its cell.
std::vector<AskedSums> CountedPoints::asked(const CountedPoint& point, std::size_t number) const {
  const TallyShape& shape = tallies_.shape;
  const Cell& cell = tallies_.layout.cells[point.cell];
  if (!shape.asks && shape.slices == 1) return {};
  std::vector<AskedSums> groups(shape.joint_groups.total());
  for (std::uint32_t g = 0; g < shape.groups.total(); ++g) {
    const std::uint64_t* of_union =
        tallies_.counters.data() + cell.unions_by_group + std::uint64_t{g} * cell.union_width();
    const std::uint64_t* counts = of_union + cell.first_demand_count();
    const auto count = [](std::uint64_t n) { return static_cast<double>(n); };
    const double distinct = count(of_union[kDistinct]);
    AskedSums own;
    if (shape.asks) {
      own.pairs = count(counts[kPairs]);
      own.kept = count(counts[kPairsKept]);
      own.weights = distinct * kPartsOfExpert / shape.slices;
      own.loaded = count(counts[kLoadedParts]);
      own.kept_upper = count(counts[kPairsUpper]);
    }
    if (shape.slices > 1) {
      const std::uint64_t* of_point =
          tallies_.counters.data() + cell.points_by_group + (number * shape.groups.total() + g) * cell.point_width();
      own.sliced = true;
      own.hits = count(of_point[kHits]);
      own.upper_hits = count(of_point[kUpperHits]);
      own.misses = distinct - own.hits;
      own.upper_misses = (shape.asks ? count(counts[kUpperDistinct]) : distinct / 2) - own.upper_hits;
    }
    groups[joint_group_of(shape, g)] += own;
  }
  const bool all =
      std::all_of(groups.begin(), groups.end(), [](const AskedSums& sums) { return sums.shares() == Asked{}; });
  return all ? std::vector<AskedSums>{} : groups;
}

Workload CountedPoints::whole_workload(const CountedPoint& point) const {
  const TallyShape& shape = tallies_.shape;
  const CellShape& cell = shape.cells[point.cell];
  Workload workload;
  workload.batch = requests_of(cell);
  workload.depth = cell.depth;
  workload.draft_width = cell.tree.width;
  workload.verify_columns = cell.tree.verified(cell.depth);
  workload.policy = to_string(point.policy);
  workload.capacity = point.capacity;
  workload.layers = shape.layers;
  workload.top_k = shape.top_k / shape.slices;
  const auto policy = std::find(cell.policies.begin(), cell.policies.end(), point.policy) - cell.policies.begin();
  const auto capacity =
      std::find(cell.capacities.begin(), cell.capacities.end(), point.capacity) - cell.capacities.begin();
  workload.certain =
      cell.depth == 0 &&
      certainties(shape, point.cell, static_cast<std::uint32_t>(policy), static_cast<std::uint32_t>(capacity)).pass();
  const std::size_t number =
      static_cast<std::size_t>(policy) * cell.capacities.size() + static_cast<std::size_t>(capacity);
  workload.foreseen = foreseen(point, number);
  workload.tokens_per_expert = tokens_per_expert(point);
  workload.groups = shape.joint_groups.groups;
  workload.replicates = shape.joint_groups.replicates;
  workload.counts = count_groups(tallies_, point.cell);
  workload.classes = classes(point);
  workload.asked = asked(point, number);
  return workload;
}

namespace {

/// Plain rounds count in even groups, mixed ones in odd ones: see host/simulate/mixed.hpp.
std::vector<std::uint32_t> every_second(std::uint32_t first, std::uint32_t groups) {
  std::vector<std::uint32_t> all;
  for (std::uint32_t g = first; g < groups; g += 2) all.push_back(g);
  return all;
}

}  // namespace

Workload CountedPoints::told_apart(const Workload& workload) const {
  Workload plain = of_groups(workload, every_second(0, workload.groups));
  plain.certain = false;
  plain.mixed = std::make_shared<const Workload>(of_groups(workload, every_second(1, workload.groups)));
  plain.chunk = chunk_;
  return plain;
}

Workload CountedPoints::workload(const CountedPoint& point) const {
  const Workload own = whole_workload(point);
  return chunk_ ? told_apart(own) : own;
}

Workload CountedPoints::workload(const CountedPoint& point, const CountedPoint& step) const {
  Workload own = workload(point);
  const Workload steps = workload(step);
  const auto draft_as_steps = [&](Workload& drafting) {
    for (std::size_t c = 0; c < drafting.classes.size(); ++c) drafting.classes[c].draft = steps.classes[c].verify;
  };
  draft_as_steps(own);
  if (!own.mixed) return own;
  Workload mixed = *own.mixed;  // no chunk joins a draft step
  draft_as_steps(mixed);
  own.mixed = std::make_shared<const Workload>(std::move(mixed));
  return own;
}

}  // namespace moecarlo::hw
