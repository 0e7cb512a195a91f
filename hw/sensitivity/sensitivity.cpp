#include "hw/sensitivity/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double kStep = 0.01;

/// Whose a constant is.
enum class Owner { system, scheme, model, reference };

/// A value of a constant, and what comes of both sides there; or why it is not possible.
struct At {
  double value = 0;
  Outcome own{}, reference{};
  std::string refusal{};

  bool possible() const { return refusal.empty(); }
};

/// Slopes of both sides' logarithms, or none; how they were taken, or why not.
struct Slopes {
  std::optional<LogRates> own, reference;
  std::string method;
};

bool is_whole(const Constant& constant) {
  return constant.unit == "count" || constant.unit == "bit";
}

bool is_yes_or_no(const Constant& constant) {
  const std::string_view name = "works_beside";
  return constant.key.size() > name.size() && constant.key.substr(constant.key.size() - name.size()) == name;
}

/// The next values below and above that a constant can have.
std::pair<double, double> values_beside(const Constant& constant) {
  if (is_whole(constant)) return {std::max(1.0, constant.value - 1), constant.value + 1};
  const double up = constant.value * (1 + kStep);
  return {constant.value * (1 - kStep), constant.unit == "share" ? std::min(1.0, up) : up};
}

Setting changed(Setting setting, Owner owner, const Constant& constant, double value) {
  const auto preset = [&](const Preset& own) { return with_value(own, constant.key, value); };
  if (owner == Owner::scheme) {
    setting.scheme = with_constants(setting.scheme, preset(setting.scheme.preset));
  } else if (owner == Owner::model) {
    setting.model = make_model(preset(setting.model.preset));
  } else {
    setting.system = make_system(preset(setting.system.preset));
  }
  return setting;
}

class RowSensitivity {
 public:
  RowSensitivity(const SensitivityRow& row, const Model& model, std::uint32_t context)
      : own_(row.own, model, context),
        one_system_(row.reference && row.own.system.preset.file == row.reference->system.preset.file) {
    if (row.reference) reference_.emplace(*row.reference, model, context);
  }

  /// Row and reference run on the same system, whose constants move both.
  bool one_system() const { return one_system_; }

  Slopes of(Owner owner, const Constant& constant) {
    if (is_yes_or_no(constant)) return {{}, {}, "not taken: yes or no, not a quantity"};
    if (constant.value == 0) return {{}, {}, "not taken: 0, of which there is no per cent"};
    const auto [below, above] = values_beside(constant);
    const At here = unchanged(constant.value);
    const At low = at(owner, constant, below), high = at(owner, constant, above);
    const bool has_low = below < here.value && low.possible(), has_high = above > here.value && high.possible();
    if (!has_low && !has_high) return {{}, {}, "not taken: " + (below < here.value ? low : high).refusal};
    const char* side = has_low && has_high ? "either way" : has_low ? "down only" : "up only";
    return between(has_low ? low : here, has_high ? high : here,
                   fmt::format("{} {}", is_whole(constant) ? "one step" : "1 %", side));
  }

 private:
  At unchanged(double value) const {
    return {value, own_.outcome(), reference_ ? reference_->outcome() : Outcome{}, {}};
  }

  At at(Owner owner, const Constant& constant, double value) const {
    At at = unchanged(value);
    const bool of_both = owner == Owner::model || (owner == Owner::system && one_system_);
    try {
      if (owner != Owner::reference) at.own = own_.at(changed(own_.setting(), owner, constant, value));
      if (reference_ && (owner == Owner::reference || of_both))
        at.reference = reference_->at(changed(reference_->setting(), owner, constant, value));
    } catch (const Error& error) {
      at.refusal = error.what();
    }
    return at;
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
      slopes.method = fmt::format("{}; {}", cache->between, step);
      return held + (to.room - from.room) / width * cache->per_expert;
    };
    slopes.own = slope(own_, low.own, high.own);
    if (reference_) slopes.reference = slope(*reference_, low.reference, high.reference);
    if (slopes.own && slopes.reference.has_value() == reference_.has_value()) return slopes;
    return {
        {},
        {},
        "not counted: no other capacity was, and it changes how many experts are cached; [hardware.vary] with factors "
        "[0.9, 1.1] on a capacity counts two"};
  }

  CountedSide own_;
  std::optional<CountedSide> reference_;
  bool one_system_;
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

std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, std::uint32_t context) {
  RowSensitivity slopes(row, model, context);
  std::vector<SensitivityResult> results;
  const auto add = [&](Owner owner, const std::string& prefix, const Preset& preset) {
    for (const Constant& constant : preset.constants) {
      const Slopes taken = slopes.of(owner, constant);
      SensitivityResult& result = results.emplace_back();
      result.constant = prefix + constant.key;
      result.status = constant.status;
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
  };
  add(Owner::system, "", row.own.system.preset);
  add(Owner::scheme, row.own.scheme.name + ": ", row.own.scheme.preset);
  add(Owner::model, model.preset.name + ": ", model.preset);
  if (row.reference && !slopes.one_system())
    add(Owner::reference, row.reference->system.name + ": ", row.reference->system.preset);
  rank(results);
  return results;
}

}  // namespace moecarlo::hw
