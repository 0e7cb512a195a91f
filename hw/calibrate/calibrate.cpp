#include "hw/calibrate/calibrate.hpp"

#include <algorithm>
#include <cmath>

#include "host/support/error.hpp"
#include "hw/calibrate/predict.hpp"

namespace moecarlo::hw {
namespace {

void check_point(const CalibrationSetup& setup, const MeasuredPoint& point) {
  if (point.depth > 0 && !setup.drafter)
    fail(ErrorKind::usage, "{}: depth {}: drafts of no scheme (expected one that drafts, or depth 0)", point.place,
         point.depth);
  if (point.depth > 0 && !point.counted && !point.accepted_length && point.quantity == "tokens_per_second")
    fail(ErrorKind::usage, "{}: depth {} without an accepted_length (expected one, or a study with a trace)",
         point.place, point.depth);
  const bool some = point.capacity > 0 && point.capacity < setup.model.experts;
  if (some && !point.counted && !point.hit_rate && point.policy != "static")
    fail(ErrorKind::usage,
         "{}: policy {} without a hit_rate (expected one, a study with a trace, or the policy static)", point.place,
         point.policy);
}

void check(const CalibrationSetup& setup, const std::vector<MeasuredPoint>& points) {
  const auto to_fit = std::count_if(points.begin(), points.end(), [](const auto& point) { return point.fits; });
  const std::size_t most = std::min(kMostFitted, static_cast<std::size_t>(to_fit));
  if (setup.fits.size() > most)
    fail(ErrorKind::usage, "calibrate: {} constants to fit (expected at most {}: three, and no more than fit points)",
         setup.fits.size(), most);
  for (const MeasuredPoint& point : points) check_point(setup, point);
  const bool traced =
      std::all_of(points.begin(), points.end(), [](const MeasuredPoint& point) { return point.counted != nullptr; });
  if (traced && std::find(setup.fits.begin(), setup.fits.end(), kRoutingZipf) != setup.fits.end())
    fail(ErrorKind::usage, "calibrate: {} has no effect where a trace says what is routed (expected other constants)",
         kRoutingZipf);
}

/// Constants as numbers that may be anything: logarithms, from 1 of its unit where a constant is 0.
class Fit {
 public:
  Fit(const CalibrationSetup& setup, std::vector<MeasuredPoint> points)
      : setup_(setup), points_(std::move(points)), start_(setup.fits.size()) {
    for (std::size_t i = 0; i < start_.size(); ++i) {
      const double value = value_of(setup.fits[i]);
      start_[i] = value > 0 ? std::log(value) : 0;
    }
  }

  /// Least squares by damped Gauss-Newton steps; the numbers.
  std::vector<double> solve() const {
    constexpr int most_steps = 200;
    std::vector<double> at = start_;
    double damping = 1e-3, sum = squares(residuals(at));
    for (int step = 0; step < most_steps && !at.empty(); ++step) {
      const std::vector<double> change = step_from(at, damping);
      std::vector<double> next = at;
      for (std::size_t i = 0; i < at.size(); ++i) next[i] += std::clamp(change[i], -1.0, 1.0);
      const double next_sum = squares(residuals(next));
      if (next_sum < sum) {
        const bool done = sum - next_sum < 1e-14 * (sum + 1e-14);
        at = next;
        sum = next_sum;
        damping = std::max(damping / 5, 1e-12);
        if (done) break;
      } else if ((damping *= 5) > 1e9) {
        break;
      }
    }
    return at;
  }

  Settings settings(const std::vector<double>& at) const {
    Preset preset = setup_.system;
    double zipf = setup_.zipf;
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (setup_.fits[i] == kRoutingZipf) {
        zipf = std::exp(at[i]);
      } else {
        preset = with_value(std::move(preset), setup_.fits[i], bounded(setup_.fits[i], std::exp(at[i])));
      }
    }
    return {make_system(preset), zipf};
  }

  double value(const std::vector<double>& at, std::size_t i) const {
    return setup_.fits[i] == kRoutingZipf ? std::exp(at[i]) : bounded(setup_.fits[i], std::exp(at[i]));
  }

  const Constant* constant(const std::string& key) const {
    const auto& all = setup_.system.constants;
    const auto found = std::find_if(all.begin(), all.end(), [&](const Constant& one) { return one.key == key; });
    return found == all.end() ? nullptr : &*found;
  }

 private:
  double value_of(const std::string& key) const {
    if (key == kRoutingZipf) return setup_.zipf;
    const Constant* const found = constant(key);
    if (found == nullptr)
      fail(ErrorKind::usage, "calibrate: {} has no constant '{}' (expected one of its own, or {})", setup_.system.name,
           key, kRoutingZipf);
    return found->value;
  }

  double bounded(const std::string& key, double value) const {
    return constant(key)->unit == "share" ? std::min(value, 1.0) : value;
  }

  std::vector<double> residuals(const std::vector<double>& at) const {
    const Settings settings_here = settings(at);
    std::vector<double> off;
    for (const MeasuredPoint& point : points_) {
      off.push_back(std::log(predict(settings_here, setup_, point) / point.value));
    }
    return off;
  }

  static double squares(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value * value;
    return sum;
  }

  /// Solves (J'J + damping) change = -J'r for at most three unknowns by elimination.
  std::vector<double> step_from(const std::vector<double>& at, double damping) const {
    constexpr double h = 1e-5;
    const std::size_t n = at.size();
    const std::vector<double> here = residuals(at);
    std::vector<std::vector<double>> slopes(n);
    for (std::size_t i = 0; i < n; ++i) {
      std::vector<double> moved = at;
      moved[i] += h;
      slopes[i] = residuals(moved);
      for (std::size_t p = 0; p < here.size(); ++p) slopes[i][p] = (slopes[i][p] - here[p]) / h;
    }
    std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1, 0));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t p = 0; p < here.size(); ++p) {
        for (std::size_t j = 0; j < n; ++j) rows[i][j] += slopes[i][p] * slopes[j][p];
        rows[i][n] -= slopes[i][p] * here[p];
      }
      rows[i][i] = rows[i][i] * (1 + damping) + 1e-15;
    }
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = i + 1; k < n; ++k) {
        const double factor = rows[k][i] / rows[i][i];
        for (std::size_t j = i; j <= n; ++j) rows[k][j] -= factor * rows[i][j];
      }
    }
    std::vector<double> change(n);
    for (std::size_t i = n; i-- > 0;) {
      change[i] = rows[i][n];
      for (std::size_t j = i + 1; j < n; ++j) change[i] -= rows[i][j] * change[j];
      change[i] /= rows[i][i];
    }
    return change;
  }

  const CalibrationSetup& setup_;
  std::vector<MeasuredPoint> points_;
  std::vector<double> start_;
};

std::string verdict_of(const CalibratedPoint& point, double tolerance) {
  const double off = std::abs(point.ours / point.measured.value - 1);
  const double band = (point.high - point.low) / 2 / point.ours;
  const double unsure = std::hypot(band, point.measured.uncertainty);
  if (off - unsure > tolerance) return "fail";
  return off <= tolerance && unsure <= tolerance ? "pass" : "not sure";
}

std::vector<MeasuredPoint> fit_points(const std::vector<MeasuredPoint>& points) {
  std::vector<MeasuredPoint> fits;
  std::copy_if(points.begin(), points.end(), std::back_inserter(fits), [](const auto& point) { return point.fits; });
  return fits;
}

/// Each fit point in turn moved up by its uncertainty: what is fitted then.
std::vector<std::pair<Fit, std::vector<double>>> moved_fits(const CalibrationSetup& setup,
                                                            const std::vector<MeasuredPoint>& fits) {
  std::vector<std::pair<Fit, std::vector<double>>> moved;
  for (std::size_t i = 0; i < fits.size() && !setup.fits.empty(); ++i) {
    std::vector<MeasuredPoint> others = fits;
    others[i].value *= 1 + others[i].uncertainty;
    Fit fit(setup, others);
    const std::vector<double> solved = fit.solve();
    moved.emplace_back(std::move(fit), solved);
  }
  return moved;
}

}  // namespace

Calibration calibrate(const CalibrationSetup& setup, const std::vector<MeasuredPoint>& points) {
  check(setup, points);
  const std::vector<MeasuredPoint> fits = fit_points(points);
  const Fit fit(setup, fits);
  const std::vector<double> solved = fit.solve();
  const auto moved = moved_fits(setup, fits);
  const Settings settings = fit.settings(solved);
  Calibration result;
  result.preset = settings.system.preset;
  result.zipf = settings.zipf;
  const auto band = [&](const auto& figure, double here) {
    double sum = 0;
    for (const auto& [other, at] : moved) sum += std::pow(std::log(figure(other, at) / here), 2);
    return std::exp(std::sqrt(sum));
  };
  for (std::size_t i = 0; i < setup.fits.size(); ++i) {
    const double value = fit.value(solved, i);
    const double factor = band([&](const Fit& other, const auto& at) { return other.value(at, i); }, value);
    const Constant* const constant = fit.constant(setup.fits[i]);
    result.fitted.push_back(
        {setup.fits[i], constant == nullptr ? "count" : constant->unit, value, value / factor, value * factor});
  }
  for (const MeasuredPoint& point : points) {
    CalibratedPoint own{point, predict(settings, setup, point), 0, 0, {}, ""};
    const double factor =
        band([&](const Fit& other, const auto& at) { return predict(other.settings(at), setup, point); }, own.ours);
    own.low = own.ours / factor;
    own.high = own.ours * factor;
    if (!point.fits) {
      own.verdict = verdict_of(own, setup.tolerance);
    } else if (fits.size() > setup.fits.size()) {
      std::vector<MeasuredPoint> others = fits;
      others.erase(std::find_if(others.begin(), others.end(),
                                [&](const MeasuredPoint& one) { return one.place == point.place; }));
      const Fit without(setup, others);
      own.left_out = predict(without.settings(without.solve()), setup, point);
    }
    result.points.push_back(own);
  }
  return result;
}

}  // namespace moecarlo::hw
