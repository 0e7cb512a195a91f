#pragma once

#include <cstdint>

namespace moecarlo {

/// Bytes this process can still allocate without swapping: what the kernel calls available, or what the control group
/// (a container, a Slurm job) leaves, whichever is less. The largest number where neither can be read.
std::uint64_t available_memory_bytes();

}  // namespace moecarlo
