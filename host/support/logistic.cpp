#include "host/support/logistic.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr int most_iterations = 100;
constexpr double tolerance = 1e-12;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

struct Points {
  std::span<const double> x, p, weight;
  std::size_t size() const { return x.size(); }
};

void check(const Points& points) {
  if (points.p.size() != points.size() || points.weight.size() != points.size()) {
    fail(ErrorKind::input, "logistic fit: unequal lengths (found {} x, {} responses and {} weights)", points.size(),
         points.p.size(), points.weight.size());
  }
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double p = points.p[i];
    const double weight = points.weight[i];
    if (std::isfinite(points.x[i]) && p >= 0 && p <= 1 && std::isfinite(weight) && weight >= 0) continue;
    fail(ErrorKind::input,
         "logistic fit: value out of range at point {} (expected finite x, response 0 to 1, weight >= 0, found {}, {} "
         "and {})",
         i, points.x[i], p, weight);
  }
}

// Smallest and largest x seen.
struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void add(double x) {
    low = std::min(low, x);
    high = std::max(high, x);
  }
};

// A fractional response is a success and a failure at the same x. The maximum is finite just where successes and
// failures overlap.
void expect_finite_maximum(const Points& points) {
  Range all, successes, failures;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points.weight[i] == 0) continue;
    all.add(points.x[i]);
    if (points.p[i] > 0) successes.add(points.x[i]);
    if (points.p[i] < 1) failures.add(points.x[i]);
  }
  if (!(all.low < all.high)) {
    fail(ErrorKind::input, "logistic fit: no slope (expected two different x of positive weight, found {})",
         all.low == all.high ? "one" : "none");
  }
  if (failures.high <= successes.low || successes.high <= failures.low) {
    fail(ErrorKind::input,
         "logistic fit: the data are separable: a threshold on x parts the responses above 0 (x from {} to {}) from "
         "those below 1 (x from {} to {}), so no finite coefficients fit best",
         successes.low, successes.high, failures.low, failures.high);
  }
}

// log(1 + exp(eta)) without overflow.
double softplus(double eta) {
  return std::max(eta, 0.0) + std::log1p(std::exp(-std::abs(eta)));
}
double entropy_term(double p) {
  return p > 0 ? p * std::log(p) : 0;
}
double logistic(double eta) {
  return 1 / (1 + std::exp(-eta));
}

// Coefficients on the standardised (x - centre) / scale, in which the normal equations are well conditioned.
struct Line {
  double centre = 0, scale = 1, c0 = 0, c1 = 0;
  double z(double x) const { return (x - centre) / scale; }
  double at(double x) const { return c0 + c1 * z(x); }
};

// log P = -softplus(-eta), log(1 - P) = -softplus(eta).
double deviance(const Points& points, const Line& line) {
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double p = points.p[i];
    const double eta = line.at(points.x[i]);
    const double best = entropy_term(p) + entropy_term(1 - p);
    sum += points.weight[i] * (best + p * softplus(-eta) + (1 - p) * softplus(eta));
  }
  return 2 * std::max(sum, 0.0);
}

// X' W X and the score X' w (p - P) at a line.
struct Normal {
  double a00 = 0, a01 = 0, a11 = 0, g0 = 0, g1 = 0, pearson = 0;
  double determinant() const { return a00 * a11 - a01 * a01; }
};

Normal normal_equations(const Points& points, const Line& line) {
  Normal sum;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points.weight[i] == 0) continue;
    const double z = line.z(points.x[i]);
    const double mean = logistic(line.at(points.x[i]));
    const double variance = mean * (1 - mean);
    const double w = points.weight[i] * variance;
    const double residual = points.p[i] - mean;
    sum.a00 += w;
    sum.a01 += w * z;
    sum.a11 += w * z * z;
    sum.g0 += points.weight[i] * residual;
    sum.g1 += points.weight[i] * residual * z;
    if (variance > 0) sum.pearson += points.weight[i] * residual * residual / variance;
  }
  return sum;
}

// The weighted mean and spread of x, and the line of the mean response.
Line start_line(const Points& points) {
  double total = 0, mean_x = 0, mean_p = 0, square = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    total += points.weight[i];
    mean_x += points.weight[i] * points.x[i];
    mean_p += points.weight[i] * points.p[i];
  }
  mean_x /= total;
  mean_p /= total;
  for (std::size_t i = 0; i < points.size(); ++i) {
    square += points.weight[i] * (points.x[i] - mean_x) * (points.x[i] - mean_x);
  }
  return {mean_x, std::sqrt(square / total), std::log(mean_p / (1 - mean_p)), 0};
}

// One Newton step, halved until it does not raise the deviance. True when it moved nothing any more.
bool step(const Points& points, Line& line) {
  const Normal normal = normal_equations(points, line);
  double d0 = (normal.a11 * normal.g0 - normal.a01 * normal.g1) / normal.determinant();
  double d1 = (normal.a00 * normal.g1 - normal.a01 * normal.g0) / normal.determinant();
  const auto small = [](double change, double value) { return std::abs(change) <= tolerance * (1 + std::abs(value)); };
  if (small(d0, line.c0) && small(d1, line.c1)) {
    line.c0 += d0;
    line.c1 += d1;
    return true;
  }
  const double before = deviance(points, line);
  Line next = line;
  for (int halving = 0; halving < 40; ++halving, d0 /= 2, d1 /= 2) {
    next.c0 = line.c0 + d0;
    next.c1 = line.c1 + d1;
    if (deviance(points, next) <= before * (1 + tolerance)) break;
  }
  line = next;
  return false;
}

void enter_errors(const Points& points, const Line& line, LogisticFit& fit) {
  const auto used =
      points.size() - static_cast<std::size_t>(std::count(points.weight.begin(), points.weight.end(), 0.0));
  const Normal normal = normal_equations(points, line);
  fit.dispersion = used > 2 ? normal.pearson / static_cast<double>(used - 2) : nan;
  const double factor = fit.dispersion / normal.determinant();
  const double v00 = normal.a11 * factor;
  const double v01 = -normal.a01 * factor;
  const double v11 = normal.a00 * factor;
  const double t = line.centre / line.scale;  // b0 = c0 - t c1, b1 = c1 / scale
  fit.b0_error = std::sqrt(v00 - 2 * t * v01 + t * t * v11);
  fit.b1_error = std::sqrt(v11) / line.scale;
}

}  // namespace

LogisticFit fit_logistic(std::span<const double> x, std::span<const double> p, std::span<const double> weight) {
  const Points points{x, p, weight};
  check(points);
  expect_finite_maximum(points);
  Line line = start_line(points);
  LogisticFit fit;
  fit.null_deviance = deviance(points, line);
  while (fit.iterations < most_iterations && !fit.converged) {
    fit.converged = step(points, line);
    ++fit.iterations;
  }
  fit.b1 = line.c1 / line.scale;
  fit.b0 = line.c0 - line.c1 * line.centre / line.scale;
  fit.deviance = deviance(points, line);
  enter_errors(points, line, fit);
  return fit;
}

}  // namespace moecarlo
