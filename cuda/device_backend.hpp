#pragma once

#include <memory>
#include <string>

#include "host/simulate/backend.hpp"

namespace moecarlo {

/// Whether a usable GPU is there; `why_not` is one line where it is not (no CUDA in this build, no driver, no device).
bool device_available(std::string& why_not);

/// The CUDA backend on GPU `device`. Throws a machine error where there is none, or its memory does not suffice.
std::unique_ptr<Backend> make_device_backend(const RoutingView& routing, const Plan& plan, int device);

}  // namespace moecarlo
