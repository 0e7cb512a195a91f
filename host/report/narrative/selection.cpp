#include "host/report/narrative/selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "host/report/results/number_text.hpp"
#include "host/statistics/loss.hpp"

namespace moecarlo {
namespace {

template <class T>
T middle_of(const std::vector<T>& ascending) {
  return ascending[(ascending.size() - 1) / 2];
}

template <class T, class Member>
std::vector<T> values_of(const StudyResults& results, Member member) {
  std::set<T> values;
  for (const PointResult& point : results.points) {
    if (!point.implied) values.insert(point.*member);
  }
  return {values.begin(), values.end()};
}

/// The fastest of the rows that are no variants and that `same` puts together, in order of first appearance.
template <class Same>
std::vector<const HardwareResult*> fastest_of_each(const StudyResults& results, Same same) {
  std::vector<const HardwareResult*> fastest;
  for (const HardwareResult& row : results.hardware) {
    if (row.is_variant() || !may_win(results, row.demand)) continue;
    const auto rival =
        std::find_if(fastest.begin(), fastest.end(), [&](const auto* other) { return same(*other, row); });
    if (rival == fastest.end()) {
      fastest.push_back(&row);
    } else if (row.tokens_per_second.value > (*rival)->tokens_per_second.value) {
      *rival = &row;
    }
  }
  return fastest;
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
    if (point.implied) continue;
    if (std::find(policies.begin(), policies.end(), point.policy) == policies.end()) policies.push_back(point.policy);
  }
  return policies;
}

std::vector<double> capacities_of(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                                  const std::string& policy) {
  std::set<double> capacities;
  for (const PointResult& point : results.points) {
    if (point.implied || point.batch != batch || point.depth != depth || point.policy != policy) continue;
    capacities.insert(point.capacity);
  }
  return {capacities.begin(), capacities.end()};
}

const PointResult* find_point(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                              const std::string& policy, double capacity, std::uint32_t bits,
                              const std::string& demand) {
  for (const PointResult& point : results.points) {
    if (point.batch == batch && point.depth == depth && point.capacity == capacity && point.bits == bits &&
        point.policy == policy && point.demand == demand) {
      return &point;
    }
  }
  return nullptr;
}

const PointResult* point_of(const StudyResults& results, const HardwareResult& row) {
  return find_point(results, row.batch, row.depth, row.policy, row.capacity, row.bits, row.demand);
}

const PointResult* find_beside(const StudyResults& results, const PointResult& point, std::uint32_t batch,
                               std::uint32_t depth) {
  return find_point(results, batch, depth, point.policy, point.capacity, point.bits, point.demand);
}

const MetricResult* find_metric(const PointResult* point, const std::string& name) {
  if (!point) return nullptr;
  const auto found = point->metrics.find(name);
  return found == point->metrics.end() ? nullptr : &found->second;
}

std::string reference_name(const StudyResults& results) {
  return results.reference;
}

const PointResult* typical_point(const StudyResults& results) {
  std::vector<std::uint32_t> depths = depths_of(results);
  if (depths.empty()) return nullptr;
  if (depths.size() > 1 && depths.front() == 0) depths.erase(depths.begin());
  const std::uint32_t batch = middle_of(batches_of(results)), depth = middle_of(depths);
  for (const PointResult& any : results.points) {
    if (any.implied || any.batch != batch || any.depth != depth) continue;
    const double capacity = middle_of(capacities_of(results, batch, depth, any.policy));
    return find_point(results, batch, depth, any.policy, capacity, any.bits, any.demand);
  }
  return &results.points.front();
}

std::vector<const HardwareResult*> best_hardware(const StudyResults& results) {
  return fastest_of_each(results, [](const HardwareResult& a, const HardwareResult& b) {
    return a.system == b.system && a.scheme == b.scheme && a.batch == b.batch;
  });
}

std::vector<const HardwareResult*> fastest_of_each_system(const StudyResults& results, std::uint32_t batch) {
  std::vector<const HardwareResult*> fastest = fastest_of_each(
      results,
      [](const HardwareResult& a, const HardwareResult& b) { return a.system == b.system && a.batch == b.batch; });
  std::erase_if(fastest, [&](const HardwareResult* row) { return row->batch != batch; });
  return fastest;
}

const LeadResult* lead_of(const StudyResults& results, const HardwareResult& row, const std::string& among) {
  for (const LeadResult& lead : results.leads) {
    if (lead.among == among && &results.hardware.at(lead.first) == &row) return &lead;
  }
  return nullptr;
}

std::string sensitivity_row(const StudyResults& results) {
  if (results.sensitivity.empty()) return {};
  std::vector<const HardwareResult*> rows = best_hardware(results);
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) {
    const auto worth = [](const auto* row) {  // by speed alone where there is no reference
      return std::pair(std::isfinite(row->speedup.value) ? row->speedup.value : 0, row->tokens_per_second.value);
    };
    return worth(a) > worth(b);
  });
  for (const HardwareResult* row : rows) {
    for (const SensitivityResult& taken : results.sensitivity) {
      if (taken.row.starts_with(fmt::format("{} {},", row->system, row->scheme))) return taken.row;
    }
  }
  return results.sensitivity.front().row;
}

std::vector<SensitivityResult> ranked_sensitivity(const StudyResults& results, const std::string& row,
                                                  std::initializer_list<Elasticity> of) {
  const auto size = [&](const SensitivityResult& taken) {
    double largest = 0;
    for (const Elasticity one : of) largest = std::max(largest, std::abs((taken.*one).value_or(0)));
    return largest;
  };
  std::vector<SensitivityResult> ranked;
  for (const SensitivityResult& taken : results.sensitivity) {
    if (taken.row == row && size(taken) >= 0.005) ranked.push_back(taken);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [&](const auto& a, const auto& b) { return size(a) > size(b); });
  return ranked;
}

std::vector<const Distribution*> distributions_at(const StudyResults& results, const PointResult& point) {
  std::vector<const Distribution*> found;
  for (const Distribution& one : results.distributions) {
    if (one.capacity.value_or(point.capacity) != point.capacity || one.bits.value_or(point.bits) != point.bits)
      continue;
    if (one.demand != point.demand) continue;
    if (one.policy.empty() || one.policy == point.policy) found.push_back(&one);
  }
  return found;
}

std::vector<const Distribution*> deepest_distributions(const StudyResults& results, const PointResult& point) {
  std::vector<const Distribution*> deepest;
  for (const Distribution* distribution : distributions_at(results, point)) {
    if (!deepest.empty() && distribution->depth < deepest.front()->depth) continue;
    if (!deepest.empty() && distribution->depth > deepest.front()->depth) deepest.clear();
    deepest.push_back(distribution);
  }
  std::sort(deepest.begin(), deepest.end(), [](const auto* a, const auto* b) { return a->batch < b->batch; });
  return deepest;
}

bool is_beside(const PointResult& point, const PointResult& typical) {
  return point.batch == typical.batch && point.depth == typical.depth && point.policy == typical.policy &&
         point.capacity == typical.capacity && point.bits == typical.bits;
}

std::string bits_text(std::uint32_t bits) {
  return bits == 8 ? "" : fmt::format(", {} bits", bits);
}

std::string demand_text(const std::string& demand, const std::optional<Loss>& loss) {
  if (demand == "all") return "";
  return loss ? fmt::format(", demand {} ({})", demand, loss_text(loss, demand)) : fmt::format(", demand {}", demand);
}

std::string design_text(const PointResult& point) {
  return fmt::format("batch {}, depth {}, {}, {} experts per layer{}{}", point.batch, point.depth, point.policy,
                     number_text(point.capacity), bits_text(point.bits), demand_text(point.demand, loss_of(point)));
}

std::string cache_text(const PointResult& point) {
  return fmt::format("policy {}, {} experts per layer{}{}", point.policy, number_text(point.capacity),
                     bits_text(point.bits), demand_text(point.demand, loss_of(point)));
}

std::string design_text(const HardwareResult& row) {
  return fmt::format("{} with scheme {} ({})", row.system, row.scheme, choice_text(row));
}

std::string choice_text(const HardwareResult& row) {
  return fmt::format("depth {}, policy {}, {} experts per layer{}{}", row.depth, row.policy, number_text(row.capacity),
                     bits_text(row.bits), demand_text(row.demand, row.lossy));
}

}  // namespace moecarlo
