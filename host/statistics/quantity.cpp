#include "host/statistics/quantity.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/statistics/resample.hpp"

namespace moecarlo {
namespace {

constexpr double kNormal = 1.959963984540054;  // 97.5 % point

/// Applies f to two quantities, with its derivatives by both at their values (the delta method for the influence).
template <class F>
Quantity combine(const Quantity& a, const Quantity& b, double by_a, double by_b, F f) {
  Quantity c;
  c.value = f(a.value, b.value);
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

/// The variance between sequences that the replicates show, their own Monte Carlo noise taken out. None where that
/// noise is more than half of it.
std::optional<double> trace_variance(const Quantity& quantity, double populations_per_replicate) {
  const double between = variance(quantity.replicates);
  double noise = 0;
  for (std::size_t r = 0; r < quantity.replicates.size(); ++r) {
    const double difference = quantity.halves[2 * r] - quantity.halves[2 * r + 1];
    noise += difference * difference / 4;
  }
  noise /= static_cast<double>(quantity.replicates.size());
  if (std::sqrt(between) <= 1e-12 * std::abs(quantity.value)) return 0.0;  // rounding
  if (!std::isfinite(between) || !std::isfinite(noise) || noise > between / 2) return std::nullopt;
  return populations_per_replicate * (between - noise);
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
  std::fill(a.replicates.begin(), a.replicates.end(), a.value);
  std::fill(a.halves.begin(), a.halves.end(), a.value);
  return a;
}

Sampling Sampling::random(const GroupLayout& layout, bool groups_filled) {
  Sampling sampling;
  sampling.layout_ = layout;
  sampling.groups_filled_ = groups_filled;
  return sampling;
}

Sampling Sampling::exact(const GroupLayout& layout, bool groups_suffice) {
  Sampling sampling;
  sampling.layout_ = layout;
  sampling.exact_ = true;
  if (!groups_suffice) return sampling;
  sampling.resample_weights_ = resample_weights(layout.groups);
  return sampling;
}

Quantity Sampling::ratio(std::span<const double> numerator, std::span<const double> denominator) const {
  Quantity quantity;
  const std::size_t groups = layout_.groups;
  const double y = std::accumulate(numerator.begin(), numerator.begin() + static_cast<std::ptrdiff_t>(groups), 0.0);
  const double x = std::accumulate(denominator.begin(), denominator.begin() + static_cast<std::ptrdiff_t>(groups), 0.0);
  quantity.value = y / x;
  quantity.influence.reserve(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    quantity.influence.push_back(static_cast<double>(groups) * (numerator[g] - quantity.value * denominator[g]) / x);
  }
  if (exact_) {
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

Estimate Sampling::estimate(const Quantity& quantity) const {
  // What differs by rounding only is exact.
  const auto rounded = [&](double width) { return width < 1e-12 * std::abs(quantity.value) ? 0.0 : width; };
  Estimate estimate;
  estimate.value = quantity.value;
  if (exact_) {
    estimate.mc_half_width = 0;
    if (!quantity.replicates.empty()) {
      estimate.trace_half_width = rounded(kNormal * std::sqrt(variance(quantity.replicates)));
    }
    return estimate;
  }
  const auto groups = static_cast<double>(layout_.groups);
  if (groups_filled_) {
    double squares = 0;
    for (const double u : quantity.influence) squares += u * u;
    estimate.mc_half_width = rounded(student_t(groups - 1) * std::sqrt(squares / (groups * (groups - 1))));
  }
  if (layout_.replicates > 1) {
    const double pooled = static_cast<double>(layout_.populations) / layout_.replicates;
    if (const auto trace = trace_variance(quantity, pooled)) {
      estimate.trace_half_width = rounded(student_t(layout_.replicates - 1) * std::sqrt(*trace));
    }
  }
  return estimate;
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
