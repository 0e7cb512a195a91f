#pragma once

#include <cstdint>
#include <vector>

#include "cuda/core/hostdevice.hpp"
#include "host/trace/routing_table.hpp"

namespace moecarlo {

/// The tokens of a block of a routing table that calibrate, as runs: run r begins at token first[r] of the block, and
/// start[r] tokens are in the runs before it.
struct TokenRuns {
  const std::uint64_t* first = nullptr;  ///< [runs]
  const std::uint64_t* start = nullptr;  ///< [runs]
  std::uint64_t runs = 0, tokens = 0;

  /// The token of the block that is number `place`, below `tokens`, of those in the runs.
  MOECARLO_HOST_DEVICE std::uint64_t token(std::uint64_t place) const {
    std::uint64_t low = 0, high = runs;  // the run is one of low .. high - 1
    while (high - low > 1) {
      const std::uint64_t middle = (low + high) / 2;
      if (start[middle] <= place) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return first[low] + (place - start[low]);
  }
};

/// The same in host memory.
struct CalibratingRuns {
  std::vector<std::uint64_t> first, start;  ///< [runs]
  std::uint64_t tokens = 0;
};

/// Of the block of tokens first .. first + count - 1 of a table.
CalibratingRuns calibrating_runs(const RoutingTable& table, std::uint64_t first, std::uint64_t count);

/// Tokens of a table to have in device memory at a time: all, or as many as leave a tenth of `free_bytes` free. Throws
/// a machine error where not even one fits.
std::uint64_t tokens_at_a_time(const RoutingTable& table, std::uint64_t free_bytes);

}  // namespace moecarlo
