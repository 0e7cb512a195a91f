#pragma once

/// A precondition of the core: what a caller has to see to. Debug and sanitizer builds (MOECARLO_CHECKED) end the
/// program where it does not hold; others do not look.
#if defined(MOECARLO_CHECKED) && !defined(__CUDA_ARCH__)
#include <cstdio>
#include <cstdlib>
#define MOECARLO_EXPECT(condition)                                                                                 \
  ((condition) ? static_cast<void>(0)                                                                              \
               : (static_cast<void>(std::fprintf(stderr, "%s:%d: expected %s\n", __FILE__, __LINE__, #condition)), \
                  std::abort()))
#else
#define MOECARLO_EXPECT(condition) static_cast<void>(0)
#endif
