#include <algorithm>
#include <bit>
#include <cub/device/device_radix_sort.cuh>

#include "cuda/core/perturb_warp.hpp"
#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

__global__ void list_columns(DrawnRows rows, std::uint64_t* columns) {
  const std::uint32_t number = blockIdx.x * blockDim.x + threadIdx.x;
  if (number < rows.path_columns.by) columns[number] = rows.token_column(number);
}

/// Lists and sorts the path columns, which rows.in_order is to name.
cudaError_t sort_columns(DrawnRows& rows, const RowScratch& scratch, cudaStream_t stream) {
  const std::uint32_t count = rows.path_columns.by;
  list_columns<<<blocks_for(count), kThreads, 0, stream>>>(rows, scratch.columns);
  cub::DoubleBuffer<std::uint64_t> columns(scratch.columns, scratch.columns + count);
  std::size_t bytes = scratch.sort_bytes;
  const cudaError_t status =
      cub::DeviceRadixSort::SortKeys(scratch.sort, bytes, columns, count, TokenColumn::kTokenBits,
                                     TokenColumn::kTokenBits + std::bit_width(rows.tokens), stream);
  rows.in_order = columns.Current();
  return status;
}

template <int Words>
__global__ void __launch_bounds__(kThreads, Words <= 2 ? 10 : 1) draw_rows(DrawnRows rows, std::uint32_t at_once) {
  __shared__ std::uint32_t sets[kThreads / 32][RowWarp<Words>::kWords * 32];
  RowWarp<Words>{rows, at_once, sets[threadIdx.x / 32], threadIdx.x % 32}();
}

/// As many blocks as the device holds at a time. Warps take few rows at a time, so that all end at about the same time,
/// but enough of them that a table which they share is read once. An error is left for cudaGetLastError.
template <int Words>
void launch(const DrawnRows& rows, cudaStream_t stream) {
  int device = 0, multiprocessors = 0, each = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) != cudaSuccess ||
      cudaOccupancyMaxActiveBlocksPerMultiprocessor(&each, draw_rows<Words>, kThreads, 0) != cudaSuccess) {
    return;
  }
  const unsigned blocks = std::min(static_cast<unsigned>(multiprocessors * each), blocks_for(rows.count()));
  const std::uint32_t fair = rows.count() / (blocks * (kThreads / 32));
  draw_rows<Words><<<blocks, kThreads, 0, stream>>>(rows, std::clamp(fair / 16, 32U, 512U));
}

}  // namespace

cudaError_t bytes_to_sort(std::uint64_t columns, std::size_t& bytes) {
  cub::DoubleBuffer<std::uint64_t> none(nullptr, nullptr);
  return cub::DeviceRadixSort::SortKeys(nullptr, bytes, none, static_cast<std::uint32_t>(columns));
}

cudaError_t launch_rows(DrawnRows rows, const RowScratch& scratch, cudaStream_t stream) {
  if (const cudaError_t sorted = sort_columns(rows, scratch, stream); sorted != cudaSuccess) return sorted;
  rows.taken = scratch.taken;
  if (const cudaError_t cleared = cudaMemsetAsync(rows.taken, 0, sizeof(*rows.taken), stream); cleared != cudaSuccess)
    return cleared;
  return for_words(rows.perturb.experts, [&](auto words) { launch<words>(rows, stream); });
}

}  // namespace moecarlo
