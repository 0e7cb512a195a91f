#include "host/report/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/report/number_text.hpp"

namespace moecarlo {
namespace {

template <class T>
T middle_of(const std::vector<T>& ascending) {
  return ascending[(ascending.size() - 1) / 2];
}

template <class T, class Member>
std::vector<T> values_of(const StudyResults& results, Member member) {
  std::set<T> values;
  for (const PointResult& point : results.points) values.insert(point.*member);
  return {values.begin(), values.end()};
}

bool same_design(const HardwareResult& a, const HardwareResult& b) {
  return a.system == b.system && a.scheme == b.scheme && a.batch == b.batch;
}

}  // namespace

std::vector<std::uint32_t> batches_of(const StudyResults& results) {
  return values_of<std::uint32_t>(results, &PointResult::batch);
}

std::vector<std::uint32_t> depths_of(const StudyResults& results) {
  return values_of<std::uint32_t>(results, &PointResult::depth);
}

std::vector<std::string> policies_of(const StudyResults& results) {
  std::vector<std::string> policies;
  for (const PointResult& point : results.points) {
    if (std::find(policies.begin(), policies.end(), point.policy) == policies.end()) policies.push_back(point.policy);
  }
  return policies;
}

std::vector<double> capacities_of(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                                  const std::string& policy) {
  std::set<double> capacities;
  for (const PointResult& point : results.points) {
    if (point.batch == batch && point.depth == depth && point.policy == policy) capacities.insert(point.capacity);
  }
  return {capacities.begin(), capacities.end()};
}

const PointResult* find_point(const StudyResults& results, std::uint32_t batch, std::uint32_t depth) {
  for (const PointResult& point : results.points) {
    if (point.batch == batch && point.depth == depth) return &point;
  }
  return nullptr;
}

const PointResult* find_point(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                              const std::string& policy, double capacity) {
  for (const PointResult& point : results.points) {
    if (point.batch == batch && point.depth == depth && point.policy == policy && point.capacity == capacity) {
      return &point;
    }
  }
  return nullptr;
}

const MetricResult* find_metric(const PointResult* point, const std::string& name) {
  if (!point) return nullptr;
  const auto found = point->metrics.find(name);
  return found == point->metrics.end() ? nullptr : &found->second;
}

const PointResult* typical_point(const StudyResults& results) {
  if (results.points.empty()) return nullptr;
  std::vector<std::uint32_t> depths = depths_of(results);
  if (depths.size() > 1 && depths.front() == 0) depths.erase(depths.begin());
  const std::uint32_t batch = middle_of(batches_of(results)), depth = middle_of(depths);
  const PointResult* any = find_point(results, batch, depth);
  if (!any) return &results.points.front();
  return find_point(results, batch, depth, any->policy, middle_of(capacities_of(results, batch, depth, any->policy)));
}

std::vector<const HardwareResult*> best_hardware(const StudyResults& results) {
  std::vector<const HardwareResult*> best;
  for (const HardwareResult& row : results.hardware) {
    if (row.is_variant()) continue;
    const auto rival =
        std::find_if(best.begin(), best.end(), [&](const auto* other) { return same_design(*other, row); });
    if (rival == best.end()) {
      best.push_back(&row);
    } else if (row.speedup.value > (*rival)->speedup.value) {
      *rival = &row;
    }
  }
  return best;
}

std::vector<const HardwareResult*> fastest_of_each_system(const StudyResults& results) {
  std::vector<const HardwareResult*> fastest;
  for (const HardwareResult& row : results.hardware) {
    if (row.is_variant()) continue;
    const auto rival =
        std::find_if(fastest.begin(), fastest.end(), [&](const auto* other) { return other->system == row.system; });
    if (rival == fastest.end()) {
      fastest.push_back(&row);
    } else if (row.speedup.value > (*rival)->speedup.value) {
      *rival = &row;
    }
  }
  return fastest;
}

const HardwareResult* fastest_without_drafting(const StudyResults& results, const HardwareResult& like) {
  const HardwareResult* fastest = nullptr;
  for (const HardwareResult& row : results.hardware) {
    if (row.depth != 0 || row.is_variant() || !same_design(row, like)) continue;
    if (fastest == nullptr || row.speedup.value > fastest->speedup.value) fastest = &row;
  }
  return fastest;
}

std::string sensitivity_row(const StudyResults& results) {
  if (results.sensitivity.empty()) return {};
  std::vector<const HardwareResult*> rows = best_hardware(results);
  std::stable_sort(rows.begin(), rows.end(),
                   [](const auto* a, const auto* b) { return a->speedup.value > b->speedup.value; });
  for (const HardwareResult* row : rows) {
    for (const SensitivityResult& taken : results.sensitivity) {
      if (taken.row.starts_with(fmt::format("{} {},", row->system, row->scheme))) return taken.row;
    }
  }
  return results.sensitivity.front().row;
}

std::vector<SensitivityResult> ranked_sensitivity(const StudyResults& results, const std::string& row) {
  std::vector<SensitivityResult> ranked;
  for (const SensitivityResult& taken : results.sensitivity) {
    if (taken.row == row && std::abs(taken.elasticity.value_or(0)) >= 0.005) ranked.push_back(taken);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return std::abs(*a.elasticity) > std::abs(*b.elasticity); });
  return ranked;
}

std::vector<const Distribution*> deepest_distributions(const StudyResults& results) {
  std::vector<const Distribution*> deepest;
  for (const Distribution& distribution : results.distributions) {
    if (!deepest.empty() && distribution.depth < deepest.front()->depth) continue;
    if (!deepest.empty() && distribution.depth > deepest.front()->depth) deepest.clear();
    deepest.push_back(&distribution);
  }
  std::sort(deepest.begin(), deepest.end(), [](const auto* a, const auto* b) { return a->batch < b->batch; });
  return deepest;
}

std::string design_text(const PointResult& point) {
  return fmt::format("batch {}, depth {}, {}, {} experts per layer", point.batch, point.depth, point.policy,
                     number_text(point.capacity));
}

}  // namespace moecarlo
