#pragma once

#include <map>
#include <string>
#include <vector>

#include "hw/reproduce/reproduce.hpp"

namespace moecarlo::hw {

/// Means of energy per token on the xPU / energy per token of Elastic's faster mode at 8 GB.
struct EnergyGain {
  std::size_t cells = 0;
  double mean = 0;
  double without_assumed_own = 0;  ///< if Elastic's assumed energies (compute, links, static power) were nothing
  double published_only = 0;       ///< the same, and the xPU's as well: reading DRAM alone

  EnergyGain& operator+=(const EnergyGain& other);
  void average();
};

/// How far the model's energy is from the published mean, over the cells with an acceptance.
struct EnergyComparison {
  EnergyGain all;
  std::map<std::string, EnergyGain> by_model;
  double missing_watts = 0;  ///< of power on the xPU's side that would make the mean the published one
};
EnergyComparison compare_energy(const TableLaws& laws, const std::vector<ReproducedCell>& cells);

}  // namespace moecarlo::hw
