#pragma once

#include <vector>

#include "cuda/device_memory.hpp"
#include "cuda/kernels/ranks.hpp"

namespace moecarlo {

/// Pairs of a key and a value that a device sorts.
class DevicePairs {
 public:
  explicit DevicePairs(std::uint64_t count) : count_(count) {
    for (auto& keys : keys_) keys = DeviceArray<std::uint64_t>(count);
    for (auto& values : values_) values = DeviceArray<std::uint32_t>(count);
    std::size_t bytes = 0;
    check_cuda(sort_pairs(nullptr, bytes, buffers(), count, nullptr), "sorting");
    temporary_ = DeviceArray<std::uint8_t>(bytes);
  }

  SortBuffers buffers() const { return {{keys_[0].data(), keys_[1].data()}, {values_[0].data(), values_[1].data()}}; }
  void sort() const { sort(count_); }
  /// The first `count` of them.
  void sort(std::uint64_t count) const {
    std::size_t bytes = temporary_.size();
    check_cuda(sort_pairs(temporary_.data(), bytes, buffers(), count, nullptr), "sorting");
  }
  /// In sorted order.
  std::vector<std::uint64_t> keys() const { return fetch(keys_[1]); }
  std::vector<std::uint32_t> values() const { return fetch(values_[1]); }
  const DeviceArray<std::uint32_t>& device_values() const { return values_[1]; }

 private:
  template <class T>
  static std::vector<T> fetch(const DeviceArray<T>& array) {
    std::vector<T> values(array.size());
    array.copy_to(values.data());
    return values;
  }

  std::uint64_t count_;
  DeviceArray<std::uint64_t> keys_[2];
  DeviceArray<std::uint32_t> values_[2];
  DeviceArray<std::uint8_t> temporary_;
};

}  // namespace moecarlo
