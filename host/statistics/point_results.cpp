#include "host/statistics/point_results.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "host/simulate/plan.hpp"
#include "host/study/grid.hpp"
#include "host/study/names.hpp"

namespace moecarlo {
namespace {

bool holds(const std::vector<std::uint32_t>& list, std::uint32_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

/// A design point of the study: where it was counted, and for how many bits it stands.
struct GridPoint {
  PointAddress at;
  std::uint32_t bits;
};

/// Every number of bits that points of a cell stand for. Whole weights, 8 bits, are what schemes keep that slice none,
/// whether the grid lists them or not.
std::vector<std::uint32_t> bits_of(const CellShape& cell, const Study& study) {
  if (cell.bits != 0) return {cell.bits};
  std::set<std::uint32_t> bits(study.grid.bits.begin(), study.grid.bits.end());
  bits.insert(8);
  return {bits.begin(), bits.end()};
}

/// Every counted point of the study's policies that is of its own grid, its depths, policies and capacities crossed
/// with all batches and bits; or else every other one: those that hardware asked for, whose joint histograms are kept.
std::vector<GridPoint> points_of(const Tallies& tallies, const Study& study, bool own) {
  std::vector<GridPoint> points;
  for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
    const CellShape& cell = tallies.shape.cells[c];
    if (cell.acceptance.independent) continue;
    const auto& wanted = study.grid.policy;
    for (std::uint32_t p = 0; p < cell.policies.size(); ++p) {
      if (std::find(wanted.begin(), wanted.end(), cell.policies[p]) == wanted.end()) continue;
      for (std::uint32_t i = 0; i < cell.capacities.size(); ++i) {
        const bool listed =
            holds(study.grid.depth, cell.depth) &&
            (!has_capacity(cell.policies[p]) || lists(study.grid, cell.capacities[i], tallies.shape.layers));
        for (const std::uint32_t bits : bits_of(cell, study)) {
          const bool is_own = listed && holds(study.grid.bits, bits);
          if (own ? is_own : !is_own && cell.joint[i]) points.push_back({{c, p, i}, bits});
        }
      }
    }
  }
  return points;
}

std::vector<GridPoint> grid_points(const Tallies& tallies, const Study& study) {
  return points_of(tallies, study, true);
}

/// The same batch, depth, capacity, bits, alpha and demand elsewhere: under another policy, or in the control. None
/// where it was not counted.
std::optional<PointAddress> counterpart(const Tallies& tallies, const GridPoint& point, Policy policy,
                                        bool independent) {
  const CellShape& own = tallies.shape.cells[point.at.cell];
  const Capacity& capacity = own.capacities[point.at.capacity];
  for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
    const CellShape& cell = tallies.shape.cells[c];
    if (cell.batch != own.batch || cell.depth != own.depth || cell.bits != own.bits) continue;
    if (cell.alpha != own.alpha || cell.demand != own.demand) continue;
    if (cell.acceptance.independent != independent) continue;
    const auto p = std::find(cell.policies.begin(), cell.policies.end(), policy);
    const auto i = std::find(cell.capacities.begin(), cell.capacities.end(), capacity);
    if (p == cell.policies.end() || i == cell.capacities.end()) continue;
    return PointAddress{c, static_cast<std::uint32_t>(p - cell.policies.begin()),
                        static_cast<std::uint32_t>(i - cell.capacities.begin())};
  }
  return std::nullopt;
}

/// Whether a point is the one before it at another number of bits, which counts nothing differently.
bool repeats(const std::vector<GridPoint>& points, std::size_t i) {
  return i > 0 && points[i].at == points[i - 1].at;
}

/// The same batch, policy, capacity and demand without speculation.
std::optional<PointAddress> autoregressive_point(const Tallies& tallies, const GridPoint& point) {
  const CellShape& own = tallies.shape.cells[point.at.cell];
  for (std::size_t c = 0; c < tallies.shape.cells.size(); ++c) {
    const CellShape& cell = tallies.shape.cells[c];
    if (cell.batch != own.batch || cell.depth != 0 || cell.demand != own.demand) continue;
    const auto p = std::find(cell.policies.begin(), cell.policies.end(), own.policies[point.at.policy]);
    const auto i = std::find(cell.capacities.begin(), cell.capacities.end(), own.capacities[point.at.capacity]);
    if (p == cell.policies.end() || i == cell.capacities.end()) continue;
    return PointAddress{c, static_cast<std::uint32_t>(p - cell.policies.begin()),
                        static_cast<std::uint32_t>(i - cell.capacities.begin())};
  }
  return std::nullopt;
}

Policy policy_of(const Tallies& tallies, const PointAddress& point) {
  return tallies.shape.cells[point.cell].policies[point.policy];
}

MetricResult oracle_hit_rate(const MetricReader& reader, const Tallies& tallies, const Study& study,
                             const GridPoint& point) {
  // Static residents are loaded beforehand, which a cold oracle that loads only what passes fetch cannot match.
  const bool loaded_before = study.start == Start::cold && policy_of(tallies, point.at) == Policy::static_residents;
  const auto oracle = counterpart(tallies, point, Policy::belady_bypass, false);
  if (oracle && !loaded_before) {
    return {reader.estimate("hit_rate", *oracle), reader.per_layer("hit_rate", *oracle)};
  }
  return {{reader.foresight_hit_rate(point.at), std::nullopt, std::nullopt}, {}};
}

}  // namespace

std::vector<PointResult> point_results(const MetricReader& reader, const Tallies& tallies, const Study& study) {
  std::vector<PointResult> results;
  std::vector<GridPoint> points = grid_points(tallies, study);
  const std::size_t own = points.size();
  for (const GridPoint& point : points_of(tallies, study, false)) points.push_back(point);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const GridPoint& point = points[i];
    PointResult result;
    if (repeats(points, i)) {
      result = results.back();
    } else {
      const CellShape& cell = tallies.shape.cells[point.at.cell];
      result.batch = cell.batch;
      result.depth = cell.depth;
      result.policy = to_string(policy_of(tallies, point.at));
      result.demand = cell.demand.label;
      result.capacity = has_capacity(policy_of(tallies, point.at))
                            ? cell.capacities[point.at.capacity].mean(tallies.shape.layers)
                            : PointResult::kNoCapacity;
      for (const std::string& metric : reader.names_at(point.at)) {
        result.metrics[metric] = {reader.estimate(metric, point.at), reader.per_layer(metric, point.at)};
      }
      result.histograms = reader.histograms_at(point.at);
      result.metrics["oracle_hit_rate"] = oracle_hit_rate(reader, tallies, study, point);
    }
    result.bits = point.bits;
    const std::optional<double>& alpha = tallies.shape.cells[point.at.cell].alpha;
    if (result.depth > 0) result.alpha = alpha ? alpha : study.acceptance.alpha;
    result.implied = i >= own;
    results.push_back(std::move(result));
  }
  return results;
}

std::vector<DifferenceResult> policy_differences(const MetricReader& reader, const Tallies& tallies,
                                                 const Study& study) {
  std::vector<DifferenceResult> results;
  const std::vector<GridPoint> points = grid_points(tallies, study);
  std::map<std::tuple<std::size_t, std::uint32_t, std::uint32_t, std::uint32_t>, std::size_t> places;
  const auto key_of = [](const PointAddress& at, std::uint32_t bits) {
    return std::tuple(at.cell, at.policy, at.capacity, bits);
  };
  for (std::size_t i = 0; i < points.size(); ++i) places.emplace(key_of(points[i].at, points[i].bits), i);
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (policy_of(tallies, points[i].at) == study.grid.policy.front() || repeats(points, i)) continue;
    const auto first = counterpart(tallies, points[i], study.grid.policy.front(), false);
    if (!first) continue;
    const auto base = places.find(key_of(*first, points[i].bits));
    if (base == places.end()) continue;
    for (const char* metric : {"hit_rate", "misses"}) {
      const Quantity difference = reader.quantity(metric, points[i].at) - reader.quantity(metric, *first);
      results.push_back({metric, i, base->second, reader.sampling().estimate(difference)});
    }
  }
  return results;
}

std::vector<ControlResult> independence_controls(const MetricReader& reader, const Tallies& tallies,
                                                 const Study& study) {
  std::vector<ControlResult> results;
  const std::vector<GridPoint> points = grid_points(tallies, study);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const auto control = counterpart(tallies, points[i], policy_of(tallies, points[i].at), true);
    if (!control || repeats(points, i)) continue;
    for (const char* metric :
         {"tokens_per_round", "distinct_experts", "distinct_experts_accepted", "hit_rate", "misses", "rejected_only"}) {
      const Quantity paired = reader.quantity(metric, points[i].at);
      const Quantity independent = reader.quantity(metric, *control);
      Quantity error = independent - paired;
      if (!MetricReader::is_per_layer(metric)) error = without_error(std::move(error));  // both have the same drafts
      results.push_back({metric, i, reader.sampling().estimate(independent), reader.sampling().estimate(error)});
    }
  }
  return results;
}

std::vector<BreakEvenResult> break_even(const MetricReader& reader, const Tallies& tallies, const Study& study) {
  std::vector<BreakEvenResult> results;
  const std::vector<GridPoint> points = grid_points(tallies, study);
  for (std::size_t i = 0; i < points.size(); ++i) {
    const CellShape& cell = tallies.shape.cells[points[i].at.cell];
    if (cell.depth == 0 || repeats(points, i)) continue;
    const auto baseline = autoregressive_point(tallies, points[i]);
    if (!baseline) continue;
    const Quantity tokens = reader.quantity("tokens_per_round", points[i].at);
    for (const char* cost : {"misses", "distinct_experts"}) {
      const Quantity base = reader.quantity(cost, *baseline);
      if (base.value == 0) continue;
      const Quantity ratio = reader.quantity(cost, points[i].at) / base;
      const Estimate needed = reader.sampling().estimate(ratio);
      results.push_back({cost, i, reader.sampling().estimate(tokens / ratio), needed, (needed.value - 1) / cell.depth});
    }
  }
  return results;
}

std::optional<double> worst_half_width(const std::vector<std::string>& metrics, const Tallies& tallies,
                                       const Study& study) {
  const MetricReader reader(tallies, resample_on_host, study.grid.nested);
  std::optional<double> worst;
  for (const auto& [point, bits] : grid_points(tallies, study)) {
    for (const std::string& metric : metrics) {
      if (!reader.exists(metric, point)) continue;
      const Estimate estimate = reader.estimate(metric, point);
      if (!estimate.mc_half_width.has_value() || estimate.value == 0) continue;
      worst = std::max(worst.value_or(0), *estimate.mc_half_width / std::abs(estimate.value));
    }
  }
  return worst;
}

bool is_satisfied(const StopSpec& stop, const Tallies& tallies, const Study& study) {
  const MetricReader reader(tallies, resample_on_host, study.grid.nested);
  const auto is_known = [&](const Estimate& estimate) {
    const Margin& margin = estimate.mc_half_width;
    const double allowed = stop.relative_half_width * std::abs(estimate.value);
    return margin.is_exact() || (margin.has_value() && *margin <= allowed);
  };
  for (const auto& [point, bits] : grid_points(tallies, study)) {
    for (const std::string& metric : stop.metrics) {
      if (reader.exists(metric, point) && !is_known(reader.estimate(metric, point))) return false;
    }
  }
  return true;
}

}  // namespace moecarlo
