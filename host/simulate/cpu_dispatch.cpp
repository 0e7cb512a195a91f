#include "host/simulate/cpu_kernel.hpp"

namespace moecarlo {

InstructionSet best_instruction_set() {
#if defined(MOECARLO_X86_64)
  if (__builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512vpopcntdq") &&
      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2"))
    return InstructionSet::x86_64_v4;
  if (__builtin_cpu_supports("x86-64-v3")) return InstructionSet::x86_64_v3;
#endif
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

int cpu_lanes(InstructionSet set, const RoutingView& routing, const PlanView& plan) {
  const int lanes = lanes_for(set, mask_words(routing.experts));
  return has_episodes(plan.walk) && !plan.lockstep && routing.layers >= static_cast<std::uint32_t>(lanes) ? lanes : 1;
}

void run_block(InstructionSet set, const CpuBlock& block) {
#if defined(MOECARLO_X86_64)
  if (set == InstructionSet::x86_64_v4) return run_block_x86_64_v4(block);
  if (set == InstructionSet::x86_64_v3) return run_block_x86_64_v3(block);
#endif
  static_cast<void>(set);
  run_block_baseline(block);
}

}  // namespace moecarlo
