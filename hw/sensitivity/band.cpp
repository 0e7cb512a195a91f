#include "hw/sensitivity/band.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double kFactor = 2;  // either way, where a preset states no range

/// An assumed constant and where it may lie.
struct Assumption {
  const OwnedConstant* owned = nullptr;
  double low = 0, high = 0;

  double at(double quantile) const {
    const double value = low * std::pow(high / low, quantile);
    return is_whole(*owned->constant) ? std::round(value) : value;
  }
  Move move(double value) const { return {owned->owner, owned->constant->key, value}; }
};

/// Rates of both sides.
struct Rates {
  LogRates own;
  std::optional<LogRates> reference;
};

void widen(ValueRange& range, double value) {
  range.low = std::min(range.low, value);
  range.high = std::max(range.high, value);
}

class Band {
 public:
  explicit Band(RowSides& sides) : sides_(sides) {
    const Rates here = *rates({});
    const double speed = std::exp(here.own.speed);
    band_.tokens_per_second = band_.alone = {speed, speed};
    const double joules = 1e3 * std::exp(here.own.energy);
    band_.energy_mj_per_token = {joules, joules};
    if (here.reference) {
      const double faster = std::exp(here.own.speed - here.reference->speed);
      const double cheaper = std::exp(here.reference->energy - here.own.energy);
      band_.speedup = ValueRange{faster, faster};
      band_.energy_gain = ValueRange{cheaper, cheaper};
    }
  }

  AssumptionBand taken() {
    move_alone();
    move_together();
    band_.constants = static_cast<std::uint32_t>(assumptions_.size());
    return band_;
  }

 private:
  /// Nothing where it is not possible, or would need a capacity that was not counted.
  std::optional<Rates> rates(const std::vector<Move>& moves) {
    try {
      const RowSides::Outcomes outcomes = sides_.at(moves);
      const auto own = with_cache(sides_.own(), outcomes.own);
      if (!own) return std::nullopt;
      if (!sides_.reference()) return Rates{*own, {}};
      const auto reference = with_cache(*sides_.reference(), outcomes.reference);
      return reference ? std::optional(Rates{*own, *reference}) : std::nullopt;
    } catch (const Error&) {
      return std::nullopt;
    }
  }

  static std::optional<LogRates> with_cache(CountedSide& side, const Outcome& outcome) {
    if (outcome.capacity == side.outcome().capacity) return outcome.rates;
    const auto& cache = side.of_cache();
    if (!cache) return std::nullopt;
    const double room = std::clamp(outcome.room, cache->smallest, cache->largest);
    const double own = std::clamp(side.outcome().room, cache->smallest, cache->largest);
    return outcome.rates + (room - own) * cache->per_expert;
  }

  void widen_all(const Rates& rates) {
    widen(band_.tokens_per_second, std::exp(rates.own.speed));
    widen(band_.energy_mj_per_token, 1e3 * std::exp(rates.own.energy));
    if (!rates.reference) return;
    widen(*band_.speedup, std::exp(rates.own.speed - rates.reference->speed));
    widen(*band_.energy_gain, std::exp(rates.reference->energy - rates.own.energy));
  }

  static Assumption range_of(const OwnedConstant& owned) {
    const Constant& constant = *owned.constant;
    if (constant.range) return {&owned, constant.range->first, constant.range->second};
    double low = constant.value / kFactor, high = constant.value * kFactor;
    if (constant.unit == "share") high = std::min(high, 1.0);
    if (is_whole(constant)) low = std::max(1.0, std::round(low));
    return {&owned, low, high};
  }

  void move_alone() {
    double widest = 0;
    for (const OwnedConstant& owned : sides_.constants()) {
      const Constant& constant = *owned.constant;
      if (constant.status != "assumed" || is_yes_or_no(constant)) continue;
      Assumption assumption = range_of(owned);
      if (!(assumption.low > 0)) continue;
      double low = constant.value, high = constant.value;
      ValueRange alone = {std::exp(sides_.own().outcome().rates.speed), std::exp(sides_.own().outcome().rates.speed)};
      for (const double end : {assumption.low, assumption.high}) {
        const auto moved = rates({assumption.move(end)});
        if (!moved) continue;
        (end < constant.value ? low : high) = end;
        widen_all(*moved);
        widen(alone, std::exp(moved->own.speed));
      }
      if (low == high) continue;
      assumption.low = low;
      assumption.high = high;
      assumptions_.push_back(assumption);
      widen(band_.alone, alone.low);
      widen(band_.alone, alone.high);
      if (std::log(alone.high / alone.low) <= widest) continue;
      widest = std::log(alone.high / alone.low);
      band_.widest = owned.name;
    }
  }

  /// A Latin hypercube: each constant takes each of as many equal parts of its range once.
  void move_together() {
    if (assumptions_.empty()) return;
    std::mt19937 random(1);
    const auto uniform = [&] { return (random() + 0.5) / 4294967296.0; };
    std::vector<std::vector<double>> quantiles;
    for (std::size_t a = 0; a < assumptions_.size(); ++a) {
      std::vector<double>& own = quantiles.emplace_back(kBandDraws);
      for (std::uint32_t d = 0; d < kBandDraws; ++d) own[d] = (d + uniform()) / kBandDraws;
      for (std::uint32_t d = kBandDraws - 1; d > 0; --d) std::swap(own[d], own[random() % (d + 1)]);
    }
    std::vector<Move> moves(assumptions_.size());
    for (std::uint32_t d = 0; d < kBandDraws; ++d) {
      for (std::size_t a = 0; a < assumptions_.size(); ++a)
        moves[a] = assumptions_[a].move(assumptions_[a].at(quantiles[a][d]));
      if (const auto moved = rates(moves)) widen_all(*moved);
    }
  }

  RowSides& sides_;
  AssumptionBand band_;
  std::vector<Assumption> assumptions_;
};

}  // namespace

AssumptionBand assumption_band(const SensitivityRow& row, const Model& model, const Context& context) {
  RowSides sides(row, model, context);
  return Band(sides).taken();
}

}  // namespace moecarlo::hw
