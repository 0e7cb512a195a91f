#pragma once

#include <algorithm>

#include "cuda/device_memory.hpp"
#include "host/simulate/plan.hpp"

namespace moecarlo {

/// A table [rows][layers][width] of host memory, of which a device holds some neighbouring layers.
template <class T>
class LayerTable {
 public:
  /// `size` elements in all; room for `most` layers on the device.
  LayerTable(const T* host, std::size_t size, std::size_t rows, std::uint32_t layers, std::uint32_t most)
      : host_(host), rows_(rows), layers_(layers), width_(size / (rows * layers)), held_(rows * most * width_) {}

  /// Brings layers first .. first + count - 1 to the device. Element 0 of layer l of row r is then at
  /// (r x count + l) x width from the result; null where the table is empty.
  T* hold(std::uint32_t first, std::uint32_t count) {
    if (width_ == 0) return nullptr;
    const std::size_t own = count * width_;
    const std::size_t at_a_time = std::max<std::size_t>(1, kBytesAtATime / sizeof(T) / own);
    std::vector<T> packed(count < layers_ ? std::min(rows_, at_a_time) * own : 0);
    for (std::size_t row = 0; row < rows_; row += at_a_time) {
      const std::size_t rows = std::min(at_a_time, rows_ - row);
      const T* from = host_ + row * layers_ * width_;
      if (count < layers_) {
        for (std::size_t r = 0; r < rows; ++r)
          std::copy_n(from + (r * layers_ + first) * width_, own, packed.data() + r * own);
        from = packed.data();
      }
      held_.copy_from(from, row * own, rows * own);
    }
    return held_.data() - first * width_;
  }

 private:
  static constexpr std::size_t kBytesAtATime = std::size_t{64} << 20;

  const T* host_;
  std::size_t rows_, layers_, width_;
  DeviceArray<T> held_;
};

/// All tables of a trace and its plan that have a row of layers for each token; see layer_bytes.
class LayerTables {
 public:
  LayerTables(const RoutingView& routing, const Plan& plan, std::uint32_t most);

  /// Brings layers first .. first + count - 1 to the device and points `routing` and `plan` to them.
  void hold(std::uint32_t first, std::uint32_t count, RoutingView& routing, PlanView& plan);

 private:
  LayerTable<std::uint64_t> masks_;
  LayerTable<std::uint16_t> gate_mass_, score_order_;
  LayerTable<std::uint8_t> channel_magnitude_;
  LayerTable<std::uint32_t> alias_;
  LayerTable<std::int32_t> logits_;
};

}  // namespace moecarlo
