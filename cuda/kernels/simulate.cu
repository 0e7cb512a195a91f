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

/// Neighbouring threads take neighbouring layers of one trajectory, whose masks lie side by side in the routing table.
template <int Words>
__global__ void replay(DeviceBlock block) {
  const std::uint64_t thread = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::uint64_t i = thread / block.routing.layers;
  if (i >= block.count) return;
  const auto layer = static_cast<std::uint32_t>(thread % block.routing.layers);
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, block.first + i);
  replay_layers<Words, 1>(block.routing, block.plan, block.cell, id, layer, 0, block.layout,
                          block.path_scratch + i * block.layout.path_words,
                          block.layer_scratch + thread * block.layout.layer_words, block.tally);
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
  } else {
    replay<Words><<<blocks_for(std::uint64_t{block.count} * block.routing.layers), kThreads, 0, stream>>>(block);
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
