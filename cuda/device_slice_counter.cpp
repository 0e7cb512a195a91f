#include "cuda/device_slice_counter.hpp"

#include <algorithm>

#include "cuda/device_memory.hpp"
#include "cuda/device_timing.hpp"
#include "cuda/kernels/bit_slice.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t kPeaks = kLargestWeight + 1;
constexpr std::size_t kPeakBins = kPeaks * kBins;
constexpr std::size_t kPatternBins = std::size_t{kWeightBits} * kPatterns;
constexpr std::size_t kCounters = 2 * kPeakBins + 2 * kPatternBins + kWeightBits;

using Counters = std::vector<unsigned long long>;

SliceCounts to_counts(const WeightMatrix& matrix, int scale_shift, const Counters& counters) {
  SliceCounts counts;
  counts.scale_shift = scale_shift;
  counts.row_groups = matrix.row_groups();
  counts.group_columns = counts.row_groups * matrix.columns;
  const auto* values = counters.data();
  const auto* squares = values + kPeakBins;
  const auto* columns = squares + kPeakBins;
  const auto* groups = columns + kPatternBins;
  const auto* spelled = groups + kPatternBins;
  for (std::size_t peak = 0; peak < kPeaks; ++peak) {
    const auto* of_peak = values + peak * kBins;
    if (std::all_of(of_peak, of_peak + kBins, [](unsigned long long count) { return count == 0; })) continue;
    WeightBins& bins = counts.peaks[static_cast<int>(peak)];
    std::copy_n(of_peak, kBins, bins.counts.begin());
    std::copy_n(squares + peak * kBins, kBins, bins.squared_scales.begin());
  }
  for (std::size_t bit = 0; bit < kWeightBits; ++bit) {
    PlaneCounts& plane = counts.planes[bit];
    std::copy_n(columns + bit * kPatterns, kPatterns, plane.columns.begin());
    std::copy_n(groups + bit * kPatterns, kPatterns, plane.groups.begin());
    plane.spelled_columns = spelled[bit];
  }
  return counts;
}

/// One matrix at a time in device memory, and its counters.
class DeviceMatrix {
 public:
  /// Uploads a matrix, which must not be empty, and clears the counters.
  SliceTask prepare(const WeightMatrix& matrix) {
    counters_.clear();
    copy(matrix.weights, weights_);
    copy(matrix.scales, scales_);
    SliceTask task;
    task.weights = weights_.data();
    task.scales = scales_.data();
    task.rows = matrix.rows;
    task.columns = matrix.columns;
    task.scale_shift = scale_shift(matrix.largest_scale());
    task.counts = counters_.data();
    task.squared_scales = task.counts + kPeakBins;
    task.pattern_columns = task.squared_scales + kPeakBins;
    task.pattern_groups = task.pattern_columns + kPatternBins;
    task.spelled_columns = task.pattern_groups + kPatternBins;
    return task;
  }

  Counters counters() const {
    Counters counters(kCounters);
    counters_.copy_to(counters.data());
    return counters;
  }

 private:
  template <class T>
  static void copy(const std::vector<T>& values, DeviceArray<T>& array) {
    if (values.size() > array.size()) {
      array = DeviceArray<T>();  // room for the larger one
      array = DeviceArray<T>(values.size());
    }
    check_cuda(cudaMemcpy(array.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
               "copying weights to the device");
  }

  DeviceArray<std::int8_t> weights_;
  DeviceArray<std::uint16_t> scales_;
  DeviceArray<unsigned long long> counters_ = DeviceArray<unsigned long long>(kCounters);
};

void launch(const SliceTask& task) {
  check_cuda(launch_bit_slice(task, nullptr), "launching the counting of bit slices");
}

class DeviceSliceCounter final : public SliceCounter {
 public:
  std::vector<SliceCounts> count(std::span<const WeightMatrix> matrices) override {
    std::vector<SliceCounts> results;
    for (const WeightMatrix& matrix : matrices) {
      if (matrix.weights.empty()) {
        results.emplace_back();
        continue;
      }
      const SliceTask task = device_.prepare(matrix);
      launch(task);
      results.push_back(to_counts(matrix, task.scale_shift, device_.counters()));
    }
    return results;
  }

 private:
  DeviceMatrix device_;
};

}  // namespace

std::unique_ptr<SliceCounter> make_device_slice_counter(int device) {
  choose_device(device);
  return std::make_unique<DeviceSliceCounter>();
}

double measure_device_slice_kernel(const WeightMatrix& matrix, int device) {
  choose_device(device);
  DeviceMatrix uploaded;
  const SliceTask task = uploaded.prepare(matrix);
  return static_cast<double>(matrix.weights.size()) / fastest([&] { launch(task); });
}

}  // namespace moecarlo
