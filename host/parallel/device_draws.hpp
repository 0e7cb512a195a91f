#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "cuda/core/request_batches.hpp"

namespace moecarlo {

/// A batch of each of several series.
struct DrawnBatches {
  std::vector<std::uint32_t> loads;    ///< [series][layers][experts] tokens
  std::vector<std::uint32_t> by_load;  ///< the same: experts, the largest load first, ties to the lower index; or none
};

/// Draws batches of several series side by side, as a device does, with the integers of SeriesWalk.
class DeviceDraws {
 public:
  virtual ~DeviceDraws() = default;
  /// Series that it can draw at once.
  virtual std::uint64_t at_once() const = 0;
  /// Series first .. last - 1 of a family begin.
  virtual void begin(Stream stream, std::uint64_t first, std::uint64_t last) = 0;
  /// Their next batch; it stays until the one after it.
  virtual const DrawnBatches& next() = 0;
};

/// Makes one; `sorted`: by_load is asked for. The batches stay where they are.
using MakeDeviceDraws = std::function<std::unique_ptr<DeviceDraws>(const RequestBatches& batches, bool sorted)>;

}  // namespace moecarlo
