#include <algorithm>

#include "cuda/kernels/launch.cuh"

namespace moecarlo {
namespace {

// A grid of static caches over fresh starts, see SampleReplay for its rules. A block takes one layer and one group of
// trajectories. A thread walks one trajectory at a time through the masks, which are in shared memory. What is to be
// counted at every capacity goes to the warp: each thread then takes one capacity and counts it in all the warp's
// trajectories, so that a sum is in one register and no word is counted twice.

/// An array of one trajectory among those of others: its elements lie `stride` apart.
template <class T>
struct Strided {
  T* first = nullptr;
  std::size_t stride = 0;
  __device__ T& operator[](std::size_t index) const { return first[index * stride]; }
};

/// The part of Path that samples have, interleaved: the elements of a warp's trajectories lie side by side.
struct InterleavedPath {
  Strided<std::uint32_t> tokens, drawn, reach;
  Strided<std::uint8_t> accepted;
  Place* places = nullptr;

  /// Of slot `slot` among `slots`.
  __device__ static InterleavedPath of(const DeviceBlock& block, std::size_t slots, std::size_t slot) {
    const auto numbers = [&](std::size_t at) {
      return Strided<std::uint32_t>{reinterpret_cast<std::uint32_t*>(block.path_scratch + at * slots) + slot, slots};
    };
    auto* accepted = reinterpret_cast<std::uint8_t*>(block.path_scratch + block.layout.accepted * slots) + slot;
    return {numbers(block.layout.tokens), {}, numbers(block.layout.reach), {accepted, slots}, nullptr};
  }
};

/// Slots by group, so that the trajectories of a block are neighbours: the `each` trajectories t, t + period, ... of
/// the first group, then those of the next.
struct Slots {
  std::uint32_t period, each;

  __device__ Slots(const DeviceBlock& block, const StatelessShape& shape)
      : period(shape.period), each((block.count + shape.period - 1) / shape.period) {}
  __device__ std::size_t count() const { return std::size_t{each} * period; }
  __device__ std::uint32_t trajectory(std::uint32_t slot) const { return slot / each + slot % each * period; }
};

__global__ void draw_stateless_paths(DeviceBlock block, StatelessShape shape) {
  const Slots slots(block, shape);
  const std::uint32_t slot = blockIdx.x * blockDim.x + threadIdx.x;
  if (slot >= slots.count() || slots.trajectory(slot) >= block.count) return;
  Place places[1U << kStatelessPlanes];
  InterleavedPath path = InterleavedPath::of(block, slots.count(), slot);
  path.places = places;
  const TrajectoryId id = id_of(block, slots.trajectory(slot));
  draw_samples(block.plan, id, path);
  count_samples(block.plan, id, path, block.path_tally);
}

/// Masks in 32-bit words, the width of a device's registers.
template <int Words>
struct NarrowMask {
  std::uint32_t word[2 * Words] = {};

  __device__ static NarrowMask load(const std::uint64_t* from) {
    NarrowMask mask;
    const auto* words = reinterpret_cast<const uint2*>(from);
    for (int w = 0; w < Words; ++w) {
      const uint2 both = words[w];
      mask.word[2 * w] = both.x;
      mask.word[2 * w + 1] = both.y;
    }
    return mask;
  }
  __device__ std::uint32_t count() const {
    std::uint32_t total = 0;
    for (int w = 0; w < 2 * Words; ++w) total += __popc(word[w]);
    return total;
  }
};

/// How often each expert was chosen, bit by bit: bit e of plane p is bit p of expert e's count.
template <int Words>
struct ChoiceCounts {
  std::uint32_t plane[kStatelessPlanes][2 * Words] = {};

  /// Adds the `number`-th set of choices (from 1 on).
  __device__ void add(const NarrowMask<Words>& chosen, std::uint32_t number) {
    NarrowMask<Words> carry = chosen;
#pragma unroll
    for (int p = 0; p < kStatelessPlanes; ++p) {
      if (number >> p == 0) break;
      for (int w = 0; w < 2 * Words; ++w) {
        const std::uint32_t both = plane[p][w] & carry.word[w];
        plane[p][w] ^= carry.word[w];
        carry.word[w] = both;
      }
    }
  }
};

/// One round of one trajectory a thread at one depth, for every batch and capacity.
template <int Words>
struct StatelessRound {
  static constexpr int kWords = 2 * Words;  // of 32 bits

  const DeviceBlock& block;
  const StatelessShape& shape;
  const std::uint64_t* masks;  ///< of the layer; the mask of token t is at t * stride
  std::size_t stride;
  const std::uint32_t* capacities;  ///< [shape.capacities] at this layer
  std::uint32_t* exchange;          ///< [shape.rows()][kStatelessRow] of this warp
  std::uint32_t* totals;            ///< [cells][shape.width()]
  std::uint32_t* distinct;          ///< [cells][experts + 1] passes by number of distinct experts; null: not counted

  /// Whole warps: a thread without a trajectory (`exists` is false) lends a hand in counting.
  __device__ void operator()(const InterleavedPath& path, bool exists, std::uint64_t number, std::uint32_t round,
                             std::uint32_t d) const {
    const PlanView& plan = block.plan;
    const std::uint32_t depth = plan.cells[d].depth;
    const std::uint32_t step = depth > 0 ? counted_step(number, round, depth) : ~0U;
    NarrowMask<Words> all, kept;
    ChoiceCounts<Words> drafted;
    std::uint32_t cell = d;
    for (std::uint32_t request = 0; request < plan.max_batch; ++request) {
      const std::size_t place = std::size_t{round} * plan.max_batch + request;
      const bool fits = exists && depth <= path.reach[place];
      if (fits) {
        // The columns of a request are neighbouring tokens up to its reach.
        const std::uint64_t* mask = masks + path.tokens[place * (plan.max_depth + 1)] * stride;
        const std::uint32_t accepted =
            path.accepted[(std::size_t{round} * plan.depth_count + d) * plan.max_batch + request];
        NarrowMask<Words> running;
        for (std::uint32_t column = 0; column <= depth; ++column, mask += stride) {
          const auto chosen = NarrowMask<Words>::load(mask);
          for (int w = 0; w < kWords; ++w) running.word[w] |= chosen.word[w];
          if (column == accepted) {
            for (int w = 0; w < kWords; ++w) kept.word[w] |= running.word[w];
          }
          if (column == step) drafted.add(chosen, request + 1);
        }
        for (int w = 0; w < kWords; ++w) all.word[w] |= running.word[w];
      }
      if (cell < plan.cell_count && plan.cells[cell].batch == request + 1) {
        count(cell, fits, all, kept, drafted, request + 1);
        cell += plan.depth_count;
      }
    }
  }

  __device__ void count(std::uint32_t cell, bool counts, const NarrowMask<Words>& all, const NarrowMask<Words>& kept,
                        const ChoiceCounts<Words>& drafted, std::uint32_t batch) const {
    const std::uint32_t rounds = __popc(__ballot_sync(kWholeWarp, counts));
    if (rounds == 0) return;
    std::uint32_t* const record = totals + cell * shape.width();
    const std::uint32_t lane = threadIdx.x % 32;
    const std::uint32_t experts = counts ? all.count() : 0;
    // Both are below 2^11, their sums below 2^16.
    const std::uint32_t sums = __reduce_add_sync(kWholeWarp, experts | (counts ? kept.count() : 0) << 16);
    if (lane < 3) atomicAdd(record + lane, lane == 0 ? rounds : lane == 1 ? sums & 0xffffU : sums >> 16);
    if (counts && distinct != nullptr) atomicAdd(distinct + cell * (block.routing.experts + 1) + experts, 1U);

    __syncwarp();
    std::uint32_t hits_below = 0, rejected_below = 0;  // in the words before
    for (int w = 0; w < kWords; ++w) {
      const std::uint32_t own = counts ? all.word[w] : 0;
      const std::uint32_t rejected = own & ~kept.word[w];
      row(w)[lane] = own;
      row(kWords + w)[lane] = rejected;
      row(2 * kWords + w)[lane] = hits_below | rejected_below << 16;
      hits_below += __popc(own);
      rejected_below += __popc(rejected);
    }
    __syncwarp();
    at_every_capacity(record + 3, [&](std::uint32_t w, std::uint32_t mask, std::uint32_t t) {
      const std::uint32_t below = row(2 * kWords + w)[t];
      return uint2{(below & 0xffffU) + __popc(row(w)[t] & mask), (below >> 16) + __popc(row(kWords + w)[t] & mask)};
    });

    __syncwarp();
    std::uint32_t choices_below = 0;
    for (int w = 0; w < kWords; ++w) {
      row(kStatelessPlanes * kWords + w)[lane] = choices_below;
#pragma unroll
      for (int p = 0; p < kStatelessPlanes; ++p) {
        if (batch >> p == 0) break;
        const std::uint32_t plane = counts ? drafted.plane[p][w] : 0;
        row(p * kWords + w)[lane] = plane;
        choices_below += __popc(plane) << p;
      }
    }
    __syncwarp();
    at_every_capacity(record + 3 + 2 * shape.capacities, [&](std::uint32_t w, std::uint32_t mask, std::uint32_t t) {
      std::uint32_t choices = row(kStatelessPlanes * kWords + w)[t];
#pragma unroll
      for (int p = 0; p < kStatelessPlanes; ++p) {
        if (batch >> p == 0) break;
        choices += __popc(row(p * kWords + w)[t] & mask) << p;
      }
      return choices;
    });
  }

  __device__ std::uint32_t* row(std::uint32_t index) const {
    return exchange + index * kStatelessRow;
  }

  __device__ static std::uint32_t plus(std::uint32_t a, std::uint32_t b) {
    return a + b;
  }
  __device__ static uint2 plus(uint2 a, uint2 b) {
    return {a.x + b.x, a.y + b.y};
  }
  __device__ static std::uint32_t from(std::uint32_t a, std::uint32_t lane) {
    return __shfl_xor_sync(kWholeWarp, a, lane);
  }
  __device__ static uint2 from(uint2 a, std::uint32_t lane) {
    return {from(a.x, lane), from(a.y, lane)};
  }
  __device__ void add(std::uint32_t* into, std::uint32_t a) const {
    atomicAdd(into, a);
  }
  __device__ void add(std::uint32_t* into, uint2 a) const {
    atomicAdd(into, a.x);
    atomicAdd(into + shape.capacities, a.y);
  }

  /// Sums of(w, mask, t) over the warp's trajectories t for each capacity, whose residents are the words below w and
  /// `mask` of word w; adds them to into[capacity].
  template <class Of>
  __device__ void at_every_capacity(std::uint32_t* into, const Of& of) const {
    const std::uint32_t lanes = shape.lanes();  // that share the capacities out; the warp has 32 / lanes such sets
    const std::uint32_t lane = threadIdx.x % 32;
    for (std::uint32_t first = 0; first < shape.capacities; first += lanes) {
      const std::uint32_t c = min(first + lane % lanes, shape.capacities - 1);
      const std::uint32_t w = min(capacities[c] / 32, kWords - 1U);
      const std::uint32_t inside = capacities[c] - 32 * w;
      const std::uint32_t mask = inside >= 32 ? ~0U : (1U << inside) - 1;
      decltype(of(0U, 0U, 0U)) sum{};
#pragma unroll 4
      for (std::uint32_t t = lane / lanes; t < 32; t += 32 / lanes) sum = plus(sum, of(w, mask, t));
      for (std::uint32_t other = lanes; other < 32; other *= 2) sum = plus(sum, from(sum, other));
      if (lane < lanes && first + lane < shape.capacities) add(into + c, sum);
    }
  }
};

template <int Words>
__global__ void __launch_bounds__(kStatelessThreads, 1) replay_stateless(DeviceBlock block, StatelessShape shape) {
  extern __shared__ std::uint64_t shared[];
  const PlanView& plan = block.plan;
  const std::uint32_t layer = block.first_layer + blockIdx.x;
  const std::uint32_t first = blockIdx.y;  // the block's trajectories are first, first + period, ...
  auto* const exchange = reinterpret_cast<std::uint32_t*>(shared + shape.staged_words);
  std::uint32_t* const totals = exchange + shape.exchange_words();
  std::uint32_t* const distinct = totals + plan.cell_count * shape.width();
  std::uint32_t* const capacities = distinct + plan.cell_count * (block.routing.experts + 1);
  for (std::uint32_t i = threadIdx.x; i < shape.counters(); i += blockDim.x) totals[i] = 0;
  for (std::uint32_t c = threadIdx.x; c < shape.capacities; c += blockDim.x)
    capacities[c] = plan.capacities[plan.cells[0].first_capacity + c].at(layer);
  for (std::uint32_t i = threadIdx.x; i < shape.staged_words; i += blockDim.x) {
    shared[i] = block.routing.masks[(std::size_t{i / Words} * block.routing.stride + layer) * Words + i % Words];
  }
  __syncthreads();

  const bool staged = shape.staged_words > 0;
  const StatelessRound<Words> replay{block,
                                     shape,
                                     staged ? shared : block.routing.masks + std::size_t{layer} * Words,
                                     staged ? Words : std::size_t{block.routing.stride} * Words,
                                     capacities,
                                     exchange + threadIdx.x / 32 * shape.rows() * kStatelessRow,
                                     totals,
                                     block.stream == Stream::main ? distinct : nullptr};
  const Slots slots(block, shape);
  const std::uint32_t own = (block.count - first + shape.period - 1) / shape.period;  // trajectories of the block
  for (std::uint32_t i = threadIdx.x / 32 * 32; i < own; i += blockDim.x) {           // whole warps
    const std::uint32_t mine = i + threadIdx.x % 32;
    const bool exists = mine < own;
    const auto path = InterleavedPath::of(block, slots.count(), std::size_t{first} * slots.each + mine);
    const std::uint64_t number = block.first + first + std::uint64_t{mine} * shape.period;
    for (std::uint32_t round = 0; round < plan.rounds; ++round) {
      for (std::uint32_t d = 0; d < plan.depth_count; ++d) replay(path, exists, number, round, d);
    }
  }
  __syncthreads();

  const TrajectoryId id = id_of(block, first);
  const auto add = [&](std::uint64_t by_layer, std::uint64_t by_group, std::uint64_t amount) {
    if (amount == 0) return;
    if (id.is_main()) block.tally.add(by_layer, amount);
    block.tally.add(by_group, amount);
  };
  for (std::uint32_t i = threadIdx.x; i < plan.cell_count * shape.width(); i += blockDim.x) {
    const Cell& cell = plan.cells[i / shape.width()];
    const std::uint32_t* record = totals + i / shape.width() * shape.width();
    const std::uint32_t field = i % shape.width();
    const std::uint64_t layer_row = cell.unions_by_layer + std::uint64_t{layer} * cell.union_width();
    const std::uint64_t group_row = cell.unions_by_group + std::uint64_t{id.group} * cell.union_width();
    if (field == 0) {
      const std::uint64_t choices = std::uint64_t{record[0]} * cell.batch * plan.drafting_top_k;
      add(layer_row + Cell::kDraftChoices, group_row + Cell::kDraftChoices, cell.depth > 0 ? choices : 0);
    } else if (field < 3) {
      const std::uint32_t to = field == 1 ? Cell::kDistinct : Cell::kDistinctAccepted;
      add(layer_row + to, group_row + to, record[field]);
    } else {
      const std::uint32_t c = (field - 3) % shape.capacities;
      const std::uint64_t width = cell.point_width();
      const std::uint64_t to_layer = cell.points_by_layer + (std::uint64_t{c} * block.routing.layers + layer) * width;
      const std::uint64_t to_group = cell.points_by_group + (std::uint64_t{c} * plan.groups.total() + id.group) * width;
      switch ((field - 3) / shape.capacities) {
        case 0:
          add(to_layer + Cell::kHits, to_group + Cell::kHits, record[field]);
          break;
        case 1:  // rejected experts that were resident: the others were fetched
          add(to_layer + Cell::kRejectedOnly, to_group + Cell::kRejectedOnly, record[1] - record[2] - record[field]);
          break;
        default:
          add(to_layer + Cell::kDraftHits, to_group + Cell::kDraftHits, record[field]);
          break;
      }
    }
  }
  if (!id.is_main()) return;
  for (std::uint32_t i = threadIdx.x; i < plan.cell_count * (block.routing.experts + 1); i += blockDim.x) {
    const Cell& cell = plan.cells[i / (block.routing.experts + 1)];
    const std::uint64_t row = std::uint64_t{layer} * (block.routing.experts + 1);
    if (distinct[i] > 0) block.tally.add(cell.distinct + row + i % (block.routing.experts + 1), distinct[i]);
  }
}

}  // namespace

cudaError_t launch_stateless(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream) {
  const dim3 blocks(block.layer_count, std::min(block.count, shape.period));
  const std::uint64_t slots = std::uint64_t{(block.count + shape.period - 1) / shape.period} * shape.period;
  draw_stateless_paths<<<blocks_for(slots), kThreads, 0, stream>>>(block, shape);
  return for_words(block.routing.experts, [&](auto words) {
    cudaFuncSetAttribute(replay_stateless<words>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(shape.shared_bytes()));
    replay_stateless<words><<<blocks, kStatelessThreads, shape.shared_bytes(), stream>>>(block, shape);
  });
}

}  // namespace moecarlo
