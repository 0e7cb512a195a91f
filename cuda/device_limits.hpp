#pragma once

#include <string>

namespace moecarlo {

/// What a GPU can do at most, each measured by a kernel that does nothing else; 32-bit integers.
struct DeviceLimits {
  std::string device;                            ///< its name
  double copied_bytes_per_second = 0;            ///< device memory, bytes read and bytes written
  double copied_from_host_bytes_per_second = 0;  ///< from pinned host memory to the device
  double integer_operations_per_second = 0;      ///< additions and logic, alternating
  double population_counts_per_second = 0;
};

/// Measures GPU `device`, in about a tenth of a second. Throws a machine error where there is none.
DeviceLimits measure_device_limits(int device);

}  // namespace moecarlo
