#include <algorithm>

#include "cuda/core/lru_grid.hpp"
#include "cuda/kernels/group_slots.cuh"

namespace moecarlo {
namespace {

// A cell of LRU caches of many capacities. A block takes one layer and one group of trajectories, whose numbers differ
// by multiples of a period, or a part of it, so that all it counts goes to one place; a thread replays one trajectory
// at a time.

/// The path of a trajectory of a group, interleaved.
__device__ LruGridPath grid_path(const DeviceBlock& block, const GroupSlots& groups, std::uint32_t group,
                                 std::uint32_t index) {
  const std::size_t slots = groups.slots(), slot = groups.slot(group, index);
  const auto bytes = [&](std::size_t at) {
    return Strided<std::uint8_t>{reinterpret_cast<std::uint8_t*>(block.path_scratch + at * slots) + slot, slots};
  };
  auto* tokens = reinterpret_cast<std::uint32_t*>(block.path_scratch + block.layout.tokens * slots) + slot;
  return {{tokens, slots}, bytes(block.layout.accepted), bytes(block.layout.drafted), nullptr, nullptr, nullptr};
}

/// Where a block adds up the rounds and lengths of its trajectories.
struct BlockRounds {
  std::uint32_t* rounds;
  std::uint32_t* drafted;
  std::uint32_t* accepted;  ///< [depth + 1]

  __device__ void round(std::uint32_t) const { atomicAdd(rounds, 1U); }
  __device__ void request(std::uint32_t, std::uint32_t accepted_length, std::uint32_t drafted_length) const {
    atomicAdd(accepted + accepted_length, 1U);
    atomicAdd(drafted, drafted_length);
  }
};

__global__ void draw_grid_paths(DeviceBlock block, LruGridShape shape) {
  extern __shared__ std::uint32_t counters[];
  const PlanView& plan = block.plan;
  const Cell& cell = plan.cells[block.cell];
  const BlockRounds counter{counters, counters + 1, counters + 2};
  for (std::uint32_t i = threadIdx.x; i < cell.depth + 3; i += blockDim.x) counters[i] = 0;
  __syncthreads();

  const std::uint32_t group = blockIdx.y;
  const GroupSlots slots(block, shape.period);
  const std::uint32_t index = blockIdx.x * blockDim.x + threadIdx.x;
  if (index < slots.count(block, group)) {
    Place places[kMostLruGridRequests], other_places[kMostLruGridRequests];
    LruGridPath path = grid_path(block, slots, group, index);
    path.places = places;
    path.other_places = other_places;
    draw_episode(plan, cell, id_of(block, group + index * slots.period), path);
    count_rounds(cell.batch, plan.warmup, plan.warmup + plan.rounds, path, counter);
    mark_columns(cell, plan.warmup + plan.rounds, path);
  }
  __syncthreads();

  const std::uint32_t tally_group = id_of(block, group).group;
  for (std::uint32_t i = threadIdx.x; i < cell.depth + 3; i += blockDim.x) {
    const std::uint64_t lengths = cell.accepted + std::uint64_t{tally_group} * (cell.depth + 1);
    const std::uint64_t to = i == 0 ? cell.rounds + tally_group : i == 1 ? cell.drafted + tally_group : lengths + i - 2;
    if (counters[i] > 0) block.path_tally.add(to, counters[i]);
  }
}

/// What the lanes of a warp do together, see LruGridReplay.
struct GridWarp {
  const LruGridShape& shape;
  const LruStack& stack;  ///< of this lane
  bool warm;
  std::uint32_t lane;
  uint4* last;          ///< of all lanes
  std::uint32_t* rows;  ///< of all lanes
  std::uint32_t* sums;  ///< of the block, [intervals][kLruCounts]

  __device__ void place_experts() const {
    __syncwarp();
    for (std::uint32_t i = lane; i < shape.last_words() / 4; i += kStackLanes) {
      const std::uint32_t expert = i / (kStackLanes / 4) * 2;
      const std::uint32_t pair = stack.first_slot(expert, warm) | stack.first_slot(expert + 1, warm) << 16;
      last[i] = make_uint4(pair, pair, pair, pair);
    }
    __syncwarp();
  }

  /// A thread adds up an interval; each begins with another lane, so that they read different banks.
  __device__ void add_up() const {
    __syncwarp();
    for (std::uint32_t interval = lane; interval < shape.intervals(); interval += kStackLanes) {
      std::uint32_t even = 0, odd = 0;
#pragma unroll 4
      for (std::uint32_t i = 0; i < kStackLanes; ++i) {
        std::uint32_t& bytes = rows[interval * kStackLanes + (i + lane) % kStackLanes];
        even += bytes & 0xff00ffU;
        odd += bytes >> 8 & 0xff00ffU;
        bytes = 0;
      }
      std::uint32_t* const into = sums + interval * kLruCounts;
      atomicAdd(into, even & 0xffffU);
      atomicAdd(into + 1, odd & 0xffffU);
      atomicAdd(into + 2, even >> 16);
      atomicAdd(into + 3, odd >> 16);
    }
    __syncwarp();
  }
};

/// Shared memory from a byte on. The compiler would take the sum in `bytes` apart again, and every access would have to
/// add it up.
__device__ std::uint32_t* words_at(uint4* shared, std::uint32_t bytes) {
  asm("" : "+r"(bytes));
  return &at_byte(reinterpret_cast<std::uint32_t*>(shared), bytes);
}

template <int AtOnce, bool Staged>
__global__ void __launch_bounds__(kMostLruGridThreads, 1)
    replay_grid(DeviceBlock block, LruGridShape shape, const std::uint8_t* all_choices) {
  extern __shared__ uint4 shared[];
  const std::uint32_t layer = block.first_layer + blockIdx.x, group = blockIdx.y;
  const std::uint32_t warp = threadIdx.x / kStackLanes, lane = threadIdx.x % kStackLanes;
  const std::uint32_t staged_bytes = Staged ? static_cast<std::uint32_t>(shape.choice_bytes) : 0;
  const std::uint8_t* const choices = all_choices + shape.choice_bytes * layer;
  auto* const buckets = reinterpret_cast<std::uint8_t*>(shared);
  uint4* const staged = shared + kLruGridBuckets / sizeof(uint4);
  const std::uint32_t warps_at = kLruGridBuckets + staged_bytes;
  const std::uint32_t warp_at = warps_at + 4 * warp * shape.warp_words();
  std::uint32_t* const sums = words_at(shared, warps_at + 4 * (blockDim.x / kStackLanes) * shape.warp_words());
  const PlanView& plan = block.plan;
  const Cell cell = plan.cells[block.cell];
  const Capacity* const capacities = plan.capacities + cell.first_capacity;
  std::uint32_t* const last = words_at(shared, warp_at + 4 * lane);
  const std::uint32_t slots_at =
      shape.last_words() - shape.stack.unwritten / 8 * kStackLanes;  // see LruStack::slots_at
  std::uint32_t* const slots = words_at(shared, warp_at + 4 * (slots_at + lane));
  const std::uint32_t rows_at = warp_at + 4 * (shape.last_words() + shape.slot_words());
  std::uint32_t* const rows = words_at(shared, rows_at);

  if constexpr (Staged) {
    for (std::uint32_t i = threadIdx.x; i < staged_bytes / sizeof(uint4); i += blockDim.x) {
      staged[i] = reinterpret_cast<const uint4*>(choices)[i];
    }
  }
  for (std::uint32_t i = threadIdx.x; i < shape.total_words(); i += blockDim.x) sums[i] = 0;
  for (std::uint32_t i = lane; i < shape.intervals() * kStackLanes; i += kStackLanes) rows[i] = 0;
  for (std::uint32_t position = threadIdx.x; position <= shape.stack.experts; position += blockDim.x) {
    std::uint32_t bucket = 0;
    while (bucket < cell.capacity_count && capacities[bucket].at(layer) <= position) ++bucket;
    buckets[position] = static_cast<std::uint8_t>(bucket);
  }
  __syncthreads();

  const LruGridTotals totals{sums, sums + shape.intervals() * kLruCounts};
  const LruStack stack{shape.stack, buckets, reinterpret_cast<std::uint16_t*>(last), slots};
  LruGridReplay<AtOnce> replay{plan,
                               block.routing,
                               cell,
                               Staged ? reinterpret_cast<const std::uint8_t*>(staged) : choices,
                               shape.tokens_counted,
                               totals.distinct,
                               LruLane{stack, words_at(shared, rows_at + 4 * lane), capacities[0].at(layer)}};
  const GridWarp together{shape, stack, plan.warm, lane, reinterpret_cast<uint4*>(last - lane), rows, sums};
  const GroupSlots grid(block, shape.period);
  const std::uint32_t count = grid.count(block, group);
  // Whole warps.
  for (std::uint32_t i = blockIdx.z * blockDim.x + warp * kStackLanes; i < count; i += gridDim.z * blockDim.x) {
    const std::uint32_t mine = i + lane;
    replay(grid_path(block, grid, group, mine), mine < count, block.first + group + std::uint64_t{mine} * shape.period,
           together);
  }
  together.add_up();
  __syncthreads();

  const TrajectoryId id = id_of(block, group);
  const LayerContext<1> at{block.routing, plan, id, block.tally, layer, 0, nullptr};
  totals.add_to(at, cell, threadIdx.x, blockDim.x);
}

template <int AtOnce, bool Staged>
void launch(const DeviceBlock& block, const LruGridShape& shape, const std::uint8_t* choices, cudaStream_t stream) {
  const LruGridLaunch turns = lru_grid_launch(shape, block.count);
  const std::uint64_t bytes = shape.shared_bytes(turns.warps);
  const dim3 blocks(block.layer_count, std::min(block.count, shape.period), turns.parts);
  cudaFuncSetAttribute(replay_grid<AtOnce, Staged>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(bytes));
  replay_grid<AtOnce, Staged><<<blocks, turns.warps * kStackLanes, bytes, stream>>>(block, shape, choices);
}

}  // namespace

cudaError_t launch_lru_grid(const DeviceBlock& block, const LruGridShape& shape, const std::uint8_t* choices,
                            std::uint32_t depth, cudaStream_t stream) {
  const dim3 blocks(blocks_for((block.count + shape.period - 1) / shape.period), std::min(block.count, shape.period));
  draw_grid_paths<<<blocks, kThreads, (depth + 3) * sizeof(std::uint32_t), stream>>>(block, shape);
  if (const cudaError_t drawn = cudaGetLastError(); drawn != cudaSuccess) return drawn;
  const auto replay = [&](auto at_once) {
    if (shape.staged) {
      launch<at_once, true>(block, shape, choices, stream);
    } else {
      launch<at_once, false>(block, shape, choices, stream);
    }
  };
  if (shape.top_k % 8 == 0) {
    replay(std::integral_constant<int, 8>{});
  } else if (shape.top_k % 4 == 0) {
    replay(std::integral_constant<int, 4>{});
  } else if (shape.top_k % 2 == 0) {
    replay(std::integral_constant<int, 2>{});
  } else {
    replay(std::integral_constant<int, 1>{});
  }
  return cudaGetLastError();
}

}  // namespace moecarlo
