#pragma once

#include "host/statistics/resample.hpp"

namespace moecarlo {

/// resample_on_host on GPU `device`. Throws a machine error where there is no such GPU.
std::vector<std::uint64_t> resample_on_device(const GroupCounts& groups, int device);

}  // namespace moecarlo
