#include "host/statistics/metrics.hpp"

#include <algorithm>
#include <cmath>

#include "host/simulate/plan.hpp"
#include "host/study/acceptance.hpp"

namespace moecarlo {
namespace {

Sampling make_sampling(const Tallies& tallies) {
  const GroupLayout& layout = tallies.shape.groups;
  if (tallies.shape.walk == Walk::enumerate) return Sampling::exact(layout, layout.groups >= kFewestSequences);
  return Sampling::random(layout, tallies.trajectories >= layout.groups);
}

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
                                                 "cache_writes"};
  return names;
}

bool lists(const GridSpec& grid, const Capacity& capacity) {
  return capacity.extra_layers == 0 &&
         std::find(grid.capacity.begin(), grid.capacity.end(), capacity.base) != grid.capacity.end();
}

/// The points of the study's own grid: its depths and capacities crossed with all batches and policies.
std::vector<PointAddress> grid_points(const Tallies& tallies, const Study& study) {
  std::vector<PointAddress> points;
  for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
    const CellShape& cell = tallies.shape.cells[c];
    const auto& depths = study.grid.depth;
    if (std::find(depths.begin(), depths.end(), cell.depth) == depths.end()) continue;
    for (std::uint32_t p = 0; p < tallies.shape.policies.size(); ++p) {
      for (std::uint32_t i = 0; i < cell.capacities.size(); ++i) {
        if (lists(study.grid, cell.capacities[i])) points.push_back({c, p, i});
      }
    }
  }
  return points;
}

}  // namespace

/// The counts behind one group or one layer of a point.
struct MetricReader::Record {
  double rounds = 0;                        // verify passes per layer
  double layers = 0;                        // layers these counts cover
  const std::uint64_t* unions = nullptr;    // union record
  const std::uint64_t* point = nullptr;     // point record
  const std::uint64_t* accepted = nullptr;  // requests by accepted length; null for a layer
};

MetricReader::MetricReader(const Tallies& tallies) : tallies_(tallies), sampling_(make_sampling(tallies)) {
  for (const CellShape& cell : tallies.shape.cells) laws_.push_back(accepted_length_law(cell.thresholds));
}

std::vector<std::string> MetricReader::names(std::uint32_t depth) {
  std::vector<std::string> names = all_names();
  if (depth == 0) names.erase(std::find(names.begin(), names.end(), "draft_coverage"));
  return names;
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
  double rounds = 0;
  for (std::uint32_t g = 0; g < tallies_.shape.groups.groups; ++g) {
    rounds += static_cast<double>(counters[cell.rounds + g]);
  }
  return {rounds, 1, counters + cell.unions_by_layer + std::uint64_t{layer} * cell.union_width(),
          counters + cell.points_by_layer + row * cell.point_width(), nullptr};
}

double MetricReader::numerator(const std::string& metric, const CellShape& shape, const Record& record) const {
  const auto cell = static_cast<std::size_t>(&shape - tallies_.shape.cells.data());
  const bool conditional = tallies_.shape.walk == Walk::enumerate;
  const std::vector<double>& law = laws_[cell];
  // Counts kept for each accepted length are weighted with its probability.
  const auto expect = [&](const std::uint64_t* slices) {
    if (!conditional) return static_cast<double>(slices[0]);
    double sum = 0;
    for (std::size_t a = 0; a < law.size(); ++a) sum += law[a] * static_cast<double>(slices[a]);
    return sum;
  };
  if (metric == "tokens_per_round" || metric == "accepted_length") {
    const double bonus = metric == "tokens_per_round" ? 1 : 0;
    double tokens = 0;
    for (std::size_t a = 0; a < law.size(); ++a) {
      const double requests = conditional ? law[a] * record.rounds : static_cast<double>(record.accepted[a]);
      tokens += (static_cast<double>(a) + bonus) * requests;
    }
    return tokens;
  }
  const auto distinct = static_cast<double>(record.unions[0]);
  const auto hits = static_cast<double>(record.point[kHits]);
  if (metric == "distinct_experts") return distinct;
  if (metric == "distinct_experts_accepted") return expect(record.unions + 1);
  if (metric == "hits" || metric == "hit_rate") return hits;
  if (metric == "misses") return distinct - hits;
  if (metric == "rejected_only") return expect(record.point + kRejectedOnly);
  if (metric == "draft_coverage") return static_cast<double>(record.point[kDraftHits]);
  return static_cast<double>(record.point[kCacheWrites]);
}

double MetricReader::denominator(const std::string& metric, const CellShape& shape, const Record& record) const {
  if (metric == "tokens_per_round" || metric == "accepted_length") return record.rounds * shape.batch;
  if (metric == "hit_rate") return static_cast<double>(record.unions[0]);
  const double passes = record.rounds * record.layers;
  if (metric != "draft_coverage") return passes;
  // One draft step a round is counted, all of them when enumerating.
  const double steps = tallies_.shape.walk == Walk::enumerate ? shape.depth : 1;
  return passes * steps * shape.batch * tallies_.shape.top_k;
}

Quantity MetricReader::quantity(const std::string& metric, const PointAddress& point) const {
  const CellShape& shape = tallies_.shape.cells[point.cell];
  std::vector<double> y, x;
  for (std::uint32_t g = 0; g < tallies_.shape.groups.total(); ++g) {
    const Record record = group_record(point, g);
    y.push_back(numerator(metric, shape, record));
    x.push_back(denominator(metric, shape, record));
  }
  return sampling_.ratio(y, x);
}

Estimate MetricReader::estimate(const std::string& metric, const PointAddress& point) const {
  // No acceptance model here reads the routing: another trace would give the very same lengths.
  Estimate estimate = sampling_.estimate(quantity(metric, point));
  if (!is_per_layer(metric)) estimate.trace_half_width = 0;
  return estimate;
}

std::vector<double> MetricReader::per_layer(const std::string& metric, const PointAddress& point) const {
  std::vector<double> values;
  if (!is_per_layer(metric)) return values;
  const CellShape& shape = tallies_.shape.cells[point.cell];
  for (std::uint32_t layer = 0; layer < tallies_.shape.layers; ++layer) {
    const Record record = layer_record(point, layer);
    values.push_back(numerator(metric, shape, record) / denominator(metric, shape, record));
  }
  return values;
}

Distribution MetricReader::distribution(std::size_t index) const {
  const Cell& cell = tallies_.layout.cells[index];
  const TallyShape& shape = tallies_.shape;
  Distribution result{cell.batch, cell.depth, laws_[index], std::vector<double>(shape.experts + 1, 0.0)};
  if (shape.walk != Walk::enumerate) {
    double requests = 0;
    std::fill(result.accepted_length.begin(), result.accepted_length.end(), 0.0);
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

std::vector<PointResult> point_results(const MetricReader& reader, const Tallies& tallies, const Study& study) {
  std::vector<PointResult> results;
  for (const PointAddress& point : grid_points(tallies, study)) {
    const CellShape& cell = tallies.shape.cells[point.cell];
    PointResult result;
    result.batch = cell.batch;
    result.depth = cell.depth;
    result.policy = to_string(tallies.shape.policies[point.policy]);
    result.capacity = cell.capacities[point.capacity].mean(tallies.shape.layers);
    for (const std::string& metric : MetricReader::names(cell.depth)) {
      result.metrics[metric] = {reader.estimate(metric, point), reader.per_layer(metric, point)};
    }
    for (const std::uint32_t bits : study.grid.bits) {
      result.bits = bits;
      results.push_back(result);
    }
  }
  return results;
}

std::vector<DifferenceResult> policy_differences(const MetricReader& reader, const Tallies& tallies,
                                                 const Study& study) {
  std::vector<DifferenceResult> results;
  const std::vector<PointAddress> points = grid_points(tallies, study);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].policy == 0) continue;
    const PointAddress first{points[i].cell, 0, points[i].capacity};
    const auto base = std::find_if(points.begin(), points.end(), [&](const PointAddress& other) {
      return other.cell == first.cell && other.policy == 0 && other.capacity == first.capacity;
    });
    for (const char* metric : {"hit_rate", "misses"}) {
      const Quantity difference = reader.quantity(metric, points[i]) - reader.quantity(metric, first);
      const std::size_t bits = study.grid.bits.size();  // results repeat each point for every number of bits
      results.push_back({metric, i * bits, static_cast<std::size_t>(base - points.begin()) * bits,
                         reader.sampling().estimate(difference)});
    }
  }
  return results;
}

bool is_satisfied(const StopSpec& stop, const Tallies& tallies, const Study& study) {
  const MetricReader reader(tallies);
  for (const PointAddress& point : grid_points(tallies, study)) {
    const std::vector<std::string> names = MetricReader::names(tallies.shape.cells[point.cell].depth);
    for (const std::string& metric : stop.metrics) {
      if (std::find(names.begin(), names.end(), metric) == names.end()) continue;
      const Estimate estimate = reader.estimate(metric, point);
      const double allowed = stop.relative_half_width * std::abs(estimate.value);
      if (!estimate.mc_half_width || *estimate.mc_half_width > allowed) return false;
    }
  }
  return true;
}

}  // namespace moecarlo
