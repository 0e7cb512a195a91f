#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

template <int Words>
__global__ void replay_episodes(DeviceBlock block) {
  std::uint64_t local[kLocalWords];
  const LayerThread own(block);
  for (std::uint32_t t = own.trajectory; own.trajectory < block.flying && t < block.count; t += block.flying) {
    replay_episode<Words, 1>(block.routing, block.plan, block.cell, id_of(block, t), own.layer, 0, block.layout,
                             path_block(block, t), own.layer_block(block, local), block.tally);
  }
}

}  // namespace

cudaError_t launch_episodes(const DeviceBlock& block, cudaStream_t stream) {
  const unsigned blocks = blocks_for(std::uint64_t{block.flying} * block.routing.layers);
  return for_words(block.routing.experts,
                   [&](auto words) { replay_episodes<words><<<blocks, kThreads, 0, stream>>>(block); });
}

}  // namespace moecarlo
