#pragma once

#include <cstdint>

#include "cuda/core/plan.hpp"
#include "cuda/core/routing_view.hpp"
#include "cuda/core/tally.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

/// The instruction sets that the hot loops are built for; which one runs is chosen when the program starts. x86_64_v4
/// here includes vector population counts.
enum class InstructionSet { baseline, x86_64_v3, x86_64_v4 };

/// The best one this processor has.
InstructionSet best_instruction_set();
const char* to_string(InstructionSet set);

/// Layers that the loops of a set replay at a time: eight where a vector register holds eight 64-bit words.
constexpr int lanes_of(InstructionSet set) {
  return set == InstructionSet::x86_64_v4 ? 8 : 1;
}

/// The set whose code simulates a plan where the processor has `best`: that one, or one of fewer lanes where layers are
/// few, masks are wide (of more than 256 experts, for which the baseline alone is built) or all layers move together.
InstructionSet set_for(InstructionSet best, const RoutingView& routing, const PlanView& plan);

/// One block of work of the CPU backend: trajectories first .. last - 1 of one cell.
struct CpuBlock {
  const RoutingView& routing;
  const PlanView& plan;
  const WorkspaceLayout& layout;
  std::uint32_t cell;
  Stream stream;
  std::uint64_t first, last;
  std::uint64_t* scratch;  ///< [layout.path_words + layout.layer_words (of every layer where they are coupled)],
                           ///< aligned to 64 bytes
  TallyView tally;
};

using RunBlock = void(const CpuBlock& block);

/// The code built for `set`, which is a set_for, and for masks as wide as the table's.
RunBlock* code_for(InstructionSet set, const RoutingView& routing, const PlanView& plan);

// The same two files, cpu_layers.cpp and cpu_coupled.cpp, compiled for masks of so many words.
namespace baseline {
RunBlock layers_1, layers_2, layers_4, layers_16;
RunBlock coupled_1, coupled_2, coupled_4, coupled_16;
}  // namespace baseline
namespace x86_64_v3 {
RunBlock layers_1, layers_2, layers_4;
RunBlock coupled_1, coupled_2, coupled_4;
}  // namespace x86_64_v3
namespace x86_64_v4 {
RunBlock layers_1, layers_2, layers_4;
}  // namespace x86_64_v4

}  // namespace moecarlo
