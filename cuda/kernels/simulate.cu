#include "cuda/core/trajectory.hpp"
#include "cuda/kernels/simulate.hpp"

namespace moecarlo {
namespace {

constexpr unsigned kThreads = 128;

unsigned blocks_for(std::uint64_t threads) {
  return static_cast<unsigned>((threads + kThreads - 1) / kThreads);
}

__global__ void draw_paths(DeviceBlock block) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= block.count) return;
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, block.first + i);
  begin_trajectory(block.plan, block.cell, id, block.layout, block.path_scratch + i * block.layout.path_words,
                   block.tally);
}

/// One layer of one trajectory for each thread. Neighbouring threads take neighbouring layers of a trajectory, whose
/// masks lie side by side in the routing table.
struct LayerThread {
  std::uint64_t number;  ///< of the thread in the launch
  std::uint64_t trajectory;
  std::uint32_t layer;

  __device__ explicit LayerThread(const DeviceBlock& block)
      : number(std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x),
        trajectory(number / block.routing.layers),
        layer(static_cast<std::uint32_t>(number % block.routing.layers)) {}

  __device__ std::uint64_t* path_block(const DeviceBlock& block) const {
    return block.path_scratch + trajectory * block.layout.path_words;
  }
  __device__ std::uint64_t* layer_block(const DeviceBlock& block) const {
    return block.layer_scratch + number * block.layout.layer_words;
  }
};

template <int Words>
__global__ void replay_episodes(DeviceBlock block) {
  const LayerThread own(block);
  if (own.trajectory >= block.count) return;
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, block.first + own.trajectory);
  replay_episode<Words, 1>(block.routing, block.plan, block.cell, id, own.layer, 0, block.layout, own.path_block(block),
                           own.layer_block(block), block.tally);
}

template <int Words>
__global__ void replay_rounds_alone(DeviceBlock block) {
  const LayerThread own(block);
  if (own.trajectory >= block.count) return;
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, block.first + own.trajectory);
  replay_alone<Words>(block.routing, block.plan, id, own.layer, block.layout, own.path_block(block),
                      own.layer_block(block), block.tally);
}

/// A thread takes a whole trajectory where its layers depend on each other.
template <int Words>
__global__ void replay_together(DeviceBlock block) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= block.count) return;
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, block.first + i);
  replay_lockstep<Words>(
      block.routing, block.plan, block.cell, id, block.layout, block.path_scratch + i * block.layout.path_words,
      block.layer_scratch + std::size_t{i} * block.routing.layers * block.layout.layer_words, block.tally);
}

template <int Words>
void launch_replay(const DeviceBlock& block, cudaStream_t stream) {
  if (block.plan.lockstep) {
    replay_together<Words><<<blocks_for(block.count), kThreads, 0, stream>>>(block);
    return;
  }
  const unsigned blocks = blocks_for(std::uint64_t{block.count} * block.routing.layers);
  if (has_episodes(block.plan.walk)) {
    replay_episodes<Words><<<blocks, kThreads, 0, stream>>>(block);
  } else {
    replay_rounds_alone<Words><<<blocks, kThreads, 0, stream>>>(block);
  }
}

}  // namespace

cudaError_t launch_block(const DeviceBlock& block, cudaStream_t stream) {
  draw_paths<<<blocks_for(block.count), kThreads, 0, stream>>>(block);
  switch (mask_words(block.routing.experts)) {
    case 1:
      launch_replay<1>(block, stream);
      break;
    case 2:
      launch_replay<2>(block, stream);
      break;
    case 4:
      launch_replay<4>(block, stream);
      break;
    case 8:
      launch_replay<8>(block, stream);
      break;
    default:
      launch_replay<16>(block, stream);
      break;
  }
  return cudaGetLastError();
}

}  // namespace moecarlo
