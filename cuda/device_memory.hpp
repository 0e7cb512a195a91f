#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace moecarlo {

/// Turns a CUDA status into a machine error that names what was being done.
void check_cuda(cudaError_t status, const char* what);

/// Makes GPU `device` the one of this thread. Throws a machine error where there is no such GPU, or none at all.
void choose_device(int device);

/// An array in device memory.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(std::size_t size) : size_(size) {
    if (size_ > 0)
      check_cuda(cudaMalloc(reinterpret_cast<void**>(&data_), size_ * sizeof(T)), "allocating device memory");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) { copy_from(values.data()); }
  DeviceArray(const T* values, std::size_t size) : DeviceArray(size) { copy_from(values); }
  ~DeviceArray() { cudaFree(data_); }
  DeviceArray(DeviceArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceArray& operator=(DeviceArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }

  void copy_to(T* host) const {
    if (size_ > 0)
      check_cuda(cudaMemcpy(host, data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "copying from the device");
  }
  void clear() {
    if (size_ > 0) check_cuda(cudaMemset(data_, 0, size_ * sizeof(T)), "clearing device memory");
  }

 private:
  void copy_from(const T* host) {
    if (size_ > 0)
      check_cuda(cudaMemcpy(data_, host, size_ * sizeof(T), cudaMemcpyHostToDevice), "copying to the device");
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace moecarlo
