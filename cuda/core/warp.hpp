#pragma once

#if defined(__CUDACC__)

namespace moecarlo {

/// The threads that take part in what a warp does together.
constexpr unsigned kWholeWarp = 0xffffffffU;

}  // namespace moecarlo

#endif
