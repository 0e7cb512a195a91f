#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/simulate/backend.hpp"

namespace moecarlo {

/// Numbers of the GPUs that this build can use; where there are none, `why_not` is one line (no CUDA in this build, no
/// driver, one too old, no device, no code for its architecture).
std::vector<int> usable_devices(std::string& why_not);

/// The CUDA backend on GPU `device`. A trace whose tables do not fit the GPU's memory, or
/// `most_bytes` of it, is run some layers at a time; see layers_in_memory. Throws a machine error where there is no
/// such GPU, this build has no code for it, or its memory does not suffice.
std::unique_ptr<Backend> make_device_backend(const RoutingView& routing, const Plan& plan, int device,
                                             std::uint64_t most_bytes = ~std::uint64_t{0});

}  // namespace moecarlo
