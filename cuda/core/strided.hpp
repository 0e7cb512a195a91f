#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// An array of one trajectory among those of others: its elements lie `stride` apart, so that those of a warp's
/// trajectories lie side by side.
template <class T>
struct Strided {
  T* first = nullptr;
  std::size_t stride = 0;
  MOECARLO_HOST_DEVICE T& operator[](std::size_t index) const { return first[index * stride]; }
};

}  // namespace moecarlo
