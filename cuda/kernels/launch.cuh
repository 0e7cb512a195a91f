#pragma once

#include "cuda/core/trajectory.hpp"
#include "cuda/kernels/simulate.hpp"

namespace moecarlo {

constexpr unsigned kThreads = 128;

inline unsigned blocks_for(std::uint64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

/// Blocks in which every layer of the launch has a thread for each of `in_flight` trajectories.
inline unsigned layer_blocks(const DeviceBlock& block) {
  return blocks_for(std::uint64_t{block.in_flight} * block.layer_count);
}

/// The trajectory and layer of a thread. Neighbouring threads take neighbouring layers of a trajectory, whose masks lie
/// side by side in the routing table. The last threads have none.
struct LayerThread {
  std::uint32_t trajectory;
  std::uint32_t layer;

  __device__ explicit LayerThread(const DeviceBlock& block) {
    const std::uint64_t number = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    trajectory = static_cast<std::uint32_t>(number / block.layer_count);
    layer = block.first_layer + static_cast<std::uint32_t>(number % block.layer_count);
  }

  __device__ bool exists(const DeviceBlock& block) const { return trajectory < block.in_flight; }

  __device__ std::uint64_t* layer_block(const DeviceBlock& block, std::uint64_t* local) const {
    if (block.layout.layer_words <= kLocalWords) return local;
    return block.layer_scratch + (std::size_t{trajectory} * block.routing.layers + layer) * block.layout.layer_words;
  }
};

__device__ inline std::uint64_t* path_block(const DeviceBlock& block, std::uint32_t trajectory) {
  return block.path_scratch + std::size_t{trajectory} * block.layout.path_words;
}

/// The masks of a trajectory that are drawn ahead; none where none are.
template <int Words>
__device__ DrawnMasks drawn_ahead(const DeviceBlock& block, std::uint32_t trajectory) {
  if (block.drawn_masks == nullptr) return {};
  return DrawnMasks::ahead<Words>(block.drawn_masks, trajectory, block.drawn_slots, block.first_layer,
                                  block.layer_count);
}

__device__ inline TrajectoryId id_of(const DeviceBlock& block, std::uint32_t trajectory) {
  return TrajectoryId::of(block.plan, block.stream, block.first + trajectory);
}

/// Of a trajectory of the block, with `layer_scratch` for what each layer needs.
template <int Words>
__device__ EpisodeScratch<Words, 1> episode_scratch(const DeviceBlock& block, const PlanView& plan, const Cell& cell,
                                                    const TrajectoryId& id, std::uint32_t trajectory,
                                                    std::uint64_t* layer_scratch) {
  const DrawnMasks ahead = drawn_ahead<Words>(block, trajectory);
  return {block.routing, plan, cell, id, block.tally, block.layout, path_block(block, trajectory),
          layer_scratch, 0,    ahead};
}

}  // namespace moecarlo
