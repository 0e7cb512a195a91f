#pragma once

#include <cstdint>

#include "cuda/core/plan.hpp"
#include "cuda/core/routing_view.hpp"
#include "cuda/core/tally.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

/// The instruction sets that the hot loops are built for; which one runs is chosen when the program starts. x86_64_v4
/// here includes vector population counts. Masks of more than 256 experts have the baseline's code alone.
enum class InstructionSet { baseline, x86_64_v3, x86_64_v4 };

/// The best one this processor has.
InstructionSet best_instruction_set();
const char* to_string(InstructionSet set);

/// Layers that code for this set replays at a time: eight where a vector register holds eight 64-bit words. Wide masks
/// fill the registers by themselves.
constexpr int lanes_for(InstructionSet set, int words) {
  return set == InstructionSet::x86_64_v4 && words <= 4 ? 8 : 1;
}

/// The same for a trace and plan: 1 where the trace has too few layers, or the walk takes one at a time.
int cpu_lanes(InstructionSet set, const RoutingView& routing, const PlanView& plan);

/// One block of work of the CPU backend: trajectories first .. last - 1 of one cell.
struct CpuBlock {
  const RoutingView& routing;
  const PlanView& plan;
  const WorkspaceLayout& layout;
  std::uint32_t cell;
  Stream stream;
  std::uint64_t first, last;
  std::uint64_t*
      scratch;  ///< [layout.path_words + layout.layer_words (of every layer in lockstep)], aligned to 64 bytes
  TallyView tally;
};

/// Simulates the block with the code built for `set` and for masks as wide as the table's.
void run_block(InstructionSet set, const CpuBlock& block);

// The same code, host/simulate/cpu_kernel.cpp, compiled for masks of so many words, the narrow ones for each set.
namespace baseline {
void run_1(const CpuBlock& block);
void run_2(const CpuBlock& block);
void run_4(const CpuBlock& block);
void run_8(const CpuBlock& block);
void run_16(const CpuBlock& block);
}  // namespace baseline
namespace x86_64_v3 {
void run_1(const CpuBlock& block);
void run_2(const CpuBlock& block);
void run_4(const CpuBlock& block);
}  // namespace x86_64_v3
namespace x86_64_v4 {
void run_1(const CpuBlock& block);
void run_2(const CpuBlock& block);
void run_4(const CpuBlock& block);
}  // namespace x86_64_v4

}  // namespace moecarlo
