#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/shared/oracle_comparison.hpp"

namespace moecarlo::testing {

/// A number of each layer: its name, where the engine keeps it, and the oracle's.
struct Field {
  std::string name;
  std::function<std::uint64_t(std::size_t)> group, layer;
  std::function<double(const oracle::LayerCounts&)> of;
  double rounding = 0;  ///< of its value: what rounding floating-point numbers may make of it
};

/// The same of draft steps.
struct DraftField {
  std::string name;
  std::function<std::uint64_t(std::size_t)> group;
  std::function<double(const oracle::DraftCounts&)> of;
  bool rounded = false;  ///< its parts are rounded from floating-point numbers; engines count it in few rounds
};

/// Those of a design point.
std::vector<Field> layer_fields(const Plan& plan, const PointOf& of);
std::vector<DraftField> draft_fields(const Plan& plan, const PointOf& of);

}  // namespace moecarlo::testing
