#pragma once

#include <cstdint>
#include <string>

namespace moecarlo {

/// Bytes this process can still allocate without swapping: what the kernel calls available, or what the control group
/// (a container, a Slurm job) leaves, whichever is less. The largest number where neither can be read.
std::uint64_t available_memory_bytes();

/// To be called before a large allocation: throws an `Error` of kind machine, beginning with `what`, unless `bytes` are
/// available. "trace.h5: the routing table does not fit the memory (needs 9 MiB, available 3 MiB)".
void expect_memory(std::uint64_t bytes, const std::string& what);

}  // namespace moecarlo
