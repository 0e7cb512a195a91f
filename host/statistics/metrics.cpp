#include "host/statistics/metrics.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "host/simulate/plan.hpp"
#include "host/statistics/certainties.hpp"
#include "host/study/acceptance.hpp"

namespace moecarlo {
namespace {

/// Every round of these is counted once; only the trace is a sample.
bool is_exact(Walk walk) {
  return walk == Walk::enumerate || walk == Walk::replay;
}

Sampling make_sampling(const Tallies& tallies) {
  const GroupLayout& layout = tallies.shape.groups;
  if (is_exact(tallies.shape.walk)) return Sampling::exact(layout, false);  // the reader resamples whole records
  return Sampling::random(layout, tallies.trajectories >= layout.groups, Replication::of(tallies.shape, layout));
}

/// In the order of the enumeration.
const std::vector<std::string>& all_names() {
  static const std::vector<std::string> names = {"tokens_per_round",
                                                 "accepted_length",
                                                 "distinct_experts",
                                                 "distinct_experts_accepted",
                                                 "hits",
                                                 "misses",
                                                 "hit_rate",
                                                 "rejected_only",
                                                 "draft_coverage",
                                                 "draft_coverage_mass",
                                                 "upper_hit_rate",
                                                 "lower_hit_rate",
                                                 "cache_writes"};
  return names;
}

}  // namespace

enum class MetricReader::Metric : std::uint8_t {
  tokens_per_round,
  accepted_length,
  distinct_experts,
  distinct_experts_accepted,
  hits,
  misses,
  hit_rate,
  rejected_only,
  draft_coverage,
  draft_coverage_mass,
  upper_hit_rate,
  lower_hit_rate,
  cache_writes,
};

/// Throws std::out_of_range for a name that is no metric's.
MetricReader::Metric MetricReader::metric_named(const std::string& name) {
  const auto& names = all_names();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw std::out_of_range("no metric is named " + name);
  return static_cast<Metric>(found - names.begin());
}

/// The counts behind one group or one layer of a point.
struct MetricReader::Record {
  double rounds = 0;                        // verify passes per layer
  double layers = 0;                        // layers these counts cover
  const std::uint64_t* unions = nullptr;    // union record
  const std::uint64_t* point = nullptr;     // point record
  const std::uint64_t* accepted = nullptr;  // requests by accepted length; null for a layer
};

MetricReader::MetricReader(const Tallies& tallies, const Resample& resample)
    : tallies_(tallies), sampling_(make_sampling(tallies)) {
  for (const CellShape& cell : tallies.shape.cells) laws_.push_back(accepted_length_law(cell.thresholds));
  for (const Cell& cell : tallies.layout.cells) {
    const auto first = tallies.counters.begin() + static_cast<std::ptrdiff_t>(cell.rounds);
    rounds_.push_back(
        static_cast<double>(std::accumulate(first, first + tallies.shape.groups.groups, std::uint64_t{0})));
  }
  if (is_exact(tallies.shape.walk) && tallies.shape.groups.groups >= kFewestSequences) resample_groups(resample);
}

/// Whether a metric is what it is by definition.
bool MetricReader::is_certain(Metric metric, const PointAddress& point) const {
  const Certainties holds = certainties(tallies_.shape, point.cell, point.policy, point.capacity);
  switch (metric) {
    case Metric::tokens_per_round:
    case Metric::accepted_length:
      return holds.lengths;
    case Metric::distinct_experts:
    case Metric::distinct_experts_accepted:
      return holds.distinct;
    case Metric::hits:
      return holds.none_resident || (holds.all_resident && holds.distinct);
    case Metric::misses:
      return holds.all_resident || (holds.none_resident && holds.distinct);
    case Metric::hit_rate:
    case Metric::upper_hit_rate:
    case Metric::lower_hit_rate:
    case Metric::draft_coverage:
    case Metric::draft_coverage_mass:
      return holds.hit_rate();
    case Metric::rejected_only:
      return holds.rejected_only();
    case Metric::cache_writes:
      return holds.no_writes;
  }
  return false;
}

std::vector<std::string> MetricReader::names(std::uint32_t depth) {
  std::vector<std::string> names = all_names();
  if (depth == 0) std::erase_if(names, [](const std::string& name) { return name.starts_with("draft_"); });
  return names;
}

std::vector<std::string> MetricReader::names_at(const PointAddress& point) const {
  std::vector<std::string> names = all_names();
  std::erase_if(names, [&](const std::string& name) {
    return !exists(name, point) || (name == "draft_coverage_mass" && !knows_mass(point));
  });
  return names;
}

bool MetricReader::exists(const std::string& name, const PointAddress& point) const {
  if (name.starts_with("draft_")) return tallies_.shape.cells[point.cell].depth > 0;
  if (name == "upper_hit_rate" || name == "lower_hit_rate") return tallies_.shape.slices > 1;
  return true;
}

bool MetricReader::knows_mass(const PointAddress& point) const {
  std::uint64_t mass = 0;
  for (std::uint32_t g = 0; g < tallies_.shape.groups.groups; ++g) {
    mass += group_record(point, g).unions[Cell::kDraftMass];
  }
  return mass > 0;
}

bool MetricReader::is_per_layer(const std::string& name) {
  return name != "tokens_per_round" && name != "accepted_length";
}

MetricReader::Record MetricReader::group_record(const PointAddress& at, std::uint32_t group) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const std::uint64_t* counters = tallies_.counters.data();
  const std::uint64_t point = std::uint64_t{at.policy} * cell.capacity_count + at.capacity;
  const std::uint64_t row = point * tallies_.shape.groups.total() + group;
  return {static_cast<double>(counters[cell.rounds + group]), static_cast<double>(tallies_.shape.layers),
          counters + cell.unions_by_group + std::uint64_t{group} * cell.union_width(),
          counters + cell.points_by_group + row * cell.point_width(),
          counters + cell.accepted + std::uint64_t{group} * (cell.depth + 1)};
}

MetricReader::Record MetricReader::layer_record(const PointAddress& at, std::uint32_t layer) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const std::uint64_t* counters = tallies_.counters.data();
  const std::uint64_t point = std::uint64_t{at.policy} * cell.capacity_count + at.capacity;
  const std::uint64_t row = point * tallies_.shape.layers + layer;
  return {rounds_[at.cell], 1, counters + cell.unions_by_layer + std::uint64_t{layer} * cell.union_width(),
          counters + cell.points_by_layer + row * cell.point_width(), nullptr};
}

/// A group's counters in a row: of each cell its rounds, its requests by accepted length (not when enumerating), its
/// union record and its point records.
void MetricReader::resample_groups(const Resample& resample) {
  struct Block {
    std::uint64_t offset;  // [groups][width]
    std::size_t width;
  };
  std::vector<Block> blocks;
  const std::uint32_t groups = tallies_.shape.groups.groups;
  const auto add = [&](std::uint64_t offset, std::size_t width) {
    blocks.push_back({offset, width});
    columns_ += width;
  };
  for (const Cell& cell : tallies_.layout.cells) {
    first_column_.push_back(columns_);
    add(cell.rounds, 1);
    if (tallies_.shape.walk != Walk::enumerate) add(cell.accepted, cell.depth + 1);
    add(cell.unions_by_group, cell.union_width());
    for (std::uint64_t point = 0; point < cell.points(); ++point) {
      add(cell.points_by_group + point * groups * cell.point_width(), cell.point_width());
    }
  }
  GroupCounts counts{groups, columns_, std::vector<std::uint64_t>(groups * columns_)};
  auto next = counts.counts.begin();
  for (std::uint32_t g = 0; g < groups; ++g) {
    for (const Block& block : blocks) {
      next = std::copy_n(tallies_.counters.data() + block.offset + g * block.width, block.width, next);
    }
  }
  resampled_ = resample(counts);
}

MetricReader::Record MetricReader::resampled_record(const PointAddress& at, std::size_t resample) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const std::uint64_t* rounds = resampled_.data() + resample * columns_ + first_column_[at.cell];
  const std::uint64_t* accepted = rounds + 1;
  const std::uint64_t* unions = accepted + (tallies_.shape.walk == Walk::enumerate ? 0 : cell.depth + 1);
  const std::uint64_t point = std::uint64_t{at.policy} * cell.capacity_count + at.capacity;
  return {static_cast<double>(*rounds), static_cast<double>(tallies_.shape.layers), unions,
          unions + cell.union_width() + point * cell.point_width(), accepted};
}

double MetricReader::tokens(std::size_t cell, const Record& record, double bonus) const {
  const bool conditional = tallies_.shape.walk == Walk::enumerate;
  const std::vector<double>& law = laws_[cell];
  double tokens = 0;
  for (std::size_t a = 0; a <= tallies_.shape.cells[cell].depth; ++a) {
    const double requests = conditional ? law[a] * record.rounds : static_cast<double>(record.accepted[a]);
    tokens += (static_cast<double>(a) + bonus) * requests;
  }
  return tokens;
}

/// Counts kept for each accepted length are weighted with its probability.
double MetricReader::expect(std::size_t cell, const std::uint64_t* slices) const {
  if (tallies_.shape.walk != Walk::enumerate) return static_cast<double>(slices[0]);
  const std::vector<double>& law = laws_[cell];
  double sum = 0;
  for (std::size_t a = 0; a < law.size(); ++a) sum += law[a] * static_cast<double>(slices[a]);
  return sum;
}

double MetricReader::numerator(Metric metric, std::size_t cell, const Record& record) const {
  const auto of_union = [&](Cell::UnionCount count) { return static_cast<double>(record.unions[count]); };
  const auto of_point = [&](Cell::PointCount count) { return static_cast<double>(record.point[count]); };
  switch (metric) {
    case Metric::tokens_per_round:
      return tokens(cell, record, 1);
    case Metric::accepted_length:
      return tokens(cell, record, 0);
    case Metric::distinct_experts:
      return of_union(Cell::kDistinct);
    case Metric::distinct_experts_accepted:
      return expect(cell, record.unions + Cell::kDistinctAccepted);
    case Metric::hits:
    case Metric::hit_rate:
      return of_point(Cell::kHits);
    case Metric::misses:
      return of_union(Cell::kDistinct) - of_point(Cell::kHits);
    case Metric::rejected_only:
      return expect(cell, record.point + Cell::kRejectedOnly);
    case Metric::draft_coverage:
      return of_point(Cell::kDraftHits);
    case Metric::draft_coverage_mass:
      return of_point(Cell::kResidentMass);
    case Metric::upper_hit_rate:
      return of_point(Cell::kUpperHits);
    case Metric::lower_hit_rate:
      return of_point(Cell::kHits) - of_point(Cell::kUpperHits);
    case Metric::cache_writes:
      return of_point(Cell::kCacheWrites);
  }
  return 0;
}

double MetricReader::denominator(Metric metric, std::size_t cell, const Record& record) const {
  switch (metric) {
    case Metric::tokens_per_round:
    case Metric::accepted_length:
      return record.rounds * tallies_.shape.cells[cell].batch;
    case Metric::hit_rate:
      return static_cast<double>(record.unions[Cell::kDistinct]);
    case Metric::upper_hit_rate:
    case Metric::lower_hit_rate:
      return static_cast<double>(record.unions[Cell::kDistinct]) / 2;  // a pass needs both slices
    case Metric::draft_coverage:
      return static_cast<double>(record.unions[Cell::kDraftChoices]);
    case Metric::draft_coverage_mass:
      return static_cast<double>(record.unions[Cell::kDraftMass]);
    default:
      return record.rounds * record.layers;
  }
}

Quantity MetricReader::quantity(const std::string& name, const PointAddress& point) const {
  const Metric metric = metric_named(name);
  const std::uint32_t groups = tallies_.shape.groups.total();
  const Cell& cell = tallies_.layout.cells[point.cell];
  std::vector<double> y(groups), x(groups);
  Record record = group_record(point, 0);
  for (std::uint32_t g = 0; g < groups; ++g) {
    record.rounds = static_cast<double>(tallies_.counters[cell.rounds + g]);
    y[g] = numerator(metric, point.cell, record);
    x[g] = denominator(metric, point.cell, record);
    record.unions += cell.union_width();
    record.point += cell.point_width();
    record.accepted += cell.depth + 1;
  }
  Quantity quantity = sampling_.ratio(y, x);
  for (std::size_t r = 0; !resampled_.empty() && r < kResamples; ++r) {
    const Record drawn = resampled_record(point, r);
    const double drawn_x = denominator(metric, point.cell, drawn);
    quantity.replicates.push_back(drawn_x > 0 ? numerator(metric, point.cell, drawn) / drawn_x : quantity.value);
  }
  if (is_certain(metric, point)) return without_error(std::move(quantity));
  // Lengths that only the position decides would be the very same on another trace.
  if (!is_per_layer(name) && !tallies_.shape.acceptance_reads_trace()) return without_trace_error(std::move(quantity));
  return quantity;
}

Estimate MetricReader::estimate(const std::string& metric, const PointAddress& point) const {
  return sampling_.estimate(quantity(metric, point));
}

std::vector<double> MetricReader::per_layer(const std::string& name, const PointAddress& point) const {
  if (!is_per_layer(name)) return {};
  const Metric metric = metric_named(name);
  std::vector<double> values(tallies_.shape.layers);
  for (std::uint32_t layer = 0; layer < values.size(); ++layer) {
    const Record record = layer_record(point, layer);
    values[layer] = numerator(metric, point.cell, record) / denominator(metric, point.cell, record);
  }
  return values;
}

double MetricReader::foresight_hit_rate(const PointAddress& at) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const TallyShape& shape = tallies_.shape;
  const Capacity& capacity = shape.cells[at.cell].capacities[at.capacity];
  double hits = 0;
  double distinct = 0;
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::uint64_t* passes = tallies_.counters.data() + cell.distinct + std::uint64_t{layer} * (shape.experts + 1);
    for (std::uint32_t e = 0; e <= shape.experts; ++e) {
      hits += static_cast<double>(passes[e]) * std::min(e, capacity.at(layer));
      distinct += static_cast<double>(passes[e]) * e;
    }
  }
  return hits / distinct;
}

Distribution MetricReader::distribution(std::size_t index) const {
  const Cell& cell = tallies_.layout.cells[index];
  const TallyShape& shape = tallies_.shape;
  Distribution result{cell.batch, cell.depth, std::vector<double>(cell.depth + 1, 0.0),
                      std::vector<double>(shape.experts + 1, 0.0)};
  if (shape.walk == Walk::enumerate) {
    result.accepted_length = laws_[index];
  } else {
    double requests = 0;
    for (std::uint32_t g = 0; g < shape.groups.groups; ++g) {
      for (std::uint32_t a = 0; a <= cell.depth; ++a) {
        const auto count =
            static_cast<double>(tallies_.counters[cell.accepted + std::uint64_t{g} * (cell.depth + 1) + a]);
        result.accepted_length[a] += count;
        requests += count;
      }
    }
    for (double& probability : result.accepted_length) probability /= requests;
  }
  double passes = 0;
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    for (std::uint32_t e = 0; e <= shape.experts; ++e) {
      const auto count =
          static_cast<double>(tallies_.counters[cell.distinct + std::uint64_t{layer} * (shape.experts + 1) + e]);
      result.distinct_experts[e] += count;
      passes += count;
    }
  }
  for (double& probability : result.distinct_experts) probability /= passes;
  return result;
}

}  // namespace moecarlo
