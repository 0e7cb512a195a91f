#include "host/statistics/metrics.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "host/simulate/plan.hpp"
#include "host/statistics/metric_table.hpp"
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

std::uint64_t point_number(const Cell& cell, const PointAddress& at) {
  return std::uint64_t{at.policy} * cell.capacity_count + at.capacity;
}

bool needs_drafts(const Metric& metric) {
  return metric.where == Where::with_drafts || metric.where == Where::with_choices ||
         metric.where == Where::with_masses;
}

bool needs_demands(const Metric& metric) {
  return metric.where >= Where::with_demands;
}

bool needs_gates(const Metric& metric) {
  return metric.where == Where::with_demand_masses || metric.where == Where::with_upper_mass;
}

bool drops_channels(const TallyShape& shape) {
  return std::any_of(shape.cells.begin(), shape.cells.end(),
                     [](const CellShape& cell) { return cell.demand.demand.channels > 0; });
}

}  // namespace

MetricReader::MetricReader(const Tallies& tallies, const Resample& resample, std::vector<NestedCapacities> nested)
    : tallies_(tallies), nested_(std::move(nested)), sampling_(make_sampling(tallies)) {
  for (const CellShape& cell : tallies.shape.cells) laws_.push_back(accepted_length_law(cell.thresholds));
  for (const Cell& cell : tallies.layout.cells) {
    const auto first = tallies.counters.begin() + static_cast<std::ptrdiff_t>(cell.rounds);
    rounds_.push_back(
        static_cast<double>(std::accumulate(first, first + tallies.shape.groups.groups, std::uint64_t{0})));
  }
  if (is_exact(tallies.shape.walk) && tallies.shape.groups.groups >= kFewestSequences) resample_groups(resample);
}

std::vector<std::string> MetricReader::names(const Study& study) {
  const std::uint32_t depth = study.grid.depth.back();
  const HistogramSet histograms = study.histograms | (study.prefetch ? set_of<PrefetchCounts>() : 0);
  const std::vector<std::uint32_t> leads = study.prefetch ? study.prefetch->leads : std::vector<std::uint32_t>{};
  std::vector<std::string> names;
  for (const Metric& metric : metric_table()) {
    const bool asked = (metric.histograms & ~histograms) == 0;
    if (!asked || (needs_demands(metric) && !study.demand) || (depth == 0 && needs_drafts(metric))) continue;
    if (metric.where == Where::with_nested && study.grid.nested.empty()) continue;
    for (const std::uint32_t level : metric.levels_at(depth, leads)) names.push_back(metric.name_at(level));
  }
  return names;
}

std::vector<std::string> MetricReader::names_at(const PointAddress& point) const {
  std::vector<std::string> names;
  for (const Metric& metric : metric_table()) {
    const bool counted =
        (metric.where != Where::with_masses || knows_mass(point)) && (!needs_gates(metric) || knows_pair_mass(point));
    const std::uint32_t depth = tallies_.shape.cells[point.cell].depth;
    for (const std::uint32_t level : metric.levels_at(depth, tallies_.shape.leads)) {
      if (counted && exists(metric.name_at(level), point)) names.push_back(metric.name_at(level));
    }
  }
  return names;
}

bool MetricReader::exists(const std::string& name, const PointAddress& point) const {
  const auto [metric, level] = metric_named(name);
  const CellShape& cell = tallies_.shape.cells[point.cell];
  if ((metric.histograms & ~tallies_.shape.histograms) != 0) return false;
  const std::vector<std::uint32_t> levels = metric.levels_at(cell.depth, tallies_.shape.leads);
  if (std::find(levels.begin(), levels.end(), level) == levels.end()) return false;
  if (metric.where == Where::with_choices && tallies_.shape.zero_experts > 0) return false;
  if (metric.where == Where::with_nested) return near(point).has_value();
  if (metric.where == Where::with_siblings) return cell.tree.verifies_siblings(cell.depth);
  if (needs_drafts(metric)) return cell.depth > 0;
  if (metric.where == Where::with_channels) return drops_channels(tallies_.shape);
  if (metric.where == Where::with_deciders) {
    const Demand& demand = cell.demand.demand;
    return demand.channels > 0 && some_decide(demand.rule) && cell.tree.verifies_siblings(cell.depth);
  }
  if (metric.where == Where::with_upper_mass && tallies_.shape.slices == 1) return false;
  if (metric.where == Where::with_causes && tallies_.shape.walk == Walk::enumerate) return false;
  if (needs_demands(metric)) return tallies_.shape.asks;
  return metric.where == Where::everywhere || tallies_.shape.slices > 1;
}

std::optional<PointAddress> MetricReader::near(const PointAddress& point) const {
  const std::vector<Capacity>& capacities = tallies_.shape.cells[point.cell].capacities;
  for (const NestedCapacities& one : nested_) {
    if (capacities[point.capacity] != Capacity{one.far, 0}) continue;
    const auto found = std::find(capacities.begin(), capacities.end(), Capacity{one.near, 0});
    if (found == capacities.end()) continue;
    return PointAddress{point.cell, point.policy, static_cast<std::uint32_t>(found - capacities.begin())};
  }
  return std::nullopt;
}

bool MetricReader::knows_mass(const PointAddress& point) const {
  for (std::uint32_t g = 0; g < tallies_.shape.groups.groups; ++g) {
    if (group_counts(point, g).unions[kDraftMass] > 0) return true;
  }
  return false;
}

bool MetricReader::knows_pair_mass(const PointAddress& point) const {
  for (std::uint32_t g = 0; g < tallies_.shape.groups.groups; ++g) {
    if (tallies_.shape.asks && group_counts(point, g).of_demand(kPairMass) > 0) return true;
  }
  return false;
}

bool MetricReader::is_per_layer(const std::string& name) {
  return metric_named(name).metric.per_layer;
}

const std::vector<double>* MetricReader::law(std::size_t cell) const {
  return tallies_.shape.walk == Walk::enumerate ? &laws_[cell] : nullptr;
}

MetricCounts MetricReader::group_counts(const PointAddress& at, std::uint32_t group) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const std::uint64_t* counters = tallies_.counters.data();
  const auto record_of = [&](const PointAddress& address) {
    const std::uint64_t row = point_number(cell, address) * tallies_.shape.groups.total() + group;
    return counters + cell.points_by_group + row * cell.point_width();
  };
  const auto inner = near(at);
  return {tallies_.shape,
          cell,
          law(at.cell),
          static_cast<double>(counters[cell.rounds + group]),
          static_cast<double>(tallies_.shape.layers),
          counters + cell.unions_by_group + std::uint64_t{group} * cell.union_width(),
          record_of(at),
          inner ? record_of(*inner) : nullptr,
          counters + cell.accepted + std::uint64_t{group} * (cell.depth + 1)};
}

MetricCounts MetricReader::layer_counts(const PointAddress& at, std::uint32_t layer) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const std::uint64_t* counters = tallies_.counters.data();
  const auto record_of = [&](const PointAddress& address) {
    const std::uint64_t row = point_number(cell, address) * tallies_.shape.layers + layer;
    return counters + cell.points_by_layer + row * cell.point_width();
  };
  const auto inner = near(at);
  return {tallies_.shape,
          cell,
          law(at.cell),
          rounds_[at.cell],
          1,
          counters + cell.unions_by_layer + std::uint64_t{layer} * cell.union_width(),
          record_of(at),
          inner ? record_of(*inner) : nullptr,
          nullptr};
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

MetricCounts MetricReader::resampled_counts(const PointAddress& at, std::size_t resample) const {
  const Cell& cell = tallies_.layout.cells[at.cell];
  const std::uint64_t* rounds = resampled_.data() + resample * columns_ + first_column_[at.cell];
  const std::uint64_t* accepted = rounds + 1;
  const std::uint64_t* unions = accepted + (tallies_.shape.walk == Walk::enumerate ? 0 : cell.depth + 1);
  const auto record_of = [&](const PointAddress& address) {
    return unions + cell.union_width() + point_number(cell, address) * cell.point_width();
  };
  const auto inner = near(at);
  return {tallies_.shape,
          cell,
          law(at.cell),
          static_cast<double>(*rounds),
          static_cast<double>(tallies_.shape.layers),
          unions,
          record_of(at),
          inner ? record_of(*inner) : nullptr,
          accepted};
}

Quantity MetricReader::quantity(const std::string& name, const PointAddress& point) const {
  const auto [metric, level] = metric_named(name);
  const std::uint32_t groups = tallies_.shape.groups.total();
  const Cell& cell = tallies_.layout.cells[point.cell];
  std::vector<double> y(groups), x(groups);
  MetricCounts counts = group_counts(point, 0);
  counts.level = level;
  for (std::uint32_t g = 0; g < groups; ++g) {
    counts.rounds = static_cast<double>(tallies_.counters[cell.rounds + g]);
    y[g] = metric.numerator(counts);
    x[g] = metric.denominator(counts);
    counts.unions += cell.union_width();
    counts.point += cell.point_width();
    if (counts.near != nullptr) counts.near += cell.point_width();
    counts.accepted += cell.depth + 1;
  }
  Quantity quantity = sampling_.ratio(y, x);
  for (std::size_t r = 0; !resampled_.empty() && r < kResamples; ++r) {
    MetricCounts drawn = resampled_counts(point, r);
    drawn.level = level;
    const double drawn_x = metric.denominator(drawn);
    quantity.replicates.push_back(drawn_x > 0 ? metric.numerator(drawn) / drawn_x : quantity.value);
  }
  if (metric.is_certain(certainties(tallies_.shape, point.cell, point.policy, point.capacity))) {
    return without_error(std::move(quantity));
  }
  // Lengths that only the position decides would be the very same on another trace.
  if (!metric.per_layer && !tallies_.shape.acceptance_reads_trace()) return without_trace_error(std::move(quantity));
  return quantity;
}

Estimate MetricReader::estimate(const std::string& metric, const PointAddress& point) const {
  return sampling_.estimate(quantity(metric, point));
}

std::vector<double> MetricReader::per_layer(const std::string& name, const PointAddress& point) const {
  const auto [metric, level] = metric_named(name);
  if (!metric.per_layer) return {};
  std::vector<double> values(tallies_.shape.layers);
  for (std::uint32_t layer = 0; layer < values.size(); ++layer) {
    MetricCounts counts = layer_counts(point, layer);
    counts.level = level;
    values[layer] = metric.numerator(counts) / metric.denominator(counts);
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

std::map<std::string, HistogramResult> MetricReader::histograms_at(const PointAddress& at) const {
  const TallyShape& shape = tallies_.shape;
  std::map<std::string, HistogramResult> found;
  each_histogram(shape.histograms, tallies_.layout.cells[at.cell], shape.experts,
                 [&](auto histogram, const HistogramColumns& columns) {
                   using Histogram = decltype(histogram);
                   std::vector<double> of_union(columns.bins, 0), of_point(columns.bins, 0);
                   for (std::uint32_t g = 0; g < shape.groups.groups; ++g) {
                     const MetricCounts counts = group_counts(at, g);
                     for (std::uint32_t bin = 0; bin < columns.bins; ++bin) {
                       if (Histogram::kOfUnion)
                         of_union[bin] += static_cast<double>(counts.unions[columns.of_union + 1 + bin]);
                       if (Histogram::kOfPoint)
                         of_point[bin] += static_cast<double>(counts.point[columns.of_point + 1 + bin]);
                     }
                   }
                   const std::vector<double>& whole = Histogram::kOfUnion ? of_union : of_point;
                   const double all = Histogram::kMeans ? rounds_[at.cell] * static_cast<double>(shape.layers)
                                                        : std::accumulate(whole.begin(), whole.end(), 0.0);
                   if (columns.bins == 0 || all == 0 || Histogram::kIsTable) return;
                   for (std::vector<double>* shares : {&of_union, &of_point}) {
                     for (double& share : *shares) share /= all;
                   }
                   found[Histogram::kName] = Histogram::kOfUnion && Histogram::kOfPoint
                                                 ? HistogramResult{Histogram::kLeast, of_union, of_point}
                                                 : HistogramResult{Histogram::kLeast, whole, {}};
                 });
  return found;
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
