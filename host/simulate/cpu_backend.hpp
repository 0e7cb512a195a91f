#pragma once

#include "host/simulate/backend.hpp"
#include "host/simulate/cpu_kernel.hpp"

namespace moecarlo {

/// The CPU backend: blocks of trajectories on `threads` threads (0 = all cores), each with counters of its own, added
/// up at the end. Memory: one set of counters a thread beyond the first.
std::unique_ptr<Backend> make_cpu_backend(const RoutingView& routing, const Plan& plan, unsigned threads,
                                          InstructionSet set = best_instruction_set());

}  // namespace moecarlo
