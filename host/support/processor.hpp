#pragma once

namespace moecarlo {

// Levels of x86-64 that this machine's processor and system run, beside the baseline; none of another architecture.

#if defined(__x86_64__) && (!defined(__clang__) || __clang_major__ >= 17)  // an older clang knows no names of levels
inline bool runs_x86_64_v3() {
  return __builtin_cpu_supports("x86-64-v3") != 0;
}

/// AVX-512 with its population counts and permutations of bytes: Ice Lake, Zen 4 and younger.
inline bool runs_x86_64_v4() {
  return __builtin_cpu_supports("x86-64-v4") != 0 && __builtin_cpu_supports("avx512vpopcntdq") != 0 &&
         __builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0;
}
#else
inline bool runs_x86_64_v3() {
  return false;
}
inline bool runs_x86_64_v4() {
  return false;
}
#endif

}  // namespace moecarlo
