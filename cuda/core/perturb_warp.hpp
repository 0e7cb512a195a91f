#pragma once

#include "cuda/core/drawn_rows.hpp"
#include "cuda/core/warp.hpp"

#if defined(MOECARLO_WARP)

namespace moecarlo {

/// How a warp draws rows: each of its threads one at a time, and the next one as soon as that is finished. A row that
/// all its alias draws leave unfinished is completed by the whole warp, as few are and nearly every warp has one.
///
/// A row's experts are those of draw_routing. While they are drawn they are sets of 32-bit words in shared memory: a
/// thread that kept its set in registers would have to go through all of them to find the word of an expert.
template <int Words>
struct RowWarp {
  static constexpr std::uint32_t kWords = 2 * Words;            // of 32 bits
  static constexpr std::uint32_t kPerThread = 64 * Words / 32;  // experts

  const DrawnRows& rows;
  std::uint32_t at_once;  ///< rows that the warp takes for itself
  std::uint32_t* sets;    ///< [kWords][32] of the threads of this warp, in shared memory
  std::uint32_t lane;     ///< of this thread

  /// The row of this thread.
  bool busy = false;
  RowPlace place{};
  std::uint32_t table_row = 0;
  const std::uint32_t* cells = nullptr;  ///< alias table of the row
  std::uint32_t block = 0;               ///< of alias draws that comes next
  std::uint32_t missing = 0;             ///< experts

  /// Rows that the warp has taken: they begin with `next`.
  std::uint32_t next = 0, last = 0;
  std::uint64_t ahead = 0;  ///< TokenColumn of row next + lane, read a turn before somebody needs it

  /// Draws rows until all are taken. For all threads of a warp together.
  __device__ void operator()() {
    for (go_on(0);;) {
      const std::uint32_t idle = __ballot_sync(kWholeWarp, !busy);
      const auto before = static_cast<std::uint32_t>(__popc(idle & ((1U << lane) - 1)));
      const std::uint64_t column = __shfl_sync(kWholeWarp, ahead, static_cast<int>(before));
      if (!busy && before < last - next) begin(next + before, column);
      go_on(static_cast<std::uint32_t>(__popc(idle)));
      if (__ballot_sync(kWholeWarp, busy) == 0) return;
      if (block < kAliasBlocks && missing > 0) draw();
      for (std::uint32_t open = __ballot_sync(kWholeWarp, block == kAliasBlocks && missing > 0); open != 0;
           open &= open - 1) {
        complete(static_cast<std::uint32_t>(__ffs(static_cast<int>(open))) - 1);
      }
      if (busy && missing == 0) end();
    }
  }

 private:
  /// Leaves so many rows behind; takes others when none is left.
  __device__ void go_on(std::uint32_t begun) {
    next = min(last, next + begun);
    if (next == last && last < rows.count()) {
      if (lane == 0) next = atomicAdd(rows.taken, at_once);
      next = min(rows.count(), __shfl_sync(kWholeWarp, next, 0));
      last = min(rows.count(), next + at_once);
    }
    const std::uint32_t row = next + lane;
    if (row < last) ahead = rows.in_order[row - rows.path_columns.quotient(row) * rows.path_columns.by];
  }

  __device__ std::uint32_t& word(std::uint32_t w, std::uint32_t of_lane) const { return sets[w * 32 + of_lane]; }

  /// column: TokenColumn of the row.
  __device__ void begin(std::uint32_t row, std::uint64_t column) {
    const std::uint32_t token = TokenColumn::token(column);
    place = rows.numbers.place(TokenColumn::number(column), rows.path_columns.quotient(row));
    busy = true;
    table_row = rows.table_row(place, token);
    cells = rows.perturb.alias + std::size_t{table_row} * rows.perturb.experts;
    block = rows.perturb.alias != nullptr ? 0 : kAliasBlocks;
    missing = token < rows.tokens ? rows.perturb.top_k : 0;
    for (std::uint32_t w = 0; w < kWords; ++w) word(w, lane) = 0;
  }

  __device__ void end() {
    std::uint64_t* const into = rows.masks + std::size_t{rows.mask(place)} * Words;
    for (std::uint32_t w = 0; w < Words; ++w) {
      into[w] = std::uint64_t{word(2 * w + 1, lane)} << 32 | word(2 * w, lane);
    }
    busy = false;
  }

  /// Makes one block of alias draws.
  __device__ void draw() {
    const RandomBlock random = rows.block(place, Purpose::perturb, block++);
    std::uint32_t drawn[4];  // all cells are loaded before the first is judged
    for (int i = 0; i < 4; ++i) drawn[i] = alias_draw(cells, rows.perturb.experts, random.word[i]);
    for (int i = 0; i < 4; ++i) {
      std::uint32_t& own = word(drawn[i] / 32, lane);
      const std::uint32_t before = own;
      const std::uint32_t after = missing > 0 ? before | 1U << drawn[i] % 32 : before;
      missing -= after != before ? 1 : 0;
      own = after;
    }
  }

  /// Chooses what the row of thread `owner` misses by Gumbel-top-k. Each thread has the keys of neighbouring experts.
  __device__ void complete(std::uint32_t owner) {
    const auto of_owner = [&](std::uint32_t number) {
      return __shfl_sync(kWholeWarp, number, static_cast<int>(owner));
    };
    const RowPlace at{of_owner(place.trajectory), of_owner(place.pass), of_owner(place.column), of_owner(place.request),
                      of_owner(place.layer)};
    const std::uint32_t row = of_owner(table_row);
    std::uint32_t left = of_owner(missing);
    std::uint32_t keys[kPerThread];
    __syncwarp();  // the owner has written its set
    set_keys(at, row, owner, keys);
    __syncwarp();  // all have read it
    for (; left > 0; --left) {
      const std::uint32_t expert = take_largest(keys);
      if (lane == owner) word(expert / 32, lane) |= 1U << expert % 32;
    }
    if (lane == owner) missing = 0;
  }

  /// keys: [kPerThread] of the experts from lane * kPerThread on, in the order of the signed keys; 0: none.
  __device__ void set_keys(const RowPlace& at, std::uint32_t row, std::uint32_t owner,
                           std::uint32_t (&keys)[kPerThread]) const {
    const std::int32_t* const logits = rows.perturb.logits + std::size_t{row} * rows.perturb.experts;
    const std::uint32_t first = lane * kPerThread;
    std::int32_t sums[kPerThread];  // of logit and noise: all are loaded before the first is judged
    RandomBlock random{};
    MOECARLO_UNROLLED for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint32_t expert = first + i;
      if (i % 8 == 0) {
        const Purpose purpose = expert / 8 < DrawAddress::kBlocks ? Purpose::perturb_key : Purpose::perturb_key_high;
        random = rows.block(at, purpose, expert / 8 % DrawAddress::kBlocks);
      }
      const std::uint32_t pair = expert % 8 / 2;
      const std::uint32_t low = pair % 2 == 0 ? random.word[0] : random.word[1];
      const std::uint32_t high = pair % 2 == 0 ? random.word[2] : random.word[3];
      const std::uint32_t uniform = (pair < 2 ? low : high) >> (expert % 2 * 16) & 0xffffU;
      sums[i] = logits[min(expert, rows.perturb.experts - 1)] + rows.perturb.gumbel[uniform];
    }
    MOECARLO_UNROLLED for (std::uint32_t i = 0; i < kPerThread; ++i) {
      const std::uint32_t expert = first + i;
      const bool open = expert < rows.perturb.experts && (word(expert / 32, owner) >> expert % 32 & 1U) == 0;
      keys[i] = open ? static_cast<std::uint32_t>(sums[i]) ^ 0x80000000U : 0;
    }
  }

  /// The expert with the largest key of all threads, of equal ones the lowest; its key is 0 from now on.
  __device__ std::uint32_t take_largest(std::uint32_t (&keys)[kPerThread]) const {
    std::uint32_t own = 0, own_index = 0;
    MOECARLO_UNROLLED for (std::uint32_t i = 0; i < kPerThread; ++i) {
      if (keys[i] <= own) continue;
      own = keys[i];
      own_index = i;
    }
    const std::uint32_t largest = __reduce_max_sync(kWholeWarp, own);
    const int winner = __ffs(static_cast<int>(__ballot_sync(kWholeWarp, own == largest))) - 1;
    const std::uint32_t expert = __shfl_sync(kWholeWarp, lane * kPerThread + own_index, winner);
    MOECARLO_UNROLLED for (std::uint32_t i = 0; i < kPerThread; ++i) {
      if (lane * kPerThread + i == expert) keys[i] = 0;
    }
    return expert;
  }
};

}  // namespace moecarlo

#endif
