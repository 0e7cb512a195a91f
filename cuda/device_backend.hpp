#pragma once

#include <memory>
#include <string>

#include "host/simulate/backend.hpp"

namespace moecarlo {

/// Usable GPUs; where there is none, `why_not` is one line (no CUDA in this build, no driver, one too old, no device).
int device_count(std::string& why_not);

/// The CUDA backend on GPU `device`, 0 .. device_count - 1. Throws a machine error where there is no such GPU, or its
/// memory does not suffice.
std::unique_ptr<Backend> make_device_backend(const RoutingView& routing, const Plan& plan, int device);

}  // namespace moecarlo
