#include <algorithm>

#include "cuda/kernels/stateless_path.cuh"

namespace moecarlo {
namespace {

/// Where a block adds up what its trajectories, all of one group, count: a record for each cell, of its rounds and its
/// requests by accepted length.
struct BlockCounter {
  std::uint32_t* records;
  std::uint32_t width;

  __device__ void round(std::uint32_t c) const { atomicAdd(records + c * width, 1U); }
  __device__ void accepted(std::uint32_t c, std::uint32_t length) const {
    atomicAdd(records + c * width + 1 + length, 1U);
  }
};

__global__ void draw_stateless_paths(DeviceBlock block, StatelessShape shape) {
  extern __shared__ std::uint32_t records[];
  const PlanView& plan = block.plan;
  const BlockCounter counter{records, plan.max_depth + 2};
  const std::uint32_t counters = plan.cell_count * counter.width;
  for (std::uint32_t i = threadIdx.x; i < counters; i += blockDim.x) records[i] = 0;
  __syncthreads();

  const std::uint32_t group = blockIdx.y;
  const GroupSlots slots(block, shape.period);
  const std::uint32_t index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < slots.count(block, group)) {
    Place places[kMostStatelessRequests];
    InterleavedPath path = InterleavedPath::of(block, slots, group, index);
    path.places = places;
    draw_samples(plan, id_of(block, group + index * slots.period), path);
    count_samples(plan, path, counter);
  }
  __syncthreads();

  const std::uint32_t tally_group = id_of(block, group).group;
  for (std::uint32_t i = threadIdx.x; i < counters; i += blockDim.x) {
    if (records[i] == 0) continue;
    const Cell& cell = plan.cells[i / counter.width];
    const std::uint32_t field = i % counter.width;
    if (field == 0) {
      add_rounds(block.path_tally, cell, tally_group, records[i]);
    } else {
      add_accepted(block.path_tally, cell, tally_group, field - 1, records[i]);
    }
  }
}

}  // namespace

cudaError_t launch_stateless_paths(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream) {
  const std::uint32_t groups = std::min(block.count, shape.period);
  const dim3 blocks(blocks_for((block.count + shape.period - 1) / shape.period), groups);
  const auto bytes = static_cast<std::size_t>(shape.path_counters()) * sizeof(std::uint32_t);
  cudaFuncSetAttribute(draw_stateless_paths, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  draw_stateless_paths<<<blocks, kThreads, bytes, stream>>>(block, shape);
  return cudaGetLastError();
}

}  // namespace moecarlo
