#pragma once

#include "cuda/kernels/launch.cuh"

namespace moecarlo {

/// An array of one trajectory among those of others: its elements lie `stride` apart.
template <class T>
struct Strided {
  T* first = nullptr;
  std::size_t stride = 0;
  __device__ T& operator[](std::size_t index) const { return first[index * stride]; }
};

/// The part of Path that samples have, interleaved: the elements of a warp's trajectories lie side by side.
struct InterleavedPath {
  Strided<std::uint32_t> tokens, drawn, reach;
  Strided<std::uint8_t> accepted;
  Place* places = nullptr;

  /// Of slot `slot` among `slots`.
  __device__ static InterleavedPath of(const DeviceBlock& block, std::size_t slots, std::size_t slot) {
    const auto numbers = [&](std::size_t at) {
      return Strided<std::uint32_t>{reinterpret_cast<std::uint32_t*>(block.path_scratch + at * slots) + slot, slots};
    };
    auto* accepted = reinterpret_cast<std::uint8_t*>(block.path_scratch + block.layout.accepted * slots) + slot;
    return {numbers(block.layout.tokens), {}, numbers(block.layout.reach), {accepted, slots}, nullptr};
  }
};

/// The trajectories of a launch, one group after the other: of group g they are g, g + period, ... and their paths the
/// slots g * each, g * each + 1, ...
struct GroupSlots {
  std::uint32_t period, each;

  __device__ GroupSlots(const DeviceBlock& block, const StatelessShape& shape)
      : period(shape.period), each((block.count + shape.period - 1) / shape.period) {}
  /// Trajectories of a group.
  __device__ std::uint32_t count(const DeviceBlock& block, std::uint32_t group) const {
    return (block.count - group + period - 1) / period;
  }
  __device__ InterleavedPath path(const DeviceBlock& block, std::uint32_t group, std::uint32_t index) const {
    return InterleavedPath::of(block, std::size_t{each} * period, std::size_t{group} * each + index);
  }
};

/// Draws the paths of a launch and counts what does not depend on a layer.
cudaError_t launch_stateless_paths(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream);

}  // namespace moecarlo
