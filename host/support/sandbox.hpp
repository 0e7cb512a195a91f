#pragma once

#include <cstdint>

namespace moecarlo {

/// Gives up, for the rest of this process, all that reading one open file does not need. It may take `memory_bytes`
/// more address space than it has now and open one more descriptor; it cannot write to files, leave a core, or gain
/// rights. Where the kernel filters system calls (seccomp), every call but those of reading, memory and sockets fails;
/// where it does not, the limits alone hold. Sanitizers need what is taken away: in their builds only the file limits
/// hold.
void enter_sandbox(std::uint64_t memory_bytes);

}  // namespace moecarlo
