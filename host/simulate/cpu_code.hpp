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

/// Layers that the loops of a set replay at a time: as many as a vector register holds 64-bit words.
constexpr int lanes_of(InstructionSet set) {
  return set == InstructionSet::x86_64_v4 ? 8 : set == InstructionSet::x86_64_v3 ? 4 : 1;
}

/// The set whose code simulates a plan where the processor has `best`: that one, or one of fewer lanes where layers
/// would leave half of them empty (or any, where routing is drawn), masks are wide (of more than 256 experts, for which
/// the baseline alone is built) or all layers move together. Where there are fewer layers than lanes, it reads masks of
/// so many more behind the last row.
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

}  // namespace moecarlo

// The same two files, cpu_layers.cpp and cpu_coupled.cpp, compiled for each set and for masks of so many words.
extern "C" {
moecarlo::RunBlock moecarlo_layers_baseline_1, moecarlo_layers_baseline_2, moecarlo_layers_baseline_4,
    moecarlo_layers_baseline_16;
moecarlo::RunBlock moecarlo_coupled_baseline_1, moecarlo_coupled_baseline_2, moecarlo_coupled_baseline_4,
    moecarlo_coupled_baseline_16;
moecarlo::RunBlock moecarlo_layers_x86_64_v3_1, moecarlo_layers_x86_64_v3_2, moecarlo_layers_x86_64_v3_4;
moecarlo::RunBlock moecarlo_coupled_x86_64_v3_1, moecarlo_coupled_x86_64_v3_2, moecarlo_coupled_x86_64_v3_4;
moecarlo::RunBlock moecarlo_layers_x86_64_v4_1, moecarlo_layers_x86_64_v4_2, moecarlo_layers_x86_64_v4_4;
}
