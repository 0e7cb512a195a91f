#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/core/drawn_rows.hpp"
#include "cuda/core/features.hpp"
#include "cuda/core/routing_view.hpp"
#include "cuda/core/tally.hpp"
#include "cuda/launch_plan.hpp"
#include "cuda/lru_grid_shape.hpp"
#include "cuda/stateless_shape.hpp"

namespace moecarlo {

/// One launch: trajectories first .. first + count - 1 of one cell, in some neighbouring layers. All pointers are
/// device pointers.
struct DeviceBlock {
  OnDevice<RoutingView> routing;
  OnDevice<PlanView> plan;
  WorkspaceLayout layout;
  std::uint32_t cell;
  Stream stream;
  std::uint64_t first;
  std::uint32_t count;
  std::uint32_t in_flight;       ///< trajectories replayed at a time, see LaunchPlan
  std::uint64_t* path_scratch;   ///< [count][layout.path_words]
  std::uint64_t* layer_scratch;  ///< [in_flight][layers][layout.layer_words], unused where that fits local memory
  /// Masks drawn ahead, see DrawnRows, [count][drawn_slots][layer_count][words]; null where none are.
  std::uint64_t* drawn_masks;
  std::uint32_t drawn_slots;
  TallyView tally;
  TallyView path_tally;  ///< for what no layer changes, which is to be counted once for all layers
  std::uint32_t first_layer, layer_count;
};

/// Calls launch(words) with the words of a mask as a constant.
template <class Launch>
cudaError_t for_words(std::uint32_t experts, const Launch& launch) {
  switch (mask_words(experts)) {
    case 1:
      launch(std::integral_constant<int, 1>{});
      break;
    case 2:
      launch(std::integral_constant<int, 2>{});
      break;
    case 4:
      launch(std::integral_constant<int, 4>{});
      break;
    default:
      launch(std::integral_constant<int, 16>{});
      break;
  }
  return cudaGetLastError();
}

/// Draws the paths of the block, a thread a trajectory.
cudaError_t launch_paths(const DeviceBlock& block, cudaStream_t stream);
/// Device memory in which the path columns of a launch are sorted and their rows shared out.
struct RowScratch {
  std::uint64_t* columns;  ///< [2][path columns]
  void* sort;
  std::size_t sort_bytes;  ///< of so many columns, or more
  std::uint32_t* taken;    ///< [1]
};
/// Bytes of RowScratch::sort for so many path columns.
cudaError_t bytes_to_sort(std::uint64_t columns, std::size_t& bytes);
/// Draws the rows of the block's paths in the order of their tokens, each by whatever thread is free.
cudaError_t launch_rows(DrawnRows rows, const RowScratch& scratch, cudaStream_t stream);

// Replays of every layer, with masks of so many words. Each is compiled once for each width (MoecarloCuda.cmake).

/// Episodes of any shape, a thread a trajectory and layer.
template <int Words>
void launch_episodes(const DeviceBlock& block, cudaStream_t stream);
/// The same of cells of which the compiler knows the shape, and keeps a layer's state in registers: one LRU cache for
/// each layer, whole experts, drafts that are chains, no gate masses; and what kServedByLruKernel adds. Not of the
/// widest masks, which are rare.
template <int Words>
void launch_lru(const DeviceBlock& block, cudaStream_t stream);
constexpr int kMostLruWords = 4;
constexpr Features kServedByLruKernel =
    features(Feature::perturbed_routing, Feature::resampled_rejections, Feature::joint_histograms);
/// Walks whose rounds stand alone.
template <int Words>
void launch_alone(const DeviceBlock& block, cudaStream_t stream);
/// Trajectories whose layers depend on each other, a thread each.
template <int Words>
void launch_coupled(const DeviceBlock& block, cudaStream_t stream);
/// The same of plans with demand rules, in any walk.
template <int Words>
void launch_asking(const DeviceBlock& block, cudaStream_t stream);

/// Draws the paths and replays an LRU cell of many capacities and this depth. `choices`: see list_choices.
cudaError_t launch_lru_grid(const DeviceBlock& block, const LruGridShape& shape, const std::uint8_t* choices,
                            std::uint32_t depth, cudaStream_t stream);
/// Draws the paths and replays a grid of stateless points.
cudaError_t launch_stateless(const DeviceBlock& block, const StatelessShape& shape, cudaStream_t stream);

}  // namespace moecarlo
