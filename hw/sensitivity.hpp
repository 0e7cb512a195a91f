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
  const Workload* workload = nullptr;
  System reference;  ///< the xPU
  const Workload* reference_workload = nullptr;
};

/// Elasticities d log speed-up / d log constant, one constant at a time, by central differences of 1 %, the largest
/// first (ties by name). Constants of the row's system appear by key, e.g. "ext.bandwidth", with the reference held
/// fixed; those of the reference as "xpu: ext.bandwidth". The counted hits and misses are held fixed, so that what
/// decides them (the two capacities) is left out, and so is what only comes in whole steps (unit bit).
std::vector<SensitivityResult> sensitivity(const SensitivityRow& row, const Model& model, std::uint32_t context);

/// The same for several rows, one after the other.
std::vector<SensitivityResult> sensitivity(const std::vector<SensitivityRow>& rows, const Model& model,
                                           std::uint32_t context);

}  // namespace moecarlo::hw
