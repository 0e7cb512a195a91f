#include "host/pipeline/compare.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "host/statistics/metrics.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"
#include "hw/study/counted_rounds.hpp"

namespace moecarlo {
namespace {

/// A figure with what every group thinks of it.
struct Figure {
  std::string metric;
  Quantity quantity;
};

/// System, scheme, policy, batch, depth, bits, the capacity of what was counted, alpha where that is an axis, demand.
using Key = std::tuple<std::string, std::string, std::string, std::uint32_t, std::uint32_t, std::uint32_t, double,
                       std::optional<double>, std::string>;

struct Entry {
  ComparedDesign design;
  std::vector<Figure> figures;
};

/// One side: its designs by key, in the study's order, and how its groups were sampled.
class Side {
 public:
  explicit Side(Sampling sampling) : sampling_(std::move(sampling)) {}

  void add(Key key, Entry entry) {
    index_.emplace(std::move(key), entries_.size());
    entries_.push_back(std::move(entry));
  }
  const Entry* find(const Key& key) const {
    const auto found = index_.find(key);
    return found == index_.end() ? nullptr : &entries_[found->second];
  }
  std::size_t size() const { return entries_.size(); }
  const Sampling& sampling() const { return sampling_; }

  /// Calls visit(key, entry) in the order in which they were added.
  template <class Visit>
  void for_each(Visit&& visit) const {
    std::vector<const Key*> keys(entries_.size());
    for (const auto& [key, place] : index_) keys[place] = &key;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      if (keys[i] != nullptr) visit(*keys[i], entries_[i]);
    }
  }

 private:
  Sampling sampling_;
  std::vector<Entry> entries_;
  std::map<Key, std::size_t> index_;
};

/// Alpha as part of a design: only where one of the studies has several, so that two of one alpha each are compared
/// whatever these are.
std::optional<double> alpha_of(const StoredStudy& stored, std::uint32_t depth, const std::optional<double>& own,
                               bool is_axis) {
  if (!is_axis || depth == 0) return std::nullopt;
  return own ? own : stored.study.acceptance.alpha;
}

bool sweeps_alpha(const StoredStudy& stored) {
  return !stored.study.acceptance.alphas.empty();
}

Side counted_side(const StoredStudy& stored, bool by_alpha) {
  const MetricReader reader(stored.tallies, resample_on_host, stored.study.grid.nested);
  Side side(reader.sampling());
  const TallyShape& shape = stored.tallies.shape;
  for (std::size_t c = 0; c < shape.cells.size(); ++c) {
    const CellShape& cell = shape.cells[c];
    if (cell.acceptance.independent) continue;
    const std::vector<Policy>& own = stored.study.grid.policy;  // without the oracle beside them
    for (std::uint32_t p = 0; p < cell.policies.size(); ++p) {
      if (std::find(own.begin(), own.end(), cell.policies[p]) == own.end()) continue;
      for (std::uint32_t i = 0; i < cell.capacities.size(); ++i) {
        const PointAddress at{c, p, i};
        const std::string policy = to_string(cell.policies[p]);
        const double capacity = cell.capacities[i].mean(shape.layers);
        const auto alpha = alpha_of(stored, cell.depth, cell.alpha, by_alpha);
        Entry entry{{"", "", policy, cell.batch, cell.depth, cell.bits, capacity, alpha, cell.demand.label}, {}};
        for (const std::string& name : reader.names_at(at)) entry.figures.push_back({name, reader.quantity(name, at)});
        side.add({"", "", policy, cell.batch, cell.depth, cell.bits, capacity, alpha, cell.demand.label},
                 std::move(entry));
      }
    }
  }
  return side;
}

/// `system`: of its rows alone, which then are called nothing; else of all.
Side hardware_side(const StoredStudy& stored, bool by_alpha, const std::string& system = "") {
  Side side(hw::CountedRounds::of(stored.tallies, stored.joints).sampling);
  if (!stored.projection) return side;
  for (hw::RowQuantities& one : stored.projection->quantities(stored.tallies, stored.joints)) {
    const HardwareResult& row = one.row;
    if (!system.empty() && row.system != system) continue;
    const std::string name = system.empty() ? row.system : "";
    const auto alpha = alpha_of(stored, row.depth, row.alpha, by_alpha);
    Entry entry{{name, row.scheme, row.policy, row.batch, row.depth, row.bits, row.capacity, alpha, row.demand}, {}};
    entry.figures.push_back({"tokens_per_second", std::move(one.tokens_per_second)});
    entry.figures.push_back({"energy_mj_per_token", 1e3 * std::move(one.joules_per_token)});
    side.add({name, row.scheme, row.policy, row.batch, row.depth, row.bits, 0, alpha, row.demand}, std::move(entry));
  }
  return side;
}

void add_rows(const Side& a, const Side& b, Comparison& comparison) {
  std::size_t shared = 0;
  a.for_each([&](const Key& key, const Entry& entry) {
    const Entry* const other = b.find(key);
    if (other == nullptr) return;
    ++shared;
    for (const Figure& own : entry.figures) {
      const auto same = std::find_if(other->figures.begin(), other->figures.end(),
                                     [&](const Figure& one) { return one.metric == own.metric; });
      if (same == other->figures.end()) continue;
      const Estimate ratio = comparison.paired ? a.sampling().estimate(own.quantity / same->quantity)
                                               : unpaired_ratio(a.sampling().estimate(own.quantity),
                                                                b.sampling().estimate(same->quantity));
      comparison.rows.push_back({entry.design, own.metric, own.quantity.value, same->quantity.value, ratio});
    }
  });
  comparison.only_a += a.size() - shared;
  comparison.only_b += b.size() - shared;
}

bool same_groups(const GroupLayout& a, const GroupLayout& b) {
  return std::tie(a.groups, a.replicates, a.populations) == std::tie(b.groups, b.replicates, b.populations);
}

/// What keeps two studies from being paired; empty where nothing does.
std::string why_unpaired(const StoredStudy& a, const StoredStudy& b) {
  const TallyShape &shape_a = a.tallies.shape, &shape_b = b.tallies.shape;
  if (a.facts.routing_hash != b.facts.routing_hash) return "their traces differ";
  if (a.study.mode != b.study.mode) return "their modes differ";
  if (a.study.seed != b.study.seed) return "their seeds differ";
  if (shape_a.walk != shape_b.walk) return "one walks in episodes and the other draws fresh starts";
  if (!same_groups(shape_a.groups, shape_b.groups) || !same_groups(shape_a.joint_groups, shape_b.joint_groups))
    return "their trajectories are grouped differently";
  return "";
}

}  // namespace

Comparison compare_studies(const std::string& name_a, const StoredStudy& a, const std::string& name_b,
                           const StoredStudy& b) {
  Comparison comparison;
  comparison.a = name_a;
  comparison.b = name_b;
  comparison.unpaired = why_unpaired(a, b);
  comparison.paired = comparison.unpaired.empty();
  const bool by_alpha = sweeps_alpha(a) || sweeps_alpha(b);
  add_rows(counted_side(a, by_alpha), counted_side(b, by_alpha), comparison);
  add_rows(hardware_side(a, by_alpha), hardware_side(b, by_alpha), comparison);
  if (comparison.rows.empty())
    fail(ErrorKind::usage, "compare: {} and {} have no design in common (expected one at least)", name_a, name_b);
  return comparison;
}

Comparison compare_systems(const StoredStudy& study, const std::string& system_a, const std::string& system_b) {
  Comparison comparison;
  comparison.a = system_a;
  comparison.b = system_b;
  comparison.paired = true;
  const bool by_alpha = sweeps_alpha(study);
  const Side a = hardware_side(study, by_alpha, system_a), b = hardware_side(study, by_alpha, system_b);
  for (const auto& [side, name] : {std::pair{&a, &system_a}, std::pair{&b, &system_b}}) {
    if (side->size() == 0)
      fail(ErrorKind::usage, "compare: the study has no row of the system {} (see moecarlo evaluate)", *name);
  }
  add_rows(a, b, comparison);
  if (comparison.rows.empty())
    fail(ErrorKind::usage, "compare: {} and {} have no design in common (expected one at least)", system_a, system_b);
  return comparison;
}

}  // namespace moecarlo
