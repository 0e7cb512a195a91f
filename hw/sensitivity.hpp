#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/statistics/results.hpp"
#include "hw/evaluate.hpp"

namespace moecarlo::hw {

/// A hardware row whose speed-up is to be taken apart: tokens/s of the row over tokens/s of `reference` decoding
/// autoregressively at the same batch, each with its own counted workload.
struct SensitivityRow {
  std::string label;
  System system;
  Scheme scheme;
  std::uint32_t bits = 8;
  Workload workload;
  std::vector<Workload> neighbours;  ///< at most one of a smaller and one of a larger capacity, smaller first
  System reference;                  ///< of the study
  Workload reference_workload;
};

/// Elasticities d log speed-up / d log constant of every constant of the row's system and scheme and of the reference,
/// one at a time with all others held, the largest first (ties by name), those without one last. Constants of the
/// system appear by key, e.g. "ext.bandwidth", the others with a name before it: "eagle: head.bits",
/// "xpu: ext.bandwidth".
///
/// Slopes are central differences over 1 % either way, or over one step where a constant only comes in whole numbers
/// (units count and bit); over one side where the other is not possible. `method` says which. A constant that moves the
/// expert cache to another capacity changes what was counted: the capacity of HB is then taken between the counted
/// neighbours, and what else does so has no elasticity, as has what is 0 or no quantity; `method` says why.
std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, std::uint32_t context);

}  // namespace moecarlo::hw
