#pragma once

#include "hw/calibrate/calibrate.hpp"

namespace moecarlo::hw {

/// One machine with one routing.
struct Settings {
  System system;
  double zipf = 1;
};

/// The point's quantity on that machine, by the rules of calibrate().
double predict(const Settings& settings, const CalibrationSetup& setup, const MeasuredPoint& point);

}  // namespace moecarlo::hw
