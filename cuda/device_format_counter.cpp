#include "cuda/device_format_counter.hpp"

#include <algorithm>

#include "cuda/core/bit_slice.hpp"
#include "cuda/device_memory.hpp"
#include "cuda/kernels/number_formats.hpp"

namespace moecarlo {
namespace {

using Count = unsigned long long;

constexpr std::size_t kPlaneCounters = std::size_t{kMostMergedRows} * kMagnitudeBits * 3;
constexpr std::size_t kRemainderBins = std::size_t{kRemainders} * kRemainders;

/// An array of the host in device memory, which grows with the largest.
template <class T>
class Uploaded {
 public:
  const T* of(const std::vector<T>& values) {
    if (values.size() > array_.size()) {
      array_ = DeviceArray<T>();  // room for the larger one
      array_ = DeviceArray<T>(values.size());
    }
    check_cuda(cudaMemcpy(array_.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
               "copying weights to the device");
    return array_.data();
  }

 private:
  DeviceArray<T> array_;
};

/// Counters of one launch.
class Counters {
 public:
  explicit Counters(std::size_t size) : array_(size) { array_.clear(); }

  Count* data() { return array_.data(); }
  std::vector<Count> read() const {
    std::vector<Count> values(array_.size());
    array_.copy_to(values.data());
    return values;
  }

 private:
  DeviceArray<Count> array_;
};

class DeviceFormatCounter final : public FormatCounter {
 public:
  FormatCounts count(const MatrixFormats& formats) override {
    FormatCounts counts;
    counts.by_group = magnitudes(formats, formats.by_group);
    if (formats.original.empty()) return counts;
    counts.by_channel = magnitudes(formats, formats.by_channel);
    counts.exponents = exponents(formats);
    counts.zero_point = zero_points(formats);
    return counts;
  }

 private:
  MagnitudeCounts magnitudes(const MatrixFormats& formats, const std::vector<std::int8_t>& weights) {
    MagnitudeCounts counts = magnitude_shape(formats.rows, formats.columns);
    if (weights.empty()) return counts;
    Counters counters(kPlaneCounters + 1);
    check_cuda(launch_magnitudes({int8_.of(weights), formats.rows, formats.columns, counters.data(),
                                  counters.data() + kPlaneCounters},
                                 nullptr),
               "launching the counting of magnitude planes");
    const std::vector<Count> found = counters.read();
    const Count* next = found.data();
    for (auto& planes : counts.planes) {
      for (MagnitudePlaneCounts& plane : planes) {
        plane = {next[0], next[1], next[2]};
        next += 3;
      }
    }
    counts.zero_weights = *next;
    return counts;
  }

  ExponentCounts exponents(const MatrixFormats& formats) {
    Counters counters(kBfloat16Exponents + kFloat16Exponents);
    check_cuda(launch_exponents({floats_.of(formats.original), formats.original.size(), counters.data(),
                                 counters.data() + kBfloat16Exponents},
                                nullptr),
               "launching the counting of exponents");
    const std::vector<Count> found = counters.read();
    ExponentCounts counts;
    std::copy_n(found.begin(), kBfloat16Exponents, counts.bfloat16.begin());
    std::copy_n(found.begin() + kBfloat16Exponents, kFloat16Exponents, counts.float16.begin());
    return counts;
  }

  ZeroPointCounts zero_points(const MatrixFormats& formats) {
    const UnsignedWeights& own = formats.with_zero_point;
    Counters counters(2 * kRemainderBins + kDifferences);
    ZeroPointTask task;
    task.weights = bytes_.of(own.weights);
    task.zero_points = zero_points_.of(own.zero_points);
    task.scales = scales_.of(own.scales);
    task.rows = formats.rows;
    task.columns = formats.columns;
    task.groups = formats.groups();
    task.scale_shift = scale_shift(*std::max_element(own.scales.begin(), own.scales.end()));
    task.counts = counters.data();
    task.squared_scales = task.counts + kRemainderBins;
    task.difference_squares = task.squared_scales + kRemainderBins;
    check_cuda(launch_zero_points(task, nullptr), "launching the counting of weights with zero points");
    const std::vector<Count> found = counters.read();
    const auto from = [&](std::size_t first, std::size_t size) {
      const auto begin = found.begin() + static_cast<std::ptrdiff_t>(first);
      return std::vector<std::uint64_t>(begin, begin + static_cast<std::ptrdiff_t>(size));
    };
    return {task.scale_shift, from(0, kRemainderBins), from(kRemainderBins, kRemainderBins),
            from(2 * kRemainderBins, kDifferences)};
  }

  Uploaded<std::int8_t> int8_;
  Uploaded<float> floats_;
  Uploaded<std::uint8_t> bytes_, zero_points_;
  Uploaded<std::uint16_t> scales_;
};

}  // namespace

std::unique_ptr<FormatCounter> make_device_format_counter(int device) {
  choose_device(device);
  return std::make_unique<DeviceFormatCounter>();
}

}  // namespace moecarlo
