#include "cuda/core/perturb_warp.hpp"
#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

/// Every warp draws the same number of rows, so that all end at about the same time.
template <int Words>
__global__ void __launch_bounds__(kThreads, Words <= 2 ? 8 : 1) draw_rows(DrawnRows rows) {
  __shared__ std::uint32_t sets[kThreads / 32][RowWarp<Words>::kWords * 32];
  const std::uint64_t warps = std::uint64_t{gridDim.x} * (kThreads / 32);
  const std::uint64_t warp = std::uint64_t{blockIdx.x} * (kThreads / 32) + threadIdx.x / 32;
  RowWarp<Words>{rows, sets[threadIdx.x / 32], threadIdx.x % 32}(
      static_cast<std::uint32_t>(warp * rows.count / warps),
      static_cast<std::uint32_t>((warp + 1) * rows.count / warps));
}

/// As many blocks as the device holds at a time. An error is left for cudaGetLastError.
template <int Words>
void launch(const DrawnRows& rows, cudaStream_t stream) {
  int device = 0, multiprocessors = 0, each = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess ||
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, draw_rows<Words>, kThreads, 0) != cudaSuccess) {
    return;
  }
  const auto most = static_cast<unsigned>(multiprocessors * each);
  draw_rows<Words><<<min(most, blocks_for(rows.count)), kThreads, 0, stream>>>(rows);
}

}  // namespace

cudaError_t launch_rows(const DrawnRows& rows, cudaStream_t stream) {
  return for_words(rows.perturb.experts, [&](auto words) { launch<words>(rows, stream); });
}

}  // namespace moecarlo
