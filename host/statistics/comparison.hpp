#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/estimate.hpp"

namespace moecarlo {

/// What two results have in common that are compared. System and scheme are empty for what was counted.
struct ComparedDesign {
  std::string system, scheme, policy;
  std::uint32_t batch = 1, depth = 0, bits = 8;
  double capacity = 0;            ///< experts per layer of the first
  std::optional<double> alpha{};  ///< where one of the studies has several
  std::string demand = "all";
};

/// One figure of one design in two studies, or on two systems.
struct ComparedRow {
  ComparedDesign design;
  std::string metric;
  double a = 0, b = 0;
  Estimate ratio;  ///< a / b
};

/// Two studies, or two systems of one.
struct Comparison {
  std::string a, b;
  bool paired = false;   ///< both drew the same numbers from the same trace: group by group, noise in common cancels
  std::string unpaired;  ///< why not
  std::vector<ComparedRow> rows;
  std::size_t only_a = 0, only_b = 0;  ///< designs that the other has not
};

/// The ratio of two estimates that know nothing of each other: relative half-widths add up in squares. A margin that
/// one of them does not know is unknown; of two exact ones it is exact.
Estimate unpaired_ratio(const Estimate& a, const Estimate& b);

}  // namespace moecarlo
