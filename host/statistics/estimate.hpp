#pragma once

#include <optional>

namespace moecarlo {

/// A reported number with its two 95 % half-widths: simulation noise, and the trace being a sample of traffic.
/// A half-width of 0 means exact; none means not available, and the results' notes say why.
struct Estimate {
  double value = 0;
  std::optional<double> mc_half_width;
  std::optional<double> trace_half_width;
};

}  // namespace moecarlo
