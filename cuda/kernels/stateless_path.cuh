#pragma once

#include "cuda/core/strided.hpp"
#include "cuda/kernels/group_slots.cuh"

namespace moecarlo {

/// The part of Path that samples have, interleaved: the elements of a warp's trajectories lie side by side.
struct InterleavedPath {
  Strided<std::uint32_t> tokens, drawn, reach;
  Strided<std::uint8_t> accepted;
  Place* places = nullptr;

  /// Of trajectory `index` of a group.
  __device__ static InterleavedPath of(const DeviceBlock& block, const GroupSlots& groups, std::uint32_t group,
                                       std::uint32_t index) {
    const std::size_t slots = groups.slots(), slot = groups.slot(group, index);
    const auto numbers = [&](std::size_t at) {
      return Strided<std::uint32_t>{reinterpret_cast<std::uint32_t*>(block.path_scratch + at * slots) + slot, slots};
    };
    auto* accepted = reinterpret_cast<std::uint8_t*>(block.path_scratch + block.layout.accepted * slots) + slot;
    return {numbers(block.layout.tokens), {}, numbers(block.layout.reach), {accepted, slots}, nullptr};
  }
};

/// Draws the paths of a launch and counts what does not depend on a layer.
cudaError_t launch_stateless_paths(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream);

}  // namespace moecarlo
