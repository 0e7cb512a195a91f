#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// How one part of a round uses the machine.
struct PartUse {
  std::string_view name;           ///< of the part: "verify.experts"
  double operations_per_byte = 0;  ///< of all units, over what is read of all memories; 0 where nothing is read
  std::vector<std::pair<std::string_view, double>> busy;  ///< unit or memory: share of the part that it needs
};

/// Of the parts that take time, as the row's breakdown says. It views into the row.
std::vector<PartUse> part_uses(const HardwareResult& row);

}  // namespace moecarlo
