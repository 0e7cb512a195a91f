#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

__global__ void draw_paths(DeviceBlock block) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= block.count) return;
  begin_trajectory(block.plan, block.cell, id_of(block, i), block.layout, path_block(block, i), block.path_tally);
}

}  // namespace

cudaError_t launch_paths(const DeviceBlock& block, cudaStream_t stream) {
  draw_paths<<<blocks_for(block.count), kThreads, 0, stream>>>(block);
  return cudaGetLastError();
}

}  // namespace moecarlo
