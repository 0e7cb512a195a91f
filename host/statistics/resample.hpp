#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "cuda/core/random.hpp"

namespace moecarlo {

constexpr std::uint32_t kResamples = 2000;

/// Weights 4 i .. 4 i + 3 of [kResamples][groups] come from the words of this block, each by poisson_one.
MOECARLO_HOST_DEVICE RandomBlock resample_block(std::uint64_t i) {
  return DrawAddress{0, Stream::setup, i, 0, 0, Purpose::replicate_weight, 1}.block(0);
}

/// [kResamples][groups]: how often a resample takes a group of sequences, at most 12.
std::vector<std::uint8_t> resample_weights(std::uint32_t groups);

/// Counters that every group of an exact study has.
struct GroupCounts {
  std::uint32_t groups = 0;
  std::size_t columns = 0;
  std::vector<std::uint64_t> counts;  ///< [groups][columns]
};

/// The Poisson bootstrap: [kResamples][columns] sums of weight x count over the groups. They are integers, the same
/// wherever they are computed; below 2^64 where the sum of all groups is below 2^60.
using Resample = std::function<std::vector<std::uint64_t>(const GroupCounts& groups)>;

/// On all cores of this process.
std::vector<std::uint64_t> resample_on_host(const GroupCounts& groups);

}  // namespace moecarlo
