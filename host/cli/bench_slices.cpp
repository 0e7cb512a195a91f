#include "host/cli/bench_slices.hpp"
#include "host/cli/terminal.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

#include "cuda/device_slice_counter.hpp"
#include "host/support/float16.hpp"
#include "host/support/parallel.hpp"
#include "host/weights/count_slices.hpp"

namespace moecarlo::cli {
namespace {

using Clock = std::chrono::steady_clock;

/// One expert's matrix as in a model of 2048 inputs; its groups reach 127, as groups that their largest weight scales
/// do.
WeightMatrix bench_matrix() {
  WeightMatrix matrix{1536, 2048, {}, {}};
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  matrix.weights.resize(matrix.rows * matrix.columns);
  for (std::uint64_t first = 0; first < matrix.weights.size(); first += kScaleGroup) {
    float values[kScaleGroup], peak = 0;
    for (float& value : values) {
      value = normal(random);
      peak = std::max(peak, std::abs(value));
    }
    for (int i = 0; i < kScaleGroup; ++i) {
      matrix.weights[first + static_cast<std::uint64_t>(i)] =
          static_cast<std::int8_t>(std::lround(values[i] / peak * kLargestWeight));
    }
    matrix.scales.push_back(float_to_float16(peak * 1e-4F));
  }
  return matrix;
}

/// Bytes per second of the fastest call of `count`, which takes so many bytes, within `seconds`.
template <class Count>
double fastest(double bytes, double seconds, const Count& count) {
  double best = 0;
  const auto begin = Clock::now();
  for (auto now = begin; std::chrono::duration<double>(now - begin).count() < seconds || best == 0;) {
    const auto start = now;
    count();
    now = Clock::now();
    best = std::max(best, bytes / std::chrono::duration<double>(now - start).count());
  }
  return best;
}

std::uint64_t sum_of(const WeightMatrix& matrix) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 8 <= matrix.weights.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, matrix.weights.data() + i, 8);
    sum += word;
  }
  return sum;
}

constexpr std::size_t kMatrices = 16;  // 50 MB, more than most caches

}  // namespace

SliceRates measure_cpu_slices(double seconds) {
  const std::vector<WeightMatrix> matrices(kMatrices, bench_matrix());
  const auto bytes = static_cast<double>(matrices.front().weights.size());
  std::size_t next = 0;  // one after the other, so that each has left the caches when its turn comes
  const auto matrix = [&] { return std::span(matrices).subspan(next++ % kMatrices, 1); };
  SliceRates rates;
  rates.threads = thread_count(0);
  const auto alone = make_cpu_slice_counter(1), together = make_cpu_slice_counter(rates.threads);
  rates.one_thread = fastest(bytes, seconds, [&] { alone->count(matrix()); });
  rates.all_threads = fastest(kMatrices * bytes, seconds, [&] { together->count(matrices); });
  volatile std::uint64_t sink = 0;
  rates.read_limit = fastest(bytes, seconds, [&] { sink = sink + sum_of(matrix().front()); });
  return rates;
}

DeviceSliceRates measure_device_slices(int device, double seconds) {
  const std::vector<WeightMatrix> matrices(kMatrices, bench_matrix());
  const auto bytes = static_cast<double>(kMatrices * matrices.front().weights.size());
  DeviceSliceRates rates;
  rates.kernel = measure_device_slice_kernel(matrices.front(), device);
  const auto counter = make_device_slice_counter(device);
  rates.whole = fastest(bytes, seconds, [&] { counter->count(matrices); });
  return rates;
}

nlohmann::ordered_json to_json(const SliceRates& rates) {
  return {{"bytes_per_second", rates.one_thread},
          {"threads", rates.threads},
          {"bytes_per_second_all_threads", rates.all_threads},
          {"limit", {{"name", "reading, 1 thread"}, {"bytes_per_second", rates.read_limit}}}};
}

nlohmann::ordered_json to_json(const DeviceSliceRates& rates) {
  return {{"kernel_bytes_per_second", rates.kernel}, {"bytes_per_second", rates.whole}};
}

void print(const std::optional<SliceRates>& cpu, const std::optional<DeviceSliceRates>& device) {
  if (!cpu && !device) return;
  say("\n{:<48} {:>14}\n", "bit slices of INT8 weights", "GB/s");
  const auto line = [](const std::string& name, double rate) { say("{:<48} {:>14.2f}\n", name, rate / 1e9); };
  if (cpu) {
    line("cpu, 1 thread", cpu->one_thread);
    line(fmt::format("cpu, {} threads", cpu->threads), cpu->all_threads);
    line("limit: reading the weights, 1 thread", cpu->read_limit);
  }
  if (device) {
    line("cuda, weights in device memory", device->kernel);
    line("cuda, upload included", device->whole);
  }
}

}  // namespace moecarlo::cli
