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

namespace {

using RunBlock = void (*)(const CpuBlock& block);

/// The code for masks of so many words.
RunBlock code_for(InstructionSet set, int words) {
#if defined(MOECARLO_X86_64)
  if (set == InstructionSet::x86_64_v4 && words <= 4) {
    return words == 1 ? x86_64_v4::run_1 : words == 2 ? x86_64_v4::run_2 : x86_64_v4::run_4;
  }
  if (set == InstructionSet::x86_64_v3 && words <= 4) {
    return words == 1 ? x86_64_v3::run_1 : words == 2 ? x86_64_v3::run_2 : x86_64_v3::run_4;
  }
#endif
  static_cast<void>(set);
  if (words > 4) return words == 8 ? baseline::run_8 : baseline::run_16;
  return words == 1 ? baseline::run_1 : words == 2 ? baseline::run_2 : baseline::run_4;
}

}  // namespace

void run_block(InstructionSet set, const CpuBlock& block) {
  code_for(set, mask_words(block.routing.experts))(block);
}

}  // namespace moecarlo
