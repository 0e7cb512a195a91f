#pragma once

#include <memory>

#include "host/weights/format_counter.hpp"

namespace moecarlo {

/// Counts matrices in other formats on GPU `device`. Throws a machine error where there is no such GPU, or a matrix
/// does not fit into its memory.
std::unique_ptr<FormatCounter> make_device_format_counter(int device);

}  // namespace moecarlo
