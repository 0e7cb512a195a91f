#include "host/statistics/quantity.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "host/statistics/resample.hpp"

namespace moecarlo {
namespace {

constexpr double kNormal = 1.959963984540054;  // 97.5 % point
constexpr double kLeastFilled = 0.5;           // of the groups hold data, or there is no Monte Carlo interval
constexpr double kFewestFilled = 8;            // groups of sequences hold data, or there is no trace interval
constexpr double kSafety = 1.5;                // on the trajectories that would do, which are estimated themselves
constexpr double kOddsOfHalf = 2.7;            // one group in so many may be empty
constexpr double kOddsOfEmpty = 10'000;        // the same of replicate halves

/// Applies f to two quantities, with its derivatives by both at their values (the delta method for the influence).
template <class F>
Quantity combine(const Quantity& a, const Quantity& b, double by_a, double by_b, F f) {
  Quantity c;
  c.value = f(a.value, b.value);
  c.simulation = std::max(a.simulation, b.simulation);
  c.trace = std::max(a.trace, b.trace);
  c.filled = std::min(a.filled, b.filled);
  c.influence.resize(a.influence.size());
  for (std::size_t g = 0; g < c.influence.size(); ++g) c.influence[g] = by_a * a.influence[g] + by_b * b.influence[g];
  const auto pairwise = [&](const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> z(x.size());
    std::transform(x.begin(), x.end(), y.begin(), z.begin(), f);
    return z;
  };
  c.replicates = pairwise(a.replicates, b.replicates);
  c.halves = pairwise(a.halves, b.halves);
  return c;
}

double variance(const std::vector<double>& values) {
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  return sum / static_cast<double>(values.size() - 1);
}

/// What replicates show of the trace: the variance between them, and the part of it that is their own Monte Carlo
/// noise. weights: [replicates], sum 1.
struct Spread {
  double between = 0, noise = 0;

  Spread(const Quantity& quantity, const std::vector<double>& weights) {
    const auto count = static_cast<double>(weights.size());
    const double mean = std::inner_product(weights.begin(), weights.end(), quantity.replicates.begin(), 0.0);
    for (std::size_t r = 0; r < weights.size(); ++r) {
      const double squared_weight = weights[r] * weights[r] * count;
      between += squared_weight * std::pow(quantity.replicates[r] - mean, 2) * count / (count - 1);
      noise += squared_weight * std::pow(quantity.halves[2 * r] - quantity.halves[2 * r + 1], 2) / 4;
    }
  }
  /// Times the trajectories at which noise would be half of the variance; where the rest is not seen, as if it were the
  /// standard error of the variance.
  double factor(std::size_t replicates) const {
    const double rest = std::max(between - noise, between * std::sqrt(2 / static_cast<double>(replicates - 1)));
    return kSafety * noise / rest;
  }
};

/// Whether a deviation is nothing but rounding.
bool is_rounding(double deviation, double value) {
  return deviation <= 1e-12 * std::abs(value);
}

/// Times the trajectories that would leave groups empty only once in `odds` groups, where events fall into them by
/// chance and fill a share of them now.
double factor_to_fill(double share, double odds) {
  return share > 0 ? std::log(odds) / -std::log(std::max(1 - share, 1e-9)) : 0;
}

}  // namespace

Quantity operator/(const Quantity& a, const Quantity& b) {
  return combine(a, b, 1 / b.value, -a.value / (b.value * b.value), [](double x, double y) { return x / y; });
}

Quantity operator*(const Quantity& a, const Quantity& b) {
  return combine(a, b, b.value, a.value, [](double x, double y) { return x * y; });
}

Quantity operator-(const Quantity& a, const Quantity& b) {
  return combine(a, b, 1, -1, [](double x, double y) { return x - y; });
}

Quantity operator*(double factor, Quantity a) {
  a.value *= factor;
  for (auto* values : {&a.influence, &a.replicates, &a.halves}) {
    for (double& value : *values) value *= factor;
  }
  return a;
}

Quantity without_trace_error(Quantity a) {
  a.trace = Knowledge::exact;
  std::fill(a.replicates.begin(), a.replicates.end(), a.value);
  std::fill(a.halves.begin(), a.halves.end(), a.value);
  return a;
}

Quantity without_error(Quantity a) {
  a.simulation = Knowledge::exact;
  std::fill(a.influence.begin(), a.influence.end(), 0.0);
  return without_trace_error(std::move(a));
}

Replication Replication::of(const TallyShape& shape, const GroupLayout& layout) {
  Replication replication;
  if (layout.replicates == 0) return replication;
  const double even = 1 / static_cast<double>(layout.replicates), pooled = layout.populations * even;
  replication.weights.assign(layout.replicates, even);
  replication.scale = shape.subset > 0 ? pooled * shape.subset / (shape.sequences - shape.subset) : pooled;
  if (shape.population_starts.empty()) return replication;
  const double all = std::accumulate(shape.population_starts.begin(), shape.population_starts.end(), 0.0);
  std::fill(replication.weights.begin(), replication.weights.end(), 0);
  for (std::size_t p = 0; p < shape.population_starts.size(); ++p) {
    replication.weights[p % layout.replicates] += static_cast<double>(shape.population_starts[p]) / all;
  }
  replication.scale = even;
  return replication;
}

Sampling Sampling::random(const GroupLayout& layout, bool groups_filled, Replication replication) {
  Sampling sampling;
  sampling.layout_ = layout;
  sampling.groups_filled_ = groups_filled;
  sampling.replication_ = std::move(replication);
  return sampling;
}

Sampling Sampling::random(const GroupLayout& layout, bool groups_filled) {
  return random(layout, groups_filled, Replication::of({}, layout));
}

Sampling Sampling::exact(const GroupLayout& layout, bool resamples) {
  Sampling sampling;
  sampling.layout_ = layout;
  sampling.exact_ = true;
  if (!resamples) return sampling;
  sampling.resample_weights_ = resample_weights(layout.groups);
  return sampling;
}

Quantity Sampling::ratio(std::span<const double> numerator, std::span<const double> denominator) const {
  Quantity quantity;
  const std::size_t groups = layout_.groups;
  const double y = std::accumulate(numerator.begin(), numerator.begin() + static_cast<std::ptrdiff_t>(groups), 0.0);
  const double x = std::accumulate(denominator.begin(), denominator.begin() + static_cast<std::ptrdiff_t>(groups), 0.0);
  quantity.value = y / x;
  const auto filled = static_cast<double>(std::count_if(
      denominator.begin(), denominator.begin() + static_cast<std::ptrdiff_t>(groups), [](double d) { return d > 0; }));
  quantity.filled = filled / static_cast<double>(groups);
  quantity.influence.reserve(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    quantity.influence.push_back(static_cast<double>(groups) * (numerator[g] - quantity.value * denominator[g]) / x);
  }
  if (exact_) {
    quantity.simulation = Knowledge::exact;
    if (filled < kFewestFilled) quantity.trace = Knowledge::unknown;
    for (std::size_t first = 0; first < resample_weights_.size(); first += groups) {
      double resampled_y = 0;
      double resampled_x = 0;
      for (std::size_t g = 0; g < groups; ++g) {
        resampled_y += resample_weights_[first + g] * numerator[g];
        resampled_x += resample_weights_[first + g] * denominator[g];
      }
      quantity.replicates.push_back(resampled_x > 0 ? resampled_y / resampled_x : quantity.value);
    }
    return quantity;
  }
  quantity.replicates.reserve(layout_.replicates);
  quantity.halves.reserve(std::size_t{2} * layout_.replicates);
  for (std::size_t r = 0; r < layout_.replicates; ++r) {
    const std::size_t h = groups + 2 * r;
    quantity.replicates.push_back((numerator[h] + numerator[h + 1]) / (denominator[h] + denominator[h + 1]));
    quantity.halves.push_back(numerator[h] / denominator[h]);
    quantity.halves.push_back(numerator[h + 1] / denominator[h + 1]);
  }
  return quantity;
}

Margin Sampling::simulation_margin(const Quantity& quantity) const {
  if (quantity.simulation == Knowledge::exact) return Margin::exact();
  const auto groups = static_cast<double>(layout_.groups);
  if (quantity.filled < kLeastFilled) return Margin::unknown(factor_to_fill(quantity.filled, kOddsOfHalf));
  if (!groups_filled_ || quantity.simulation == Knowledge::unknown) return Margin::unknown();
  double squares = 0;
  for (const double u : quantity.influence) squares += u * u;
  const double width = student_t(groups * quantity.filled - 1) * std::sqrt(squares / (groups * (groups - 1)));
  return is_rounding(width, quantity.value) ? Margin::unknown() : Margin::estimated(width);
}

Margin Sampling::trace_margin(const Quantity& quantity) const {
  if (quantity.trace == Knowledge::exact) return Margin::exact();
  if (quantity.trace == Knowledge::unknown || quantity.replicates.size() < 2) return Margin::unknown();
  if (exact_) {
    const double width = kNormal * std::sqrt(variance(quantity.replicates));
    return is_rounding(width, quantity.value) ? Margin::unknown() : Margin::estimated(width);
  }
  const Spread spread(quantity, replication_.weights);
  if (!std::isfinite(spread.between) || !std::isfinite(spread.noise)) {  // a replicate has counted nothing
    const auto counted =
        std::count_if(quantity.halves.begin(), quantity.halves.end(), [](double half) { return std::isfinite(half); });
    const double share = static_cast<double>(counted) / static_cast<double>(quantity.halves.size());
    return Margin::unknown(factor_to_fill(share, kOddsOfEmpty));
  }
  if (is_rounding(std::sqrt(spread.between), quantity.value)) return Margin::unknown();
  if (spread.noise > spread.between / 2) return Margin::unknown(spread.factor(layout_.replicates));
  return Margin::estimated(student_t(layout_.replicates - 1) *
                           std::sqrt(replication_.scale * (spread.between - spread.noise)));
}

Estimate Sampling::estimate(const Quantity& quantity) const {
  if (!std::isfinite(quantity.value)) return {quantity.value, Margin::unknown(), Margin::unknown()};
  return {quantity.value, simulation_margin(quantity), trace_margin(quantity)};
}

double student_t(double degrees) {
  // Cornish-Fisher expansion around the normal point: Abramowitz and Stegun, 26.7.5. Exact to 1e-4 from 8 degrees on,
  // and no group layout of this project has fewer than 8 groups.
  const double x = kNormal;
  const double x2 = x * x;
  const double g1 = (x2 + 1) * x / 4;
  const double g2 = ((5 * x2 + 16) * x2 + 3) * x / 96;
  const double g3 = (((3 * x2 + 19) * x2 + 17) * x2 - 15) * x / 384;
  const double g4 = ((((79 * x2 + 776) * x2 + 1482) * x2 - 1920) * x2 - 945) * x / 92160;
  return x + g1 / degrees + g2 / (degrees * degrees) + g3 / std::pow(degrees, 3) + g4 / std::pow(degrees, 4);
}

}  // namespace moecarlo
