#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace moecarlo {

/// Turns a CUDA status into a machine error that names what was being done.
void check_cuda(cudaError_t status, const char* what);

/// Makes GPU `device` the one of this thread. Throws a machine error where there is no such GPU, or none at all.
void choose_device(int device);

/// Device memory that nobody has taken.
std::uint64_t free_device_bytes();

/// An array in device memory.
template <class T>
class DeviceArray {
 public:
  DeviceArray() = default;
  explicit DeviceArray(std::size_t size) : size_(size) {
    if (size_ > 0)
      check_cuda(cudaMalloc(reinterpret_cast<void**>(&data_), size_ * sizeof(T)), "allocating device memory");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    copy_from(values.data(), 0, size_);
  }
  DeviceArray(const T* values, std::size_t size) : DeviceArray(size) { copy_from(values, 0, size); }
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

  void copy_to(T* host) const { copy_to(host, size_); }
  /// The first `count` elements.
  void copy_to(T* host, std::size_t count) const {
    if (count > 0)
      check_cuda(cudaMemcpy(host, data_, count * sizeof(T), cudaMemcpyDeviceToHost), "copying from the device");
  }
  /// Replaces elements first .. first + count - 1.
  void copy_from(const T* host, std::size_t first, std::size_t count) {
    if (count > 0)
      check_cuda(cudaMemcpy(data_ + first, host, count * sizeof(T), cudaMemcpyHostToDevice), "copying to the device");
  }
  void clear() {
    if (size_ > 0) check_cuda(cudaMemset(data_, 0, size_ * sizeof(T)), "clearing device memory");
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// An array in host memory that does not move, so that copies to and from a device go on beside the host's work.
template <class T>
class PinnedArray {
 public:
  PinnedArray() = default;
  explicit PinnedArray(std::size_t size) : size_(size) {
    if (size_ > 0)
      check_cuda(cudaMallocHost(reinterpret_cast<void**>(&data_), size_ * sizeof(T)), "allocating pinned memory");
  }
  ~PinnedArray() { cudaFreeHost(data_); }
  PinnedArray(PinnedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PinnedArray& operator=(PinnedArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A queue of copies and kernels that run one after the other, beside those of other streams.
class DeviceStream {
 public:
  DeviceStream() { check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream"); }
  ~DeviceStream() {
    cudaStreamSynchronize(stream_);  // what it works on is about to go
    cudaStreamDestroy(stream_);
  }
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

  cudaStream_t get() const { return stream_; }
  void wait(const char* what) const { check_cuda(cudaStreamSynchronize(stream_), what); }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace moecarlo
