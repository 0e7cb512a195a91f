#pragma once

#include <cstdint>
#include <optional>

#include "cuda/core/plan.hpp"
#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// Bits of a count of choices over a batch.
constexpr int kStatelessPlanes = 6;

/// Threads of a block.
constexpr std::uint32_t kStatelessThreads = 512;

/// Places of a row that holds a number for each thread of a warp: different rows begin in different banks.
constexpr std::uint32_t kStatelessRow = 33;

/// The shared memory of a block that replays a grid of stateless design points in one layer: the layer's masks (where
/// they fit), what the threads of a warp tell each other, then 32-bit counters: a record for each cell, and the cell's
/// passes by number of distinct experts. A record holds counted rounds, distinct experts and distinct experts of the
/// accepted columns, then for all capacities the hits, for all of them the resident ones among the experts that only
/// rejected columns chose, and for all of them the resident choices of the sampled draft step.
struct StatelessShape {
  std::uint32_t cells = 0, capacities = 0, experts = 0;
  std::uint32_t period = 1;        ///< trajectories whose numbers differ by a multiple of it fall into the same group
  std::uint32_t staged_words = 0;  ///< 64-bit words of the layer's masks in shared memory; 0: they stay where they are

  MOECARLO_HOST_DEVICE std::uint32_t width() const { return 3 + 3 * capacities; }
  MOECARLO_HOST_DEVICE std::uint32_t counters() const { return cells * (width() + experts + 1); }
  /// Threads of a warp that share the capacities out: a power of two.
  MOECARLO_HOST_DEVICE std::uint32_t lanes() const {
    std::uint32_t count = 1;
    while (count < capacities && count < 32) count *= 2;
    return count;
  }
  /// Rows of numbers that the threads of a warp tell each other: bits of the choices by expert, and a running sum, for
  /// each 32-bit word of a mask.
  MOECARLO_HOST_DEVICE std::uint32_t rows() const {
    return (kStatelessPlanes + 1) * 2 * static_cast<std::uint32_t>(mask_words(experts));
  }
  MOECARLO_HOST_DEVICE std::uint32_t exchange_words() const { return kStatelessThreads / 32 * rows() * kStatelessRow; }
  std::uint64_t shared_bytes() const {
    return std::uint64_t{8} * staged_words + 4 * (std::uint64_t{exchange_words()} + counters() + capacities);
  }
};

/// The shape for a plan whose launches take up to `per_launch` trajectories; nothing where such a block cannot count
/// everything that the plan asks for: joint histograms, gate masses, slices, resampled routing, tables that differ
/// between cells, batches of 64 and more, counts that could pass 2^32, or more counters than fit `shared_bytes`.
std::optional<StatelessShape> stateless_shape(const PlanView& plan, const RoutingView& routing,
                                              std::uint32_t per_launch, std::uint64_t shared_bytes);

}  // namespace moecarlo
