#include "host/simulate/cpu_kernel.hpp"
#include "cuda/core/trajectory.hpp"

// Compiled once for each instruction set, MOECARLO_SET, with MOECARLO_RUN_BLOCK naming the function. Everything it
// calls is always inlined and nothing of the standard library is used, so that no code of one set can end up in
// another. The loops below are functions of their own: of one large function the compiler gives up on the registers.
#define MOECARLO_LOOP __attribute__((noinline))

namespace moecarlo {
namespace {

MOECARLO_HOST_DEVICE TrajectoryId begin(const CpuBlock& block, std::uint64_t number) {
  const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, number);
  begin_trajectory(block.plan, block.cell, id, block.layout, block.scratch, block.tally);
  return id;
}

template <int Words, int Lanes>
MOECARLO_LOOP void simulate_episodes(const CpuBlock& block) {
  const std::uint32_t layers = block.routing.layers;
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = begin(block, number);
    for (std::uint32_t layer = 0; layer < layers; layer += Lanes) {
      const std::uint32_t first = layer + Lanes <= layers ? layer : layers - Lanes;
      replay_episode<Words, Lanes>(block.routing, block.plan, block.cell, id, first, static_cast<int>(layer - first),
                                   block.layout, block.scratch, block.scratch + block.layout.path_words, block.tally);
    }
  }
}

template <int Words>
MOECARLO_LOOP void simulate_alone(const CpuBlock& block) {
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = begin(block, number);
    for (std::uint32_t layer = 0; layer < block.routing.layers; ++layer) {
      replay_alone<Words>(block.routing, block.plan, id, layer, block.layout, block.scratch,
                          block.scratch + block.layout.path_words, block.tally);
    }
  }
}

template <int Words>
MOECARLO_LOOP void simulate_lockstep(const CpuBlock& block) {
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = begin(block, number);
    replay_lockstep<Words>(block.routing, block.plan, block.cell, id, block.layout, block.scratch,
                           block.scratch + block.layout.path_words, block.tally);
  }
}

template <int Words>
void simulate(const CpuBlock& block) {
  if (block.plan.lockstep) return simulate_lockstep<Words>(block);
  if (!has_episodes(block.plan.walk)) return simulate_alone<Words>(block);
  constexpr int kLanes = lanes_for(InstructionSet::MOECARLO_SET, Words);
  if (block.routing.layers >= kLanes) return simulate_episodes<Words, kLanes>(block);
  simulate_episodes<Words, 1>(block);
}

}  // namespace

void MOECARLO_RUN_BLOCK(const CpuBlock& block) {
  switch (mask_words(block.routing.experts)) {
    case 1:
      return simulate<1>(block);
    case 2:
      return simulate<2>(block);
    case 4:
      return simulate<4>(block);
    case 8:
      return simulate<8>(block);
    default:
      return simulate<16>(block);
  }
}

}  // namespace moecarlo
