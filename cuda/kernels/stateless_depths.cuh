#pragma once

#include "cuda/core/draft.hpp"
#include "cuda/kernels/stateless_counts.cuh"
#include "cuda/kernels/stateless_path.cuh"

namespace moecarlo {

/// A set of `Slots` neighbouring depths of the grid, in one layer. Whole warps: a thread without a trajectory lends a
/// hand in counting.
template <int Words, int Slots, bool Table>
struct StatelessDepths {
  using Product = ProductShape<Words, Slots>;
  static constexpr std::uint32_t kWords = Product::kWords;
  using Sets = std::uint32_t[Slots][kWords];

  const DeviceBlock& block;
  const StatelessShape& shape;
  const std::uint64_t* masks;  ///< of the layer; the mask of token t is at t * stride
  std::uint32_t stride;
  const std::uint32_t* capacities;    ///< [shape.capacities] at this layer
  const std::uint64_t* choice_table;  ///< [tokens][shape.table_words()], see choice_counts; where there is one (Table)
  std::uint32_t* exchange;            ///< [shape.rows()][kStatelessRow] of this warp
  std::uint32_t* totals;              ///< [cells][shape.width()]
  std::uint32_t* distinct;            ///< [cells][experts + 1] passes by number of distinct experts; null: not counted
  std::uint32_t first_depth = 0;      ///< of the grid's, that slot 0 has
  std::uint64_t packed_depths = 0;    ///< of slot j in byte j; memory would be asked again after each store to another

  __device__ std::uint32_t* row(std::uint32_t index) const { return exchange + index * kStatelessRow; }
  __device__ bool has(std::uint32_t slot) const { return first_depth + slot < block.plan.depth_count; }
  __device__ std::uint32_t depth(std::uint32_t slot) const {
    return static_cast<std::uint32_t>(packed_depths >> (8 * slot)) & 0xffU;
  }
  __device__ std::uint32_t last_depth() const {
    return depth(min(std::uint32_t{Slots}, block.plan.depth_count - first_depth) - 1);
  }
  __device__ std::uint32_t cell(std::uint32_t batch_index) const {
    return batch_index * block.plan.depth_count + first_depth;
  }

  /// Takes the depths from number `first` on.
  __device__ void take(std::uint32_t first) {
    first_depth = first;
    packed_depths = 0;
    for (std::uint32_t j = 0; j < Slots && has(j); ++j) {
      packed_depths |= std::uint64_t{block.plan.cells[first + j].depth} << (8 * j);
    }
  }

  /// One round of one trajectory a thread.
  __device__ void operator()(const InterleavedPath& path, bool exists, std::uint64_t number,
                             std::uint32_t round) const {
    const PlanView& plan = block.plan;
    Sets all = {}, kept = {};
    std::uint32_t batch_index = 0, batch = plan.cells[cell(0)].batch;
    for (std::uint32_t request = 0; request < plan.max_batch; ++request) {
      const std::size_t place = std::size_t{round} * plan.max_batch + request;
      // Depths below it count. Columns up to the reach are neighbouring tokens.
      const std::uint32_t reached = exists ? path.reach[place] + 1 : 0;
      unite(path, place, round, request, reached, all, kept);
      if (batch == request + 1) {
        count_unions(cell(batch_index), reached, all, kept);
        if (++batch_index == shape.batches()) break;
        batch = plan.cells[cell(batch_index)].batch;
      }
    }
    if constexpr (Table) {
      look_choices_up(path, exists, number, round);
    } else {
      multiply_choices(path, exists, number, round);
    }
  }

  /// Adds a request to the unions of all its columns and of the accepted ones.
  __device__ void unite(const InterleavedPath& path, std::size_t place, std::uint32_t round, std::uint32_t request,
                        std::uint32_t reached, Sets& all, Sets& kept) const {
    const PlanView& plan = block.plan;
    const std::uint64_t* mask =
        masks + std::size_t{reached > 0 ? path.tokens[place * (plan.max_depth + 1)] : 0} * stride;
    std::uint32_t accepted[Slots];
#pragma unroll
    for (std::uint32_t j = 0; j < Slots; ++j) {
      const std::size_t of_depth = std::size_t{round} * plan.depth_count + first_depth + j;
      accepted[j] = has(j) && reached > 0 ? path.accepted[of_depth * plan.max_batch + request] : ~0U;
    }
    std::uint32_t running[kWords] = {};
    std::uint32_t column = 0;
#pragma unroll
    for (std::uint32_t j = 0; j < Slots; ++j) {
      if (!has(j)) break;
      for (; column <= depth(j); ++column, mask += stride) {
        if (column < reached) {
          const auto* words = reinterpret_cast<const uint2*>(mask);
#pragma unroll
          for (std::uint32_t w = 0; w < kWords; w += 2) {
            const uint2 both = words[w / 2];
            running[w] |= both.x;
            running[w + 1] |= both.y;
          }
        }
#pragma unroll
        for (std::uint32_t i = j; i < Slots; ++i) {
          if (column == accepted[i]) {
#pragma unroll
            for (std::uint32_t w = 0; w < kWords; ++w) kept[i][w] |= running[w];
          }
        }
      }
#pragma unroll
      for (std::uint32_t w = 0; w < kWords; ++w) all[j][w] |= running[w];
    }
  }

  __device__ void count_unions(std::uint32_t first_cell, std::uint32_t reached, const Sets& all,
                               const Sets& kept) const {
    if (!__any_sync(kWholeWarp, depth(0) < reached)) return;
    std::uint32_t* const record = totals + first_cell * shape.width();
    bool counts[Slots];
    std::uint32_t rounds = 0, sizes = 0;  // those of a slot in the lane of its number
#pragma unroll
    for (std::uint32_t j = 0; j < Slots; ++j) {
      counts[j] = has(j) && depth(j) < reached;
      const std::uint32_t of_slot = __popc(__ballot_sync(kWholeWarp, counts[j]));
      const std::uint32_t size = counts[j] ? size_of(all[j]) : 0, kept_size = counts[j] ? size_of(kept[j]) : 0;
      // Both are below 2^11, their sums below 2^16.
      const std::uint32_t both = __reduce_add_sync(kWholeWarp, size | kept_size << 16);
      if (threadIdx.x % 32 == j) {
        rounds = of_slot;
        sizes = both;
      }
      if (counts[j] && distinct != nullptr) atomicAdd(distinct + (first_cell + j) * (shape.experts + 1) + size, 1U);
    }
    if (rounds > 0) {
      std::uint32_t* const own = record + threadIdx.x % 32 * shape.width();
      atomicAdd(own, rounds);
      atomicAdd(own + 1, sizes & 0xffffU);
      atomicAdd(own + 2, sizes >> 16);
    }
    count_below(record + 3, 1, exchanged(all, counts));
    count_below(record + 3 + shape.capacities, 1, exchanged(kept, counts));
  }

  __device__ static std::uint32_t size_of(const std::uint32_t (&set)[kWords]) {
    std::uint32_t size = 0;
    for (std::uint32_t w = 0; w < kWords; ++w) size += __popc(set[w]);
    return size;
  }

  /// The sets of all threads, for count_below.
  __device__ auto exchanged(const Sets& sets, const bool (&counts)[Slots]) const {
    __syncwarp();
#pragma unroll
    for (std::uint32_t j = 0; j < Slots; ++j) {
#pragma unroll
      for (std::uint32_t w = 0; w < kWords; ++w) {
        row(j * kWords + w)[threadIdx.x % 32] = counts[j] ? sets[j][w] : 0;
      }
    }
    __syncwarp();
    return [this](const auto& take) {
      constexpr std::uint32_t kEach = 2 * Product::kAside * Product::kMasks;  // trajectories
      const Product at;
#pragma unroll
      for (std::uint32_t first = 0; first < 32; first += kEach) {
#pragma unroll
        for (std::uint32_t part = 0; part < Product::kParts; ++part) {
          std::uint32_t words[4];
#pragma unroll
          for (int m = 0; m < 4; ++m) {
            const std::uint32_t trajectory = first + at.aside(m) * Product::kMasks + at.mask(m);
            words[m] = kEach <= 32 || trajectory < 32 ? row(at.slot() * kWords + at.word(m, part))[trajectory] : 0;
          }
          take(words, part);
        }
      }
    };
  }

  /// Writes the first token of each request to the rows, then for each batch the depths that it reaches: those below.
  __device__ void tell_requests(const InterleavedPath& path, bool exists, std::uint32_t round) const {
    const PlanView& plan = block.plan;
    const std::uint32_t lane = threadIdx.x % 32;
    const std::size_t first_place = std::size_t{round} * plan.max_batch;
    __syncwarp();
    for (std::uint32_t request = 0; request < plan.max_batch; ++request) {
      row(request)[lane] = exists ? path.tokens[(first_place + request) * (plan.max_depth + 1)] : 0;
    }
    for (std::uint32_t b = 0; b < shape.batches(); ++b) {
      row(plan.max_batch + b)[lane] = exists ? path.reach[first_place + plan.cells[cell(b)].batch - 1] + 1 : 0;
    }
  }

  /// The choices of the sampled draft steps below each capacity, from a table of every token's.
  __device__ void look_choices_up(const InterleavedPath& path, bool exists, std::uint64_t number,
                                  std::uint32_t round) const {
    const PlanView& plan = block.plan;
    const std::uint32_t lane = threadIdx.x % 32, reach_row = plan.max_batch, batches = shape.batches();
    tell_requests(path, exists, round);
    for (std::uint32_t j = 0; j < Slots && has(j); ++j) {
      if (depth(j) == 0) continue;
      const std::uint32_t step = counted_step(number, round, depth(j));
      for (std::uint32_t word = 0; word < shape.table_words(); ++word) {
        ChoiceSums sums;
        std::uint32_t request = 0;
        for (std::uint32_t b = 0; b < batches; ++b) {
          const std::uint32_t batch = plan.cells[cell(b)].batch;
          const bool counts = depth(j) < row(reach_row + b)[lane];
          // A request that does not reach the depth could be near the end of the trace.
          for (; request < batch && counts; ++request) {
            sums.add(choice_table[(row(request)[lane] + step) * shape.table_words() + word]);
          }
          sums.count(counts, totals + (cell(b) + j) * shape.width() + 3 + 2 * shape.capacities, 16 * word,
                     shape.capacities);
        }
      }
    }
  }

  /// The choices of the sampled draft steps. Each batch counts those of the requests that the batch before it has not,
  /// and leaves out again what a smaller batch did count and it itself must not, as not all of its requests reach the
  /// depth; so a cell's choices are the sum over the batches up to its own.
  __device__ void multiply_choices(const InterleavedPath& path, bool exists, std::uint64_t number,
                                   std::uint32_t round) const {
    const PlanView& plan = block.plan;
    if (last_depth() == 0) return;
    const std::uint32_t lane = threadIdx.x % 32, reach_row = plan.max_batch, step_row = reach_row + shape.batches();
    tell_requests(path, exists, round);
    for (std::uint32_t j = 0; j < Slots; ++j) {
      row(step_row + j)[lane] = has(j) && depth(j) > 0 ? counted_step(number, round, depth(j)) : 0;
    }
    __syncwarp();

    std::uint32_t before = 0;  // the batch's that is smaller by one
    for (std::uint32_t b = 0; b < shape.batches(); ++b) {
      const std::uint32_t batch = plan.cells[cell(b)].batch;
      std::uint32_t* const record = totals + cell(b) * shape.width() + 3 + 2 * shape.capacities;
      const std::uint32_t* reached = row(reach_row + b);
      count_below(record, 1, choices(before, batch, step_row, [=](std::uint32_t depth, std::uint32_t trajectory) {
                    return depth < reached[trajectory];
                  }));
      const std::uint32_t* reached_before = row(reach_row + b - (b > 0 ? 1 : 0));
      if (__any_sync(kWholeWarp, reached[lane] < reached_before[lane] && reached[lane] <= last_depth())) {
        count_below(record, ~0U, choices(0, before, step_row, [=](std::uint32_t depth, std::uint32_t trajectory) {
                      return depth < reached_before[trajectory] && depth >= reached[trajectory];
                    }));
      }
      before = batch;
    }
  }

  /// The choices of requests first .. last - 1 where counts(depth, trajectory), for count_below.
  template <class Counts>
  __device__ auto choices(std::uint32_t first, std::uint32_t last, std::uint32_t step_row, const Counts& counts) const {
    return [=, this](const auto& take) {
      const Product at;
      const auto* words_of = reinterpret_cast<const std::uint32_t*>(masks);
      const std::uint32_t own_depth = has(at.slot()) ? depth(at.slot()) : 0;
      for (std::uint32_t trajectories = 0; trajectories < 32; trajectories += 2 * Product::kAside) {
        bool counted[2];
        std::uint32_t step[2];
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          const std::uint32_t trajectory = trajectories + at.aside(m);
          counted[m] = own_depth > 0 && counts(own_depth, trajectory);
          step[m] = row(step_row + at.slot())[trajectory];
        }
        for (std::uint32_t request = first; request < last; request += Product::kMasks) {
#pragma unroll
          for (std::uint32_t part = 0; part < Product::kParts; ++part) {
            std::uint32_t words[4];
#pragma unroll
            for (int m = 0; m < 4; ++m) {
              const std::uint32_t own = request + at.mask(m);
              words[m] = 0;
              if (counted[m % 2] && own < last) {
                const std::uint32_t token = row(own)[trajectories + at.aside(m)] + step[m % 2];
                words[m] = words_of[std::size_t{token} * stride * 2 + at.word(m, part)];
              }
            }
            __syncwarp();  // products take all threads of a warp
            take(words, part);
          }
        }
      }
    };
  }

  /// Adds sign * (how many experts below each capacity the sets of `source` have) to a section of the slots' records;
  /// `into`: that of slot 0. source(take) calls take(row_words, part) for all of its sets.
  template <class Source>
  __device__ void count_below(std::uint32_t* into, std::uint32_t sign, const Source& source) const {
    constexpr std::uint32_t kTiles = Product::kTiles;
    const std::uint32_t lane = threadIdx.x % 32;
    for (std::uint32_t first = 0; first < shape.capacities; first += 8 * kTiles) {
      std::uint32_t below[kTiles][Product::kParts][2];
#pragma unroll
      for (std::uint32_t tile = 0; tile < kTiles; ++tile) {
        const std::uint32_t c = first + 8 * tile + lane / 4;
        const std::uint32_t capacity = c < shape.capacities ? capacities[c] : 0;
#pragma unroll
        for (std::uint32_t part = 0; part < Product::kParts; ++part) {
          for (int half = 0; half < 2; ++half) {
            below[tile][part][half] = word_below(capacity, Product{}.word(2 * half, part));
          }
        }
      }
      IntersectionSizes sizes[kTiles];
      __syncwarp();
      source([&](const std::uint32_t(&words)[4], std::uint32_t part) {
#pragma unroll
        for (std::uint32_t tile = 0; tile < kTiles; ++tile) {
          if (first + 8 * tile < shape.capacities) sizes[tile].add(words, below[tile][part]);
        }
      });
      if (!has(Product{}.slot())) continue;
#pragma unroll
      for (std::uint32_t tile = 0; tile < kTiles; ++tile) {
        for (std::uint32_t i = 0; i < 2; ++i) {
          const std::uint32_t c = first + 8 * tile + lane % 4 * 2 + i;
          const std::uint32_t amount = sizes[tile].of[i] + sizes[tile].of[2 + i];
          if (c < shape.capacities && amount > 0) atomicAdd(into + Product{}.slot() * shape.width() + c, sign * amount);
        }
      }
    }
  }
};

}  // namespace moecarlo
