#include <algorithm>

#include "cuda/kernels/stateless_depths.cuh"

namespace moecarlo {
namespace {

// A grid of static caches over fresh starts, see SampleReplay for its rules. A block takes one layer and one group of
// trajectories. A thread walks one trajectory at a time through the masks, which are in shared memory, and unites them
// for several depths at once. What is to be counted at every capacity are sizes of intersections with the experts below
// it: tensor cores add them up over the trajectories of a warp.

/// Adds what a block has counted to the tallies of its layer and its group.
__device__ void add_records(const DeviceBlock& block, const StatelessShape& shape, std::uint32_t layer,
                            const TrajectoryId& id, const std::uint32_t* totals, const std::uint32_t* distinct) {
  const PlanView& plan = block.plan;
  const auto add = [&](std::uint64_t by_layer, std::uint64_t by_group, std::uint64_t amount) {
    if (amount == 0) return;
    if (id.is_main()) block.tally.add(by_layer, amount);
    block.tally.add(by_group, amount);
  };
  for (std::uint32_t number = threadIdx.x; number < plan.cell_count; number += blockDim.x) {
    const Cell& cell = plan.cells[number];
    const std::uint32_t* record = totals + number * shape.width();
    const std::uint64_t layer_row = cell.unions_by_layer + std::uint64_t{layer} * cell.union_width();
    const std::uint64_t group_row = cell.unions_by_group + std::uint64_t{id.group} * cell.union_width();
    const std::uint64_t choices = std::uint64_t{record[0]} * cell.batch * plan.drafting_top_k;
    add(layer_row + kDistinct, group_row + kDistinct, record[1]);
    add(layer_row + kDistinctAccepted, group_row + kDistinctAccepted, record[2]);
    add(layer_row + kDraftChoices, group_row + kDraftChoices, cell.depth > 0 ? choices : 0);
  }
  for (std::uint32_t i = threadIdx.x; i < plan.cell_count * shape.capacities; i += blockDim.x) {
    const std::uint32_t number = i / shape.capacities, c = i % shape.capacities;
    const Cell& cell = plan.cells[number];
    const std::uint32_t* record = totals + number * shape.width();
    const std::uint32_t hits = record[3 + c], kept_hits = record[3 + shape.capacities + c];
    std::uint32_t drafted = 0;
    const std::uint32_t smallest = shape.choice_words > 0 ? number : number % plan.depth_count;  // batch
    for (std::uint32_t other = smallest; other <= number; other += plan.depth_count) {
      drafted += totals[other * shape.width() + 3 + 2 * shape.capacities + c];
    }
    const std::uint64_t width = cell.point_width();
    const std::uint64_t to_layer = cell.points_by_layer + (std::uint64_t{c} * block.routing.layers + layer) * width;
    const std::uint64_t to_group = cell.points_by_group + (std::uint64_t{c} * plan.groups.total() + id.group) * width;
    add(to_layer + kHits, to_group + kHits, hits);
    // The experts of rejected columns only, less those of them that were resident.
    add(to_layer + kRejectedOnly, to_group + kRejectedOnly, record[1] - record[2] - (hits - kept_hits));
    add(to_layer + kDraftHits, to_group + kDraftHits, drafted);
  }
  if (!id.is_main()) return;
  for (std::uint32_t i = threadIdx.x; i < plan.cell_count * (shape.experts + 1); i += blockDim.x) {
    const Cell& cell = plan.cells[i / (shape.experts + 1)];
    const std::uint64_t row = std::uint64_t{layer} * (shape.experts + 1);
    if (distinct[i] > 0) block.tally.add(cell.distinct + row + i % (shape.experts + 1), distinct[i]);
  }
}

template <int Words, int Slots, bool Table>
__global__ void __launch_bounds__(kStatelessThreads, 1) replay_stateless(DeviceBlock block, StatelessShape shape) {
  extern __shared__ std::uint64_t shared[];
  const PlanView& plan = block.plan;
  const std::uint32_t layer = block.first_layer + blockIdx.x;
  const std::uint32_t group = blockIdx.y;
  std::uint64_t* const choice_table = shared + shape.staged_words;
  auto* const exchange = reinterpret_cast<std::uint32_t*>(choice_table + shape.choice_words);
  std::uint32_t* const totals = exchange + shape.exchange_words();
  std::uint32_t* const distinct = totals + plan.cell_count * shape.width();
  std::uint32_t* const capacities = distinct + plan.cell_count * (shape.experts + 1);
  for (std::uint32_t i = threadIdx.x; i < shape.counters(); i += blockDim.x) totals[i] = 0;
  for (std::uint32_t c = threadIdx.x; c < shape.capacities; c += blockDim.x) {
    capacities[c] = plan.capacities[plan.cells[0].first_capacity + c].at(layer);
  }
  for (std::uint32_t i = threadIdx.x; i < shape.staged_words; i += blockDim.x) {
    shared[i] = block.routing.masks[(std::size_t{i / Words} * block.routing.stride + layer) * Words + i % Words];
  }
  __syncthreads();
  for (std::uint32_t i = threadIdx.x; i < shape.choice_words; i += blockDim.x) {
    const std::uint32_t token = i / shape.table_words(), first = i % shape.table_words() * 16;
    choice_table[i] =
        choice_counts<Words>(shared + token * Words, capacities + first, min(16U, shape.capacities - first));
  }
  __syncthreads();

  const bool staged = shape.staged_words > 0;
  StatelessDepths<Words, Slots, Table> depths{block,
                                              shape,
                                              staged ? shared : block.routing.masks + std::size_t{layer} * Words,
                                              staged ? Words : block.routing.stride * Words,
                                              capacities,
                                              choice_table,
                                              exchange + threadIdx.x / 32 * shape.rows() * kStatelessRow,
                                              totals,
                                              block.stream == Stream::main ? distinct : nullptr};
  const GroupSlots slots(block, shape.period);
  const std::uint32_t own = slots.count(block, group);
  // A warp takes one round of 32 trajectories at a time: rounds do not depend on each other, and a launch of few
  // trajectories would leave warps without work.
  const std::uint32_t works = (own + 31) / 32 * plan.rounds;
  for (std::uint32_t work = threadIdx.x / 32; work < works; work += blockDim.x / 32) {
    const std::uint32_t mine = work / plan.rounds * 32 + threadIdx.x % 32, round = work % plan.rounds;
    const InterleavedPath path = InterleavedPath::of(block, slots, group, mine);
    const std::uint64_t number = block.first + group + std::uint64_t{mine} * shape.period;
    for (std::uint32_t first = 0; first < plan.depth_count; first += Slots) {
      depths.take(first);
      depths(path, mine < own, number, round);
    }
  }
  __syncthreads();
  add_records(block, shape, layer, id_of(block, group), totals, distinct);
}

template <int Words, int Slots, bool Table>
void launch(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream) {
  const dim3 blocks(block.layer_count, std::min(block.count, shape.period));
  cudaFuncSetAttribute(replay_stateless<Words, Slots, Table>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                       static_cast<int>(shape.shared_bytes()));
  replay_stateless<Words, Slots, Table><<<blocks, kStatelessThreads, shape.shared_bytes(), stream>>>(block, shape);
}

}  // namespace

cudaError_t launch_stateless(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream) {
  if (const cudaError_t drawn = launch_stateless_paths(block, shape, stream); drawn != cudaSuccess) return drawn;
  return for_words(block.routing.experts, [&](auto words) {
    constexpr int kSlots = stateless_slots(words);
    if (shape.choice_words > 0) {
      shape.slots() == 1 ? launch<words, 1, true>(block, shape, stream)
                         : launch<words, kSlots, true>(block, shape, stream);
    } else {
      shape.slots() == 1 ? launch<words, 1, false>(block, shape, stream)
                         : launch<words, kSlots, false>(block, shape, stream);
    }
  });
}

}  // namespace moecarlo
