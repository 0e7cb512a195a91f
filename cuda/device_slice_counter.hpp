#pragma once

#include <memory>

#include "host/weights/slice_counter.hpp"

namespace moecarlo {

/// Counts slices on GPU `device`, one matrix after the other. Throws a machine error where there is no such GPU, or a
/// matrix does not fit into its memory.
std::unique_ptr<SliceCounter> make_device_slice_counter(int device);

/// Bytes of INT8 weights per second that the kernel alone counts of a matrix already in device memory; the fastest of
/// five launches. Throws as above.
double measure_device_slice_kernel(const WeightMatrix& matrix, int device);

}  // namespace moecarlo
