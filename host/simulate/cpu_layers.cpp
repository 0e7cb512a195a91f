#include "cuda/core/trajectory.hpp"
#include "host/simulate/cpu_code.hpp"

// Compiled for an instruction set, MOECARLO_SET, and masks of MOECARLO_WORDS words, into MOECARLO_RUN. Here `moecarlo`
// is the namespace of that set, a macro (scripts/cmake/MoecarloInstructionSets.cmake); functions of the standard
// library would be shared among the sets, so none is called.

namespace moecarlo {
namespace {

MOECARLO_OUTLINED TrajectoryId begin(const CpuBlock& block, std::uint64_t number) {
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, number);
  begin_trajectory(block.plan, block.cell, id, block.layout, block.scratch, block.tally);
  return id;
}

template <int Words, int Lanes>
MOECARLO_OUTLINED void simulate_episodes(const CpuBlock& block) {
  const std::uint32_t layers = block.routing.layers;
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = begin(block, number);
    for (std::uint32_t layer = 0; layer < layers; layer += Lanes) {
      const std::uint32_t first = layer + Lanes <= layers || layers < Lanes ? layer : layers - Lanes;
      replay_episode<Words, Lanes>(block.routing, block.plan, block.cell, id, first, static_cast<int>(layer - first),
                                   block.layout, block.scratch, block.scratch + block.layout.path_words, block.tally);
    }
  }
}

template <int Words>
MOECARLO_OUTLINED void simulate_alone(const CpuBlock& block) {
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = begin(block, number);
    for (std::uint32_t layer = 0; layer < block.routing.layers; ++layer) {
      replay_alone<Words>(block.routing, block.plan, id, layer, block.layout, block.scratch,
                          block.scratch + block.layout.path_words, block.tally);
    }
  }
}

}  // namespace
}  // namespace moecarlo

void MOECARLO_RUN(const moecarlo::CpuBlock& block) {
  using namespace moecarlo;
  if (!has_episodes(block.plan.walk)) return simulate_alone<MOECARLO_WORDS>(block);
  simulate_episodes<MOECARLO_WORDS, lanes_of(InstructionSet::MOECARLO_SET)>(block);
}
