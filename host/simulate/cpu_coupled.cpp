#include "cuda/core/demand/asking.hpp"
#include "host/simulate/cpu_code.hpp"

// Compiled like cpu_layers.cpp, for the plans whose layers move together.

void MOECARLO_RUN(const moecarlo::CpuBlock& block) {
  using namespace moecarlo;
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, number);
    begin_trajectory(block.plan, block.cell, id, block.layout, block.scratch, block.tally);
    replay_asking<MOECARLO_WORDS>(block.routing, block.plan, block.cell, id, block.layout, block.scratch,
                                  block.scratch + block.layout.path_words, block.tally);
  }
}
