#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// The tallies of a study: one array of 64-bit counters. Addition is exact and order never matters, so a host thread
/// adds to a copy of its own and a device adds atomically.
struct TallyView {
  std::uint64_t* counters = nullptr;

  MOECARLO_HOST_DEVICE void add(std::uint64_t offset, std::uint64_t amount) const {
#if defined(__CUDA_ARCH__)
    atomicAdd(reinterpret_cast<unsigned long long*>(counters + offset), static_cast<unsigned long long>(amount));
#else
    counters[offset] += amount;
#endif
  }
};

}  // namespace moecarlo
