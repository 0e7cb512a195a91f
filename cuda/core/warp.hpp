#pragma once

// Code that the threads of a warp run together is compiled for devices, and for tests that stand in for a warp on a
// host. MOECARLO_UNROLLED marks a loop over an array that is to stay in registers.
#if defined(__CUDACC__)
#define MOECARLO_WARP
#define MOECARLO_UNROLLED _Pragma("unroll")
#else
#define MOECARLO_UNROLLED
#endif

namespace moecarlo {

/// The threads that take part in what a warp does together.
constexpr unsigned kWholeWarp = 0xffffffffU;

}  // namespace moecarlo
