#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "cuda/core/routing_view.hpp"
#include "host/simulate/plan.hpp"

namespace moecarlo {

/// Trajectories first .. last - 1 of one family, in one cell or in all. Those of the replicates are numbered at the
/// study's largest batch.
struct TrajectoryRange {
  static constexpr std::uint32_t kAllCells = ~std::uint32_t{0};

  Stream stream = Stream::main;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  std::uint32_t cell = kAllCells;  ///< or the number of a cell that has episodes of its own

  bool has(std::uint32_t one) const { return cell == kAllCells || cell == one; }
  /// What it is in one cell of a plan whose cells are not sampled together. An episode meets as many sequences as its
  /// batch has requests, and the noise inside a replicate has to be small beside the differences between sequences: of
  /// a smaller batch b each replicate trajectory is largest / b.
  TrajectoryRange in(const PlanView& plan, std::uint32_t one) const {
    const bool more = stream == Stream::replicates && has_episodes(plan.walk);
    const std::uint64_t each = more ? plan.max_batch / plan.cells[one].batch : 1;
    return {stream, first * each, last * each, one};
  }
};

/// Something that can simulate trajectories. Every backend adds the same integers for the same range; the routing and
/// the plan it was made for must outlive it.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// Memory for so many counters, zero at first, which `run` adds to without a copy; any other will do where it is
  /// empty.
  virtual std::span<std::uint64_t> room(std::size_t /*counters*/) { return {}; }
  /// Simulates the range and adds to `counters` (as laid out by plan.layout). `stop` is asked now and then, from any
  /// thread; once it says so the rest is left out and the result is false: then `counters` are of no use.
  virtual bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
                   const std::function<bool()>& stop = {}) = 0;
};

}  // namespace moecarlo
