#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

/// A thread takes a whole trajectory: its layers depend on each other.
template <int Words>
__global__ void replay_coupled_layers(DeviceBlock block) {
  const std::uint32_t own = blockIdx.x * blockDim.x + threadIdx.x;
  std::uint64_t* layers = block.layer_scratch + std::size_t{own} * block.routing.layers * block.layout.layer_words;
  for (std::uint32_t t = own; own < block.in_flight && t < block.count; t += block.in_flight) {
    replay_coupled<Words>(block.routing, block.plan, block.cell, id_of(block, t), block.layout, path_block(block, t),
                          layers, block.tally, drawn_ahead<Words>(block, t));
  }
}

}  // namespace

template <int Words>
void launch_coupled(const DeviceBlock& block, cudaStream_t stream) {
  replay_coupled_layers<Words><<<blocks_for(block.in_flight), kThreads, 0, stream>>>(block);
}
template void launch_coupled<MOECARLO_WORDS>(const DeviceBlock&, cudaStream_t);

}  // namespace moecarlo
