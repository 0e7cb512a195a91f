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

template <int Words>
void launch_alone(const DeviceBlock& block, cudaStream_t stream) {
  replay_rounds_alone<Words><<<layer_blocks(block), kThreads, 0, stream>>>(block);
}
template void launch_alone<MOECARLO_WORDS>(const DeviceBlock&, cudaStream_t);

}  // namespace moecarlo
