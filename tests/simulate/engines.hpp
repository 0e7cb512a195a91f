#pragma once

#include <vector>

#include "host/simulate/cpu_backend.hpp"
#include "tests/shared/backend_suite.hpp"

namespace moecarlo::testing {

inline Simulate on_cpu(unsigned threads, InstructionSet set) {
  return [=](const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
             std::span<std::uint64_t> counters) {
    make_cpu_backend(table.view(), plan, threads, set)->run(range, counters);
  };
}

/// Every instruction set of this processor with several numbers of threads; one thread of the baseline first.
inline std::vector<Simulate> on_every_cpu() {
  std::vector<Simulate> ways;
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::x86_64_v3, InstructionSet::x86_64_v4}) {
    if (set > best_instruction_set()) continue;
    for (const unsigned threads : {1U, 3U}) ways.push_back(on_cpu(threads, set));
  }
  return ways;
}

// The special forms of an engine, each of which takes the cells that it serves and leaves the others to the CPU
// backend.

/// As a device does that draws the routing of paths before it replays them, some trajectories and some layers at a
/// time.
void simulate_drawn_ahead(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                          std::span<std::uint64_t> counters);

/// As a device replays LRU caches of many capacities, with the same stacks and counters, lane by lane.
void simulate_lru_grids(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                        std::span<std::uint64_t> counters);
/// Whether some cell is such a grid.
bool has_lru_grid(const RoutingTable& table, const Plan& plan);

/// Eight layers at a time, as the widest vectors do, whatever this processor has. Tables of up to 64 experts.
void simulate_bundles(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                      std::span<std::uint64_t> counters);

}  // namespace moecarlo::testing
