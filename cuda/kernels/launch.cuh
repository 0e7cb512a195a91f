#pragma once

#include "cuda/core/trajectory.hpp"
#include "cuda/kernels/simulate.hpp"

namespace moecarlo {

constexpr unsigned kThreads = 128;

inline unsigned blocks_for(std::uint64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

/// One layer of a trajectory for each thread. Neighbouring threads take neighbouring layers of a trajectory, whose
/// masks lie side by side in the routing table.
struct LayerThread {
  std::uint64_t number;  ///< of the thread in the launch
  std::uint32_t trajectory;
  std::uint32_t layer;

  __device__ explicit LayerThread(const DeviceBlock& block)
      : number(std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x),
        trajectory(static_cast<std::uint32_t>(number / block.routing.layers)),
        layer(static_cast<std::uint32_t>(number % block.routing.layers)) {}

  __device__ std::uint64_t* layer_block(const DeviceBlock& block, std::uint64_t* local) const {
    return block.layout.layer_words <= kLocalWords ? local : block.layer_scratch + number * block.layout.layer_words;
  }
};

__device__ inline std::uint64_t* path_block(const DeviceBlock& block, std::uint32_t trajectory) {
  return block.path_scratch + std::size_t{trajectory} * block.layout.path_words;
}

__device__ inline TrajectoryId id_of(const DeviceBlock& block, std::uint32_t trajectory) {
  return TrajectoryId::of(block.plan, block.stream, block.first + trajectory);
}

/// Calls launch(words) with the words of a mask as a constant.
template <class Launch>
cudaError_t for_words(std::uint32_t experts, const Launch& launch) {
  switch (mask_words(experts)) {
    case 1:
      launch(std::integral_constant<int, 1>{});
      break;
    case 2:
      launch(std::integral_constant<int, 2>{});
      break;
    case 4:
      launch(std::integral_constant<int, 4>{});
      break;
    case 8:
      launch(std::integral_constant<int, 8>{});
      break;
    default:
      launch(std::integral_constant<int, 16>{});
      break;
  }
  return cudaGetLastError();
}

}  // namespace moecarlo
