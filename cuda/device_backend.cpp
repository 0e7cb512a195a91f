#include "cuda/device_backend.hpp"

#include <algorithm>
#include <optional>

#include "cuda/device_memory.hpp"
#include "cuda/kernels/simulate.hpp"
#include "cuda/layer_plan.hpp"
#include "cuda/layer_tables.hpp"
#include "host/simulate/parts_backend.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

/// The arrays of a plan in device memory, besides the LayerTables.
class DevicePlan {
 public:
  DevicePlan(const Plan& plan, const PlanView& host_view) : view(host_view), gumbel_(plan.sources.perturbed.gumbel) {
    view.each([&]<class T>(ViewArray<T>& array) {
      const auto* bytes = reinterpret_cast<const std::byte*>(array.data);
      arrays_.emplace_back(bytes, array.size * sizeof(T));
      array.data = reinterpret_cast<const T*>(arrays_.back().data());
    });
    view.perturb.gumbel = gumbel_.data();
  }

  OnDevice<PlanView> view;

 private:
  std::vector<DeviceArray<std::byte>> arrays_;
  DeviceArray<std::int32_t> gumbel_;
};

/// What the device has left for a study's scratch, where `parts` of them share it.
DeviceRoom device_room(std::uint64_t parts) {
  int device = 0;
  cudaDeviceProp properties{};
  check_cuda(cudaGetDevice(&device), "asking for the device");
  check_cuda(cudaGetDeviceProperties(&properties, device), "asking for the device's properties");
  DeviceRoom room;
  room.free_bytes = free_device_bytes() / parts;
  room.multiprocessors = static_cast<std::uint32_t>(properties.multiProcessorCount);
  room.threads = static_cast<std::uint32_t>(properties.maxThreadsPerMultiProcessor);
  room.shared_bytes = properties.sharedMemPerBlockOptin;
  room.first_level = properties.sharedMemPerMultiprocessor;  // one memory serves as both
  return room;
}

class DeviceBackend final : public Backend {
 public:
  /// `parts`: backends of this plan, this one included, that are still to find room on the device.
  DeviceBackend(const RoutingView& routing, const Plan& plan, const PlanView& view, std::uint64_t most_bytes,
                std::uint64_t parts)
      : routing_(routing),
        host_view_(view),
        parts_(parts),
        plan_(plan, view),
        layout_(WorkspaceLayout::of(host_view_, routing.layers, mask_words(routing.experts), 1, true)),
        counters_(plan.layout.size),
        layers_held_(layers_in_memory(routing, plan, std::min(most_bytes, free_device_bytes() / parts))),
        uncounted_(layers_held_ < routing.layers ? plan.layout.size : 0),
        tables_(routing, plan, layers_held_),
        choices_(choices_for(routing)),
        launches_(plan_launches(host_view_, layout_, routing, layers_held_, device_room(parts_))),
        stateless_(stateless_shape(host_view_, routing, launches_.per_launch, device_room(parts_).shared_bytes)),
        lru_grids_(lru_grids(routing)),
        path_scratch_(launches_.path_words),
        drawn_masks_(launches_.drawn_words),
        columns_(launches_.column_words),
        sort_(sort_room(columns_.size() / 2)),
        taken_(1),
        layer_scratch_(launches_.layer_words) {
    if (layers_held_ == routing.layers) tables_.hold(0, routing.layers, routing_, plan_.view);
  }

  std::string name() const override { return "cuda"; }

  bool run(const TrajectoryRange& range, std::span<std::uint64_t> counters,
           const std::function<bool()>& stop) override {
    counters_.clear();
    for (std::uint32_t layer = 0; layer < routing_.layers; layer += layers_held_) {
      const std::uint32_t layers = std::min(layers_held_, routing_.layers - layer);
      if (layers_held_ < routing_.layers) tables_.hold(layer, layers, routing_, plan_.view);
      if (!run_layers(range, layer, layers, stop)) return false;
    }
    std::vector<std::uint64_t> counted(counters_.size());
    counters_.copy_to(counted.data());
    std::transform(counted.begin(), counted.end(), counters.begin(), counters.begin(), std::plus<>());
    return true;
  }

 private:
  /// The range in some neighbouring layers. With the first of them is counted what no layer changes.
  bool run_layers(const TrajectoryRange& range, std::uint32_t layer, std::uint32_t layers,
                  const std::function<bool()>& stop) {
    const TallyView tally{counters_.data()};
    const TallyView path_tally = layer == 0 ? tally : TallyView{uncounted_.data()};
    const std::uint32_t cells = has_episodes(host_view_.walk) ? host_view_.cell_count : 1;
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      if (!range.has(cell)) continue;
      const TrajectoryRange own = range.in(host_view_, cell);
      for (std::uint64_t first = own.first; first < own.last; first += launches_.per_launch) {
        if (stop && stop()) return false;
        const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(launches_.per_launch, own.last - first));
        launch({routing_, plan_.view, layout_, cell, range.stream, first, count, std::min(launches_.in_flight, count),
                path_scratch_.data(), layer_scratch_.data(), nullptr, 0, tally, path_tally, layer, layers});
      }
    }
    return true;
  }

  /// The choices of all tokens, where a cell might be replayed by them and there is room beside all layers' tables.
  std::vector<std::uint8_t> choices_for(const RoutingView& routing) const {
    const bool wanted = std::any_of(host_view_.cells.data, host_view_.cells + host_view_.cell_count,
                                    [&](const Cell& cell) { return is_lru_grid(host_view_, cell, routing); });
    const bool fit =
        layers_held_ == routing.layers && choice_bytes(routing) * routing.layers <= free_device_bytes() / 4;
    return wanted && fit ? list_choices(routing) : std::vector<std::uint8_t>{};
  }

  std::vector<std::optional<LruGridShape>> lru_grids(const RoutingView& routing) const {
    std::vector<std::optional<LruGridShape>> grids(host_view_.cell_count);
    if (choices_.size() == 0) return grids;
    const std::uint64_t shared_bytes = device_room(parts_).shared_bytes;
    std::transform(host_view_.cells.data, host_view_.cells + host_view_.cell_count, grids.begin(),
                   [&](const Cell& cell) {
                     return lru_grid_shape(host_view_, cell, routing, launches_.per_launch, shared_bytes);
                   });
    return grids;
  }

  void launch(const DeviceBlock& block) const {
    const auto& grid = lru_grids_[block.cell];
    if (stateless_) {
      check_cuda(launch_stateless(block, *stateless_, nullptr), "launching the simulation");
    } else if (grid) {
      const std::uint32_t depth = host_view_.cells[block.cell].depth;
      check_cuda(launch_lru_grid(block, *grid, choices_.data(), depth, nullptr), "launching the simulation");
    } else {
      check_cuda(launch_paths(block, nullptr), "launching the simulation");
      replay_drawn(block);
    }
    check_cuda(cudaStreamSynchronize(nullptr), "simulating");
  }

  /// Replays a block whose paths are drawn, as many layers at a time as the plan says.
  void replay_drawn(DeviceBlock block) const {
    const std::uint32_t last = block.first_layer + block.layer_count;
    for (; block.first_layer < last; block.first_layer += block.layer_count) {
      block.layer_count = std::min(launches_.layers, last - block.first_layer);
      if (host_view_.perturb.logits != nullptr) draw_routing(block);
      check_cuda(launch_replay(block), "launching the simulation");
    }
  }

  void draw_routing(DeviceBlock& block) const {
    const Cell& cell = host_view_.cells[block.cell];
    block.drawn_masks = drawn_masks_.data();
    block.drawn_slots = drawn_slots(host_view_, cell);
    const DrawnPaths paths{block.stream,      block.first,       block.count,
                           block.first_layer, block.layer_count, block.path_scratch};
    const DrawnRows rows = rows_of(block.plan, cell, layout_, paths, block.drawn_masks);
    const RowScratch scratch{columns_.data(), sort_.data(), sort_.size(), taken_.data()};
    check_cuda(launch_rows(rows, scratch, nullptr), "drawing the routing");
  }

  static std::size_t sort_room(std::uint64_t columns) {
    std::size_t bytes = 0;
    if (columns > 0) check_cuda(bytes_to_sort(columns, bytes), "asking for the memory of a sort");
    return bytes;
  }

  cudaError_t launch_replay(const DeviceBlock& block) const {
    return for_words(routing_.experts, [&](auto words) {
      if (host_view_.asks()) return launch_asking<words>(block, nullptr);
      if (host_view_.coupled) return launch_coupled<words>(block, nullptr);
      if (!has_episodes(host_view_.walk)) return launch_alone<words>(block, nullptr);
      if constexpr (words <= kMostLruWords) {
        const Cell& cell = host_view_.cells[block.cell];
        if (serves(kServedByLruKernel, host_view_, cell, routing_)) return launch_lru<words>(block, nullptr);
      }
      launch_episodes<words>(block, nullptr);
    });
  }

  OnDevice<RoutingView> routing_;  ///< once the layers' tables are held
  PlanView host_view_;
  std::uint64_t parts_;
  DevicePlan plan_;
  WorkspaceLayout layout_;
  DeviceArray<std::uint64_t> counters_;
  std::uint32_t layers_held_;  // in device memory at a time
  DeviceArray<std::uint64_t> uncounted_;
  LayerTables tables_;
  DeviceArray<std::uint8_t> choices_;  ///< see list_choices; empty where no cell could use them
  LaunchPlan launches_;
  std::optional<StatelessShape> stateless_;
  std::vector<std::optional<LruGridShape>> lru_grids_;  ///< of each cell
  DeviceArray<std::uint64_t> path_scratch_;
  DeviceArray<std::uint64_t> drawn_masks_;
  DeviceArray<std::uint64_t> columns_;  ///< of the paths whose routing is drawn, before and after sorting
  DeviceArray<std::uint8_t> sort_;
  DeviceArray<std::uint32_t> taken_;  ///< rows of a launch
  DeviceArray<std::uint64_t> layer_scratch_;
};

}  // namespace

std::unique_ptr<Backend> make_device_backend(const RoutingView& routing, const Plan& plan, int device,
                                             std::uint64_t most_bytes) {
  choose_device(device);
  std::uint64_t parts = plan.cells_apart().empty() ? 1 : 2;
  return in_parts(plan, [&](const PlanView& view) {
    return std::make_unique<DeviceBackend>(routing, plan, view, most_bytes, parts--);
  });
}

}  // namespace moecarlo
