#pragma once

#include <cstdint>

#include "cuda/core/plan.hpp"
#include "cuda/core/routing_view.hpp"
#include "cuda/core/tally.hpp"
#include "cuda/core/workspace.hpp"

namespace moecarlo {

/// The instruction sets that the hot loops are built for; which one runs is chosen when the program starts.
enum class InstructionSet { x86_64, x86_64_v3, x86_64_v4 };

/// The best one this processor has.
InstructionSet best_instruction_set();
const char* to_string(InstructionSet set);

/// One block of work of the CPU backend: trajectories first .. last - 1 of one cell.
struct CpuBlock {
  const RoutingView& routing;
  const PlanView& plan;
  const WorkspaceLayout& layout;
  std::uint32_t cell;
  Stream stream;
  std::uint64_t first, last;
  std::uint64_t* scratch;  ///< [layout.path_words + layout.layer_words]
  TallyView tally;
};

/// Simulates the block with the code built for `set`.
void run_block(InstructionSet set, const CpuBlock& block);

}  // namespace moecarlo
