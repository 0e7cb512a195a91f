#include <algorithm>

#include "cuda/core/drawn_routing.hpp"
#include "host/simulate/cpu_code.hpp"
#include "host/support/processor.hpp"

namespace moecarlo {

InstructionSet best_instruction_set() {
  if (runs_x86_64_v4()) return InstructionSet::x86_64_v4;
  if (runs_x86_64_v3()) return InstructionSet::x86_64_v3;
  return InstructionSet::baseline;
}

const char* to_string(InstructionSet set) {
  switch (set) {
    case InstructionSet::x86_64_v4:
      return "x86-64-v4";
    case InstructionSet::x86_64_v3:
      return "x86-64-v3";
    case InstructionSet::baseline:
      break;
  }
  return "baseline";
}

InstructionSet set_for(InstructionSet best, const RoutingView& routing, const PlanView& plan) {
  if (mask_words(routing.experts) > 4) return InstructionSet::baseline;
  if (plan.coupled) return std::min(best, InstructionSet::x86_64_v3);
  // Of layers that are not there nothing can be drawn.
  const bool draws = std::any_of(plan.cells.data, plan.cells.data + plan.cell_count,
                                 [&](const Cell& cell) { return draws_routing(plan, cell); });
  const auto fills_lanes = [&](InstructionSet set) {
    const auto lanes = static_cast<std::uint32_t>(lanes_of(set));
    return routing.layers >= lanes || (!draws && 2 * routing.layers > lanes) || !has_episodes(plan.walk);
  };
  for (const InstructionSet set : {best, std::min(best, InstructionSet::x86_64_v3)}) {
    if (fills_lanes(set)) return set;
  }
  return InstructionSet::baseline;
}

RunBlock* code_for(InstructionSet set, const RoutingView& routing, const PlanView& plan) {
  const int words = mask_words(routing.experts);
  const auto by_width = [&](RunBlock* one, RunBlock* two, RunBlock* four) {
    return words == 1 ? one : words == 2 ? two : four;
  };
  if (words > 4) return plan.coupled ? moecarlo_coupled_baseline_16 : moecarlo_layers_baseline_16;
#if defined(MOECARLO_X86_64)
  if (set == InstructionSet::x86_64_v4)
    return by_width(moecarlo_layers_x86_64_v4_1, moecarlo_layers_x86_64_v4_2, moecarlo_layers_x86_64_v4_4);
  if (set == InstructionSet::x86_64_v3) {
    return plan.coupled
               ? by_width(moecarlo_coupled_x86_64_v3_1, moecarlo_coupled_x86_64_v3_2, moecarlo_coupled_x86_64_v3_4)
               : by_width(moecarlo_layers_x86_64_v3_1, moecarlo_layers_x86_64_v3_2, moecarlo_layers_x86_64_v3_4);
  }
#endif
  static_cast<void>(set);
  return plan.coupled ? by_width(moecarlo_coupled_baseline_1, moecarlo_coupled_baseline_2, moecarlo_coupled_baseline_4)
                      : by_width(moecarlo_layers_baseline_1, moecarlo_layers_baseline_2, moecarlo_layers_baseline_4);
}

}  // namespace moecarlo
