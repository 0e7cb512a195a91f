#include "cuda/core/demand/asking.hpp"
#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

/// A thread takes a whole trajectory, as where layers are coupled: a cell of its own, so that demand rules take no
/// registers of the other kernels.
template <int Words>
__global__ void replay_asking_layers(DeviceBlock block) {
  const std::uint32_t own = blockIdx.x * blockDim.x + threadIdx.x;
  std::uint64_t* layers = block.layer_scratch + std::size_t{own} * block.routing.layers * block.layout.layer_words;
  for (std::uint32_t t = own; own < block.in_flight && t < block.count; t += block.in_flight) {
    replay_asking<Words>(block.routing, block.plan, block.cell, id_of(block, t), block.layout, path_block(block, t),
                         layers, block.tally, drawn_ahead<Words>(block, t));
  }
}

}  // namespace

template <int Words>
void launch_asking(const DeviceBlock& block, cudaStream_t stream) {
  replay_asking_layers<Words><<<blocks_for(block.in_flight), kThreads, 0, stream>>>(block);
}
template void launch_asking<MOECARLO_WORDS>(const DeviceBlock&, cudaStream_t);

}  // namespace moecarlo
