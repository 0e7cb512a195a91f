#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hw/calibrate/measured.hpp"
#include "hw/machine/system.hpp"
#include "hw/model/model.hpp"
#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// The routing where no trace is given: experts are chosen in proportion to i^-exponent.
constexpr const char* kRoutingZipf = "routing.zipf";

/// The most constants that are fitted, never more than there are points to fit.
constexpr std::size_t kMostFitted = 3;

/// What predictions start from.
struct CalibrationSetup {
  Preset system;  ///< of the machine
  Model model;
  double context = 1024;          ///< of points that name none
  double zipf = 1;                ///< popularity exponent
  std::vector<std::string> fits;  ///< constants of the system, or kRoutingZipf
  std::optional<Scheme> drafter;  ///< of points with a depth
  std::uint32_t bits = 8;         ///< upper bits that it keeps, where it does
  double tolerance = 0.15;
};

struct FittedConstant {
  std::string key, unit;
  double value = 0, low = 0, high = 0;  ///< where each fit point moves by its uncertainty, in root of squares
};

struct CalibratedPoint {
  MeasuredPoint measured;
  double ours = 0, low = 0, high = 0;
  std::optional<double> left_out;  ///< of a fit point: the prediction of a fit without it, where that is determined
  std::string verdict;             ///< pass, fail or not sure; of fit points empty
};

struct Calibration {
  std::vector<FittedConstant> fitted;
  std::vector<CalibratedPoint> points;
  Preset preset;  ///< the machine with what was fitted
  double zipf = 1;
};

/// Fits by least squares in logarithms, then predicts. A predicted point fails where even the nearer end of its
/// uncertainty (that of the fit and of the measurement, in root of squares) is off by more than the tolerance; it
/// passes where it is within the tolerance and its uncertainty no wider; else it is not sure.
///
/// Hits and misses are those counted on a trace; else tokens are independent of each other (of a verification too), and
/// residents the most popular experts. A given hit rate or accepted length takes their place. Throws usage where more
/// is to be fitted than may be, a constant is not there, or a point cannot be predicted: without a trace a policy other
/// than static needs a hit rate and drafting an accepted length; drafting needs a drafter.
Calibration calibrate(const CalibrationSetup& setup, const std::vector<MeasuredPoint>& points);

}  // namespace moecarlo::hw
