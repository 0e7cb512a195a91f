#pragma once

#include "cuda/kernels/launch.cuh"

namespace moecarlo {

/// The trajectories of a launch, one group after the other, for blocks that take one group each: of group g they are
/// g, g + period, ... and their paths the slots g * each, g * each + 1, ..., so that those of a warp lie side by side.
/// Trajectories whose numbers differ by a multiple of the period fall into the same group.
struct GroupSlots {
  std::uint32_t period, each;

  __device__ GroupSlots(const DeviceBlock& block, std::uint32_t group_period)
      : period(group_period), each((block.count + group_period - 1) / group_period) {}
  /// Trajectories of a group.
  __device__ std::uint32_t count(const DeviceBlock& block, std::uint32_t group) const {
    return (block.count - group + period - 1) / period;
  }
  __device__ std::size_t slots() const { return std::size_t{each} * period; }
  __device__ std::size_t slot(std::uint32_t group, std::uint32_t index) const {
    return std::size_t{group} * each + index;
  }
};

}  // namespace moecarlo
