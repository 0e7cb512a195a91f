#include "hw/sensitivity/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double kStep = 0.01;

/// A value of a constant, and what comes of both sides there; or why it is not possible.
struct At {
  double value = 0;
  RowSides::Outcomes outcomes{};
  std::string refusal{};

  bool possible() const { return refusal.empty(); }
};

/// Slopes of both sides' logarithms, or none; how they were taken, or why not.
struct Slopes {
  std::optional<LogRates> own, reference;
  std::string method;
};

/// The next values below and above that a constant can have.
std::pair<double, double> values_beside(const Constant& constant) {
  if (is_whole(constant)) return {std::max(1.0, constant.value - 1), constant.value + 1};
  const double up = constant.value * (1 + kStep);
  return {constant.value * (1 - kStep), constant.unit == "share" ? std::min(1.0, up) : up};
}

class RowSensitivity {
 public:
  explicit RowSensitivity(RowSides& sides) : sides_(sides) {}

  Slopes of(const OwnedConstant& owned) {
    const Constant& constant = *owned.constant;
    if (is_yes_or_no(constant)) return {{}, {}, "not taken: yes or no, not a quantity"};
    if (constant.value == 0) return {{}, {}, "not taken: 0, of which there is no per cent"};
    const auto [below, above] = values_beside(constant);
    const At here = unchanged(constant.value);
    const At low = at(owned, below), high = at(owned, above);
    const bool has_low = below < here.value && low.possible(), has_high = above > here.value && high.possible();
    if (!has_low && !has_high) return {{}, {}, "not taken: " + (below < here.value ? low : high).refusal};
    const char* side = has_low && has_high ? "either way" : has_low ? "down only" : "up only";
    return between(has_low ? low : here, has_high ? high : here,
                   fmt::format("{} {}", is_whole(constant) ? "one step" : "1 %", side));
  }

 private:
  At unchanged(double value) const {
    return {value, {sides_.own().outcome(), sides_.reference() ? sides_.reference()->outcome() : Outcome{}}, {}};
  }

  At at(const OwnedConstant& owned, double value) const {
    try {
      const Move move{owned.owner, owned.constant->key, value};
      return {value, sides_.at({&move, 1}), {}};
    } catch (const Error& error) {
      At refused = unchanged(value);
      refused.refusal = error.what();
      return refused;
    }
  }

  Slopes between(const At& low, const At& high, const std::string& step) {
    const double width = std::log(high.value) - std::log(low.value);
    Slopes slopes{{}, {}, step};
    const auto slope = [&](CountedSide& side, const Outcome& from, const Outcome& to) -> std::optional<LogRates> {
      const LogRates held = (1 / width) * (to.rates - from.rates);
      const Capacity capacity = side.outcome().capacity;
      if (from.capacity == capacity && to.capacity == capacity) return held;
      const auto& cache = side.of_cache();
      if (!cache) return std::nullopt;
      slopes.method = fmt::format("between the counted {:.3f} and {:.3f} experts a layer; {}", cache->smallest,
                                  cache->largest, step);
      return held + (to.room - from.room) / width * cache->per_expert;
    };
    slopes.own = slope(sides_.own(), low.outcomes.own, high.outcomes.own);
    auto& reference = sides_.reference();
    if (reference) slopes.reference = slope(*reference, low.outcomes.reference, high.outcomes.reference);
    if (slopes.own && slopes.reference.has_value() == reference.has_value()) return slopes;
    return {
        {},
        {},
        "not counted: no other capacity was, and it changes how many experts are cached; [hardware.vary] with factors "
        "[0.9, 1.1] on a capacity counts two"};
  }

  RowSides& sides_;
};

/// By the speed-up, or the speed alone where it is relative to nothing.
void rank(std::vector<SensitivityResult>& results) {
  const auto size = [](const SensitivityResult& taken) {
    const auto& elasticity = taken.elasticity ? taken.elasticity : taken.speed_elasticity;
    return elasticity ? std::abs(*elasticity) : -1;
  };
  std::sort(results.begin(), results.end(), [&](const SensitivityResult& a, const SensitivityResult& b) {
    return size(a) != size(b) ? size(a) > size(b) : a.constant < b.constant;
  });
}

}  // namespace

std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, const Context& context) {
  RowSides sides(row, model, context);
  RowSensitivity slopes(sides);
  std::vector<SensitivityResult> results;
  for (const OwnedConstant& owned : sides.constants()) {
    const Slopes taken = slopes.of(owned);
    SensitivityResult& result = results.emplace_back();
    result.constant = owned.name;
    result.status = owned.constant->status;
    result.method = taken.method;
    result.row = row.label;
    if (!taken.own) continue;
    result.speed_elasticity = taken.own->speed;
    result.energy_elasticity = taken.own->energy;
    if (!taken.reference) continue;
    const LogRates ratio = *taken.own - *taken.reference;
    result.elasticity = ratio.speed;
    result.energy_gain_elasticity = 0 - ratio.energy;
  }
  rank(results);
  return results;
}

}  // namespace moecarlo::hw
