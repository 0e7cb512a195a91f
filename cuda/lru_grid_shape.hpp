#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "cuda/core/plan.hpp"
#include "cuda/core/policy/lru_stack.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// Requests of the largest batch of a cell that a kernel of LRU grids takes.
constexpr std::uint32_t kMostLruGridRequests = 64;

/// Threads of a block at most: a launch with few trajectories has less.
constexpr std::uint32_t kMostLruGridThreads = 512;

/// Bytes of a table that gives the interval of the capacities that a position lies in.
constexpr std::uint32_t kLruGridBuckets = 272;

/// The shared memory of a block that replays an LRU cell of many capacities in one layer, in this order: the interval
/// of every position; the choices of all tokens (where they fit); for each warp the stacks of its lanes and their
/// counters; 32-bit sums of the counters, and passes by number of distinct experts.
struct LruGridShape {
  LruStackShape stack;
  std::uint32_t capacities = 0, top_k = 1;
  std::uint32_t tokens_counted = 255;  ///< before the bytes of a counter could be full
  std::uint32_t period = 1;        ///< trajectories whose numbers differ by a multiple of it fall into the same group
  std::uint32_t warps = 1;         ///< of a block at most
  std::uint64_t choice_bytes = 0;  ///< of a layer's choices
  bool staged = false;             ///< the choices are in shared memory

  MOECARLO_HOST_DEVICE std::uint32_t intervals() const { return capacities + 1; }
  MOECARLO_HOST_DEVICE std::uint32_t last_words() const { return stack.last_numbers() / 2 * kStackLanes; }
  MOECARLO_HOST_DEVICE std::uint32_t slot_words() const { return stack.slot_words() * kStackLanes; }
  /// Words of 32 bits of a warp.
  MOECARLO_HOST_DEVICE std::uint32_t warp_words() const {
    return last_words() + slot_words() + intervals() * kStackLanes;
  }
  MOECARLO_HOST_DEVICE std::uint32_t total_words() const { return 4 * intervals() + stack.experts + 1; }
  std::uint64_t shared_bytes(std::uint32_t block_warps) const {
    return kLruGridBuckets + (staged ? choice_bytes : 0) + std::uint64_t{4} * block_warps * warp_words() +
           4 * total_words();
  }
};

/// Whether such a block can count everything that the plan asks of a cell: LRU alone, several capacities, chains, at
/// most 256 experts and kMostLruGridRequests; no joint histograms, gate masses, slices or drawn routing.
bool is_lru_grid(const PlanView& plan, const Cell& cell, const RoutingView& routing);

/// The shape for a cell of a plan whose launches take up to `per_launch` trajectories; nothing where it is no LRU grid,
/// its numbers would not fit their bits (counts that could pass 2^32, too many capacities for so many experts), or so
/// few warps fit `shared_bytes` that the general kernel does better.
std::optional<LruGridShape> lru_grid_shape(const PlanView& plan, const Cell& cell, const RoutingView& routing,
                                           std::uint32_t per_launch, std::uint64_t shared_bytes);

/// How the trajectories of a launch are shared out: every layer and group has `parts` blocks of `warps` warps, which
/// take a trajectory a lane and turn.
struct LruGridLaunch {
  std::uint32_t parts = 1;
  std::uint32_t warps = 1;
};

/// As many warps as `count` trajectories keep busy to the end, and a handful of turns: more, and the last blocks would
/// leave multiprocessors idle; fewer, and blocks would be busy with their tables.
LruGridLaunch lru_grid_launch(const LruGridShape& shape, std::uint32_t count);

/// Bytes of the choices of one layer's tokens: [tokens][top_k], rounded up to whole words of 16 bytes.
MOECARLO_HOST_DEVICE std::uint64_t choice_bytes(const RoutingView& routing) {
  return (std::uint64_t{routing.tokens} * routing.top_k + 15) / 16 * 16;
}

/// The experts of every token, by ascending rank: [layers][choice_bytes]. Of at most 256 experts; empty where a token
/// has not exactly top_k of them.
std::vector<std::uint8_t> list_choices(const RoutingView& routing);

}  // namespace moecarlo
