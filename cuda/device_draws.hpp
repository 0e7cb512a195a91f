#pragma once

#include "host/parallel/device_draws.hpp"

namespace moecarlo {

/// Draws batches on GPU `device`. Throws a machine error where there is no such GPU, or the routing table does not fit
/// into its memory.
std::unique_ptr<DeviceDraws> make_device_draws(const RequestBatches& batches, bool sorted, int device);

}  // namespace moecarlo
