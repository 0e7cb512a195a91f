#pragma once

#include <cstdint>

#include "cuda/core/drawn_rows.hpp"
#include "cuda/core/plan.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

/// 64-bit words of scratch that a device thread has in its own (local) memory. A warp's copies of a word lie side by
/// side there, so that its threads, which go through their scratch in step, read whole lines.
constexpr std::size_t kLocalWords = 512;

/// What a device offers a study once trace, plan and tallies are in its memory.
struct DeviceRoom {
  std::uint64_t free_bytes = 0;
  std::uint32_t multiprocessors = 1;
  std::uint32_t threads = 2048;           ///< that a multiprocessor holds at most
  std::uint64_t shared_bytes = 48 << 10;  ///< of shared memory that a block can have
  std::uint64_t first_level = 64 << 10;   ///< bytes of a multiprocessor's own cache
};

/// How a family of trajectories is cut into launches.
struct LaunchPlan {
  std::uint32_t per_launch = 0;  ///< most trajectories of one launch: those whose paths are in memory
  /// Trajectories replayed at a time; the thread of number t goes on with t + in_flight. A multiple of group_period
  /// where it is less than per_launch.
  std::uint32_t in_flight = 0;
  std::uint32_t layers = 0;        ///< replayed at a time: all, or as many as one trajectory's drawn masks fit for
  std::uint64_t path_words = 0;    ///< 64-bit words of all paths
  std::uint64_t drawn_words = 0;   ///< 64-bit words of the masks that are drawn ahead, see DrawnRows
  std::uint64_t column_words = 0;  ///< 64-bit words to sort the columns of their paths in
  std::uint64_t layer_words = 0;   ///< 64-bit words of all layers' scratch that is not in local memory

  std::uint64_t bytes() const { return 8 * (path_words + drawn_words + column_words + layer_words); }
};

/// Trajectories whose numbers differ by a multiple of this fall into the same group.
std::uint32_t group_period(const GroupLayout& groups);

/// Columns of a trajectory's passes, of all requests, in a plan that plan_launches has taken.
std::uint32_t drawn_slots(const PlanView& plan, const Cell& cell);

/// Trajectories whose paths are drawn, and the layers in which they are to be replayed.
struct DrawnPaths {
  Stream stream = Stream::main;
  std::uint64_t first = 0;  ///< trajectory
  std::uint32_t count = 0;
  std::uint32_t first_layer = 0, layers = 0;
  const std::uint64_t* paths = nullptr;  ///< [count][layout.path_words]
};

/// The rows of such trajectories of a cell; their columns are left to be sorted.
DrawnRows rows_of(const PlanView& plan, const Cell& cell, const WorkspaceLayout& layout, const DrawnPaths& paths,
                  std::uint64_t* masks);

/// `layout` is that of a plan that draws ahead. `layers`: at most so many are replayed at a time. Throws a machine
/// error where not even one trajectory fits.
LaunchPlan plan_launches(const PlanView& plan, const WorkspaceLayout& layout, const RoutingView& routing,
                         std::uint32_t layers, const DeviceRoom& room);

}  // namespace moecarlo
