#pragma once

#include <cstddef>

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// An array of a view: reads like a pointer, and knows its length, so that it can be copied to another memory.
template <class T>
struct ViewArray {
  const T* data = nullptr;
  std::size_t size = 0;

  MOECARLO_HOST_DEVICE operator const T*() const { return data; }

  /// Of anything that has data() and size().
  template <class Array>
  static ViewArray of(const Array& array) {
    return {array.data(), array.size()};
  }
};

/// A view all of whose arrays lie in device memory. Kernels take no other: a pointer to host memory among their
/// arguments would be a type error, not a crash.
template <class View>
struct OnDevice : View {
  OnDevice() = default;
  explicit OnDevice(const View& view) : View(view) {}
};

}  // namespace moecarlo
