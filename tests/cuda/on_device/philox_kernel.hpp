#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace moecarlo::testing {

/// Makes a block of each counter and key. inputs: [count][6] counter and key; blocks: [count][2][4], made with the key
/// and with the keys of all rounds. In device memory.
cudaError_t launch_philox(const std::uint32_t* inputs, std::uint32_t count, std::uint32_t* blocks);

}  // namespace moecarlo::testing
