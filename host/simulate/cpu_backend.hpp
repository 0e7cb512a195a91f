#pragma once

#include "host/simulate/backend.hpp"
#include "host/simulate/cpu_code.hpp"

namespace moecarlo {

/// The CPU backend: blocks of trajectories on `threads` threads (0 = all cores), each with counters of its own, added
/// up at the end. Memory: one set of counters a thread beyond the first, and cpu_scratch_bytes.
std::unique_ptr<Backend> make_cpu_backend(const RoutingView& routing, const Plan& plan, unsigned threads,
                                          InstructionSet set = best_instruction_set());

/// Bytes of the scratch of such a backend, of all its threads.
std::uint64_t cpu_scratch_bytes(const RoutingView& routing, const Plan& plan, unsigned threads,
                                InstructionSet set = best_instruction_set());

}  // namespace moecarlo
