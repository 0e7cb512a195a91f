#pragma once

#include <memory>

#include "host/weights/slice_counter.hpp"

namespace moecarlo {

/// Counts slices on GPU `device`, one matrix after the other. Throws a machine error where there is no such GPU, or a
/// matrix does not fit into its memory.
std::unique_ptr<SliceCounter> make_device_slice_counter(int device);

}  // namespace moecarlo
