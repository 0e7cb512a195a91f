#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/core/plan.hpp"
#include "cuda/core/routing_view.hpp"
#include "cuda/core/tally.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

/// One launch: trajectories first .. first + count - 1 of one cell. All pointers are device pointers.
struct DeviceBlock {
  RoutingView routing;
  PlanView plan;
  WorkspaceLayout layout;
  std::uint32_t cell;
  Stream stream;
  std::uint64_t first;
  std::uint32_t count;
  std::uint64_t* path_scratch;   ///< [count][layout.path_words]
  std::uint64_t* layer_scratch;  ///< [count][layers][layout.layer_words]
  TallyView tally;
};

/// Draws the paths of the block (a thread a trajectory), then replays every layer (a thread a trajectory and layer).
cudaError_t launch_block(const DeviceBlock& block, cudaStream_t stream);

}  // namespace moecarlo
