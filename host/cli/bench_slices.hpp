#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>

namespace moecarlo::cli {

/// Name of the workload, for `bench --only`.
constexpr const char* kSlicesName = "bit slices";

/// Rates of counting the bit slices of Gaussian weights, in bytes of INT8 weights per second.
struct SliceRates {
  double one_thread = 0, all_threads = 0;
  double read_limit = 0;  ///< one thread that only reads the weights and adds them up
  unsigned threads = 1;
};

struct DeviceSliceRates {
  double kernel = 0;  ///< of weights in device memory
  double whole = 0;   ///< upload included
};

SliceRates measure_cpu_slices(double seconds);
DeviceSliceRates measure_device_slices(int device, double seconds);

nlohmann::ordered_json to_json(const SliceRates& rates);
nlohmann::ordered_json to_json(const DeviceSliceRates& rates);
void print(const std::optional<SliceRates>& cpu, const std::optional<DeviceSliceRates>& device);

}  // namespace moecarlo::cli
