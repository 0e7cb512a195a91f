#pragma once

#include "host/simulate/backend.hpp"
#include "host/simulate/cpu_code.hpp"

namespace moecarlo {

/// The CPU backend: blocks of trajectories on `threads` threads (0 = all cores), each with counters of its own, added
/// up at the end; or whole cells, where there are many of them, which need none.
std::unique_ptr<Backend> make_cpu_backend(const RoutingView& routing, const Plan& plan, unsigned threads,
                                          InstructionSet set = best_instruction_set());

/// Bytes of memory that such a backend takes: the scratch of all threads, and counters of their own beside the
/// caller's.
std::uint64_t cpu_backend_bytes(const RoutingView& routing, const Plan& plan, unsigned threads,
                                InstructionSet set = best_instruction_set());

}  // namespace moecarlo
