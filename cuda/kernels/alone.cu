#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

template <int Words>
__global__ void replay_rounds_alone(DeviceBlock block) {
  std::uint64_t local[kLocalWords];
  const LayerThread own(block);
  if (!own.exists(block)) return;
  for (std::uint32_t t = own.trajectory; t < block.count; t += block.in_flight) {
    replay_alone<Words>(block.routing, block.plan, id_of(block, t), own.layer, block.layout, path_block(block, t),
                        own.layer_block(block, local), block.tally);
  }
}

}  // namespace

cudaError_t launch_alone(const DeviceBlock& block, cudaStream_t stream) {
  return for_words(block.routing.experts, [&](auto words) {
    replay_rounds_alone<words><<<layer_blocks(block), kThreads, 0, stream>>>(block);
  });
}

}  // namespace moecarlo
