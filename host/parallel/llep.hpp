#pragma once

#include "host/parallel/spread.hpp"

namespace moecarlo {

/// Least-loaded expert parallelism: what a device has too much of goes to those that have least, with the weights that
/// it needs. The paper and its authors' code differ; both are here.
struct LlepRule {
  double alpha = 1;         ///< a device's cap, of the mean load of devices
  double min_chunk = 1024;  ///< tokens: less is not moved, but for the last of an expert
  double lambda = 1.3;      ///< below this max over mean nothing is moved
  bool on_devices = false;  ///< max over mean of devices, not of experts
  /// The authors' code: the cap is a whole number of the mean rounded down, and helpers are looked at once, those
  /// without room left out. The paper: a cap of any size, and helpers by their load after each chunk.
  bool as_coded = false;
};

/// Experts on their contiguous home devices, then by load, descending, each moved as far as its device is over the cap:
/// to the others by load, ascending, as much as they have room for. Where none can take a chunk, the least loaded takes
/// all that is left, which may exceed its cap and is counted as forced. Ties to the lower index. Throws
/// std::invalid_argument unless the devices share the experts out evenly. `by_load`: that order of the experts, where
/// it is known.
Spread least_loaded(const ExpertLoads& loads, std::uint32_t devices, const LlepRule& rule,
                    std::span<const std::uint32_t> by_load = {});

}  // namespace moecarlo
