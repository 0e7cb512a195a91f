#include "hw/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double kStep = 0.01;
constexpr const char* kHbCapacity = "hb.capacity";

/// What a constant's value makes of the speed; none, with the reason, where it is not possible or was not counted.
struct Speed {
  double value = 0;
  std::string refusal;
  bool known() const { return refusal.empty(); }
};

/// A constant's value and the speed there.
struct At {
  double value = 0;
  Speed speed;
};

/// An elasticity, or none; how it was taken, or why not.
struct Slope {
  std::optional<double> elasticity;
  std::string method;
};

template <class Compute>
Speed attempt(const Compute& compute) {
  try {
    return {compute(), ""};
  } catch (const Error& error) {
    return {0, error.what()};
  }
}

double elasticity_between(const At& low, const At& high) {
  return (std::log(high.speed.value) - std::log(low.speed.value)) / (std::log(high.value) - std::log(low.value));
}

bool is_whole(const Constant& constant) {
  return constant.unit == "count" || constant.unit == "bit";
}

/// The next values below and above that a constant can have.
std::pair<double, double> values_beside(const Constant& constant) {
  if (is_whole(constant)) return {std::max(1.0, constant.value - 1), constant.value + 1};
  const double up = constant.value * (1 + kStep);
  return {constant.value * (1 - kStep), constant.unit == "share" ? std::min(1.0, up) : up};
}

/// The slope at `constant`, where the speed is known at any value of it.
Slope slope_of(const Constant& constant, const std::function<Speed(double)>& speed) {
  if (constant.key == "near.works_beside") return {std::nullopt, "not taken: yes or no, not a quantity"};
  if (constant.value == 0) return {std::nullopt, "not taken: 0, of which there is no per cent"};
  const auto [below, above] = values_beside(constant);
  const At own{constant.value, speed(constant.value)};
  At low{below, speed(below)}, high{above, speed(above)};
  const bool has_low = below < own.value && low.speed.known(), has_high = above > own.value && high.speed.known();
  if (!has_low && !has_high) {
    const Speed& refused = below < own.value ? low.speed : high.speed;
    return {std::nullopt, "not taken: " + refused.refusal};
  }
  const char* side = has_low && has_high ? "either way" : has_low ? "down only" : "up only";
  return {elasticity_between(has_low ? low : own, has_high ? high : own),
          fmt::format("{} {}", is_whole(constant) ? "one step" : "1 %", side)};
}

/// A row with its replicates taken out, which serve intervals that elasticities have none of.
class Slopes {
 public:
  Slopes(const SensitivityRow& row, const Model& model, std::uint32_t context)
      : row_(row), model_(model), context_(context) {}

  Slope of_system(const Constant& constant) const {
    const Slope slope = slope_of(constant, [&](double value) {
      return attempt([&] { return speed(changed(constant, value), row_.scheme, row_.workload); });
    });
    return constant.key != kHbCapacity || slope.elasticity ? slope : between_neighbours(constant);
  }

  Slope of_scheme(const Constant& constant) const {
    return slope_of(constant, [&](double value) {
      const Preset preset = with_value(row_.scheme.preset, constant.key, value);
      return attempt([&] { return speed(row_.system, with_constants(row_.scheme, preset), row_.workload); });
    });
  }

  Slope of_reference(const Constant& constant) const {
    Slope slope = slope_of(constant, [&](double value) {
      const Preset preset = with_value(row_.reference.preset, constant.key, value);
      return attempt([&] {
        return tokens_per_second(
            project(make_system(preset), autoregressive(), model_, context_, row_.reference_workload, 8),
            row_.reference_workload);
      });
    });
    if (slope.elasticity) slope.elasticity = -*slope.elasticity;
    return slope;
  }

 private:
  System changed(const Constant& constant, double value) const {
    return make_system(with_value(row_.system.preset, constant.key, value));
  }

  double speed(const System& system, const Scheme& scheme, const Workload& workload) const {
    return tokens_per_second(project(system, scheme, model_, context_, workload, row_.bits), workload);
  }

  /// The capacity of HB that holds just the slots of a workload, and the speed with that.
  std::optional<At> at_slots_of(const Constant& capacity, const Workload& workload) const {
    const Serving serving{context_,  workload.batch,       workload.depth,
                          row_.bits, workload.draft_width, workload.verify_columns};
    const Placement placement = place(row_.system, row_.scheme, model_, serving, workload.layers);
    const double slots = std::ceil(workload.capacity.mean(workload.layers) * model_.moe_layers - 1e-6);
    // Half a slot more: rounding may go either way.
    const double bytes =
        placement.dense_bytes + placement.kv_bytes + placement.scheme_bytes + (slots + 0.5) * placement.slot_bytes;
    const double value = capacity.value * bytes / row_.system.hb->capacity_bytes;
    const Speed there = attempt([&] { return speed(changed(capacity, value), row_.scheme, workload); });
    return there.known() ? std::optional(At{value, there}) : std::nullopt;
  }

  Slope between_neighbours(const Constant& capacity) const {
    std::vector<At> counted;
    std::string slots;
    std::vector<const Workload*> workloads{&row_.workload};
    for (const Workload& neighbour : row_.neighbours) workloads.push_back(&neighbour);
    std::sort(workloads.begin(), workloads.end(),
              [](const Workload* a, const Workload* b) { return a->capacity < b->capacity; });
    if (workloads.size() == 3) workloads.erase(workloads.begin() + 1);  // one on each side: the row itself lies between
    for (const Workload* workload : workloads) {
      const auto at = at_slots_of(capacity, *workload);
      if (!at) continue;
      counted.push_back(*at);
      slots += fmt::format("{}{:.3f}", slots.empty() ? "" : " and ", workload->capacity.mean(workload->layers));
    }
    if (counted.size() < 2) {
      return {std::nullopt,
              "not counted: no other capacity was; hardware.hb_capacity = [0.9, 1.1] in the study counts two"};
    }
    return {elasticity_between(counted.front(), counted.back()),
            fmt::format("between the counted {} experts a layer", slots)};
  }

  const SensitivityRow& row_;
  const Model& model_;
  std::uint32_t context_;
};

void rank(std::vector<SensitivityResult>& results) {
  std::sort(results.begin(), results.end(), [](const SensitivityResult& a, const SensitivityResult& b) {
    const double x = a.elasticity ? std::abs(*a.elasticity) : -1, y = b.elasticity ? std::abs(*b.elasticity) : -1;
    return x != y ? x > y : a.constant < b.constant;
  });
}

}  // namespace

std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, std::uint32_t context) {
  const Slopes slopes(row, model, context);
  std::vector<SensitivityResult> results;
  const auto add = [&](const std::string& prefix, const Constant& constant, const Slope& slope) {
    results.push_back({prefix + constant.key, slope.elasticity, constant.status, slope.method, row.label});
  };
  for (const Constant& one : row.system.preset.constants) add("", one, slopes.of_system(one));
  for (const Constant& one : row.scheme.preset.constants) add(row.scheme.name + ": ", one, slopes.of_scheme(one));
  for (const Constant& one : row.reference.preset.constants)
    add(row.reference.name + ": ", one, slopes.of_reference(one));
  rank(results);
  return results;
}

}  // namespace moecarlo::hw
