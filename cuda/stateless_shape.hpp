#pragma once

#include <cstdint>
#include <optional>

#include "cuda/core/plan.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// Threads of a block.
constexpr std::uint32_t kStatelessThreads = 512;

/// Requests of the largest batch.
constexpr std::uint32_t kMostStatelessRequests = 64;

/// Places of a row that holds a number for each thread of a warp: different rows begin in different banks.
constexpr std::uint32_t kStatelessRow = 33;

/// Depths that a thread walks through at a time, as many as its registers hold unions of: a power of two, at most 8.
MOECARLO_HOST_DEVICE constexpr std::uint32_t stateless_slots(std::uint32_t words) {
  return words <= 2 ? 8 : 16 / words;
}

/// The shared memory of a block that replays a grid of stateless design points in one layer: the layer's masks (where
/// they fit), what the threads of a warp tell each other, then 32-bit counters: a record for each cell, and the cell's
/// passes by number of distinct experts.
///
/// A record holds the counted rounds, distinct experts of the passes and of their accepted columns. Three sections
/// follow, each with a number for every capacity, of the experts below it: those of the passes, those of their accepted
/// columns, choices of the sampled draft steps. These come from a table of every token's where that fits, too; a record
/// then holds those of its own cell, else only what its batch adds to those of the batch before it.
struct StatelessShape {
  std::uint32_t cells = 0, capacities = 0, experts = 0;
  std::uint32_t depths = 1, max_depth = 0, max_batch = 1;
  std::uint32_t period = 1;        ///< trajectories whose numbers differ by a multiple of it fall into the same group
  std::uint32_t staged_words = 0;  ///< 64-bit words of the layer's masks in shared memory; 0: they stay where they are
  std::uint32_t choice_words = 0;  ///< 64-bit words of the table of choices; 0: there is none

  /// Words of a token in the table of choices: half a byte for each capacity.
  MOECARLO_HOST_DEVICE std::uint32_t table_words() const { return (capacities + 15) / 16; }
  MOECARLO_HOST_DEVICE std::uint32_t width() const { return 3 + 3 * capacities; }
  MOECARLO_HOST_DEVICE std::uint32_t counters() const { return cells * (width() + experts + 1); }
  MOECARLO_HOST_DEVICE std::uint32_t batches() const { return cells / depths; }
  MOECARLO_HOST_DEVICE std::uint32_t slots() const {
    return depths == 1 ? 1 : stateless_slots(static_cast<std::uint32_t>(mask_words(experts)));
  }
  /// Rows of numbers that the threads of a warp tell each other: first the masks of their slots, 32 bits a row, later
  /// their requests' tokens, how far each batch reaches, and the sampled step of each slot.
  MOECARLO_HOST_DEVICE std::uint32_t rows() const {
    const std::uint32_t masks = 2 * static_cast<std::uint32_t>(mask_words(experts)) * slots();
    const std::uint32_t requests = max_batch + batches() + slots();
    return masks > requests ? masks : requests;
  }
  /// Of a block that draws paths: a cell's rounds, and its requests by accepted length.
  std::uint32_t path_counters() const { return cells * (max_depth + 2); }
  MOECARLO_HOST_DEVICE std::uint32_t exchange_words() const { return kStatelessThreads / 32 * rows() * kStatelessRow; }
  std::uint64_t shared_bytes() const {
    return 8 * (std::uint64_t{staged_words} + choice_words) +
           4 * (std::uint64_t{exchange_words()} + counters() + capacities);
  }
};

/// The shape for a plan whose launches take up to `per_launch` trajectories; nothing where such a block cannot count
/// everything that the plan asks for: joint histograms, gate masses, slices, resampled routing, tables that differ
/// between cells, batches above kMostStatelessRequests, counts that could pass 2^32, or more counters than fit
/// `shared_bytes`.
std::optional<StatelessShape> stateless_shape(const PlanView& plan, const RoutingView& routing,
                                              std::uint32_t per_launch, std::uint64_t shared_bytes);

}  // namespace moecarlo
