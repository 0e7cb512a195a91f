#include "host/simulate/cpu_kernel.hpp"

#include "cuda/core/trajectory.hpp"

namespace moecarlo {
namespace {

template <int Words>
MOECARLO_HOST_DEVICE void simulate(const CpuBlock& block) {
  for (std::uint64_t number = block.first; number < block.last; ++number) {
    const TrajectoryId id = TrajectoryId::of(block.plan, block.stream, number);
    begin_trajectory(block.plan, block.cell, id, block.layout, block.scratch, block.tally);
    for (std::uint32_t layer = 0; layer < block.routing.layers; ++layer) {
      replay_layer<Words>(block.routing, block.plan, block.cell, id, layer, block.layout, block.scratch,
                          block.scratch + block.layout.path_words, block.tally);
    }
  }
}

MOECARLO_HOST_DEVICE void simulate_any(const CpuBlock& block) {
  switch (mask_words(block.routing.experts)) {
    case 1: return simulate<1>(block);
    case 2: return simulate<2>(block);
    case 4: return simulate<4>(block);
    case 8: return simulate<8>(block);
    default: return simulate<16>(block);
  }
}

// The core is always inlined, so each of these holds a whole simulation built for its own instruction set.
void run_portable(const CpuBlock& block) { simulate_any(block); }
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define MOECARLO_TARGETS 1
__attribute__((target("arch=x86-64-v3"))) void run_v3(const CpuBlock& block) { simulate_any(block); }
__attribute__((target("arch=x86-64-v4"))) void run_v4(const CpuBlock& block) { simulate_any(block); }
#endif

}  // namespace

InstructionSet best_instruction_set() {
#if defined(MOECARLO_TARGETS)
  if (__builtin_cpu_supports("x86-64-v4")) return InstructionSet::x86_64_v4;
  if (__builtin_cpu_supports("x86-64-v3")) return InstructionSet::x86_64_v3;
#endif
  return InstructionSet::x86_64;
}

const char* to_string(InstructionSet set) {
  switch (set) {
    case InstructionSet::x86_64_v4: return "x86-64-v4";
    case InstructionSet::x86_64_v3: return "x86-64-v3";
    case InstructionSet::x86_64: break;
  }
  return "x86-64";
}

void run_block(InstructionSet set, const CpuBlock& block) {
#if defined(MOECARLO_TARGETS)
  if (set == InstructionSet::x86_64_v4) return run_v4(block);
  if (set == InstructionSet::x86_64_v3) return run_v3(block);
#endif
  static_cast<void>(set);
  run_portable(block);
}

}  // namespace moecarlo
