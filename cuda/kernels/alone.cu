#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

template <int Words>
__global__ void replay_rounds_alone(DeviceBlock block) {
  std::uint64_t local[kLocalWords];
  const LayerThread own(block);
  for (std::uint32_t t = own.trajectory; own.trajectory < block.flying && t < block.count; t += block.flying) {
    replay_alone<Words>(block.routing, block.plan, id_of(block, t), own.layer, block.layout, path_block(block, t),
                        own.layer_block(block, local), block.tally);
  }
}

}  // namespace

cudaError_t launch_alone(const DeviceBlock& block, cudaStream_t stream) {
  const unsigned blocks = blocks_for(std::uint64_t{block.flying} * block.routing.layers);
  return for_words(block.routing.experts,
                   [&](auto words) { replay_rounds_alone<words><<<blocks, kThreads, 0, stream>>>(block); });
}

}  // namespace moecarlo
