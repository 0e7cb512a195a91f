#include "cuda/device_backend.hpp"
#include "cuda/device_draws.hpp"
#include "cuda/device_format_counter.hpp"
#include "cuda/device_limits.hpp"
#include "cuda/device_ranker.hpp"
#include "cuda/device_resample.hpp"
#include "cuda/device_selector.hpp"
#include "cuda/device_slice_counter.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

[[noreturn]] void fail_without_cuda() {
  fail(ErrorKind::machine,
       "backend cuda: this build has no CUDA backend (expected a build with nvcc; --backend cpu works)");
}

}  // namespace

std::vector<int> usable_devices(std::string& why_not) {
  why_not = "this build has no CUDA backend";
  return {};
}

std::unique_ptr<Backend> make_device_backend(const RoutingView&, const Plan&, int, std::uint64_t) {
  fail_without_cuda();
}

std::unique_ptr<DeviceDraws> make_device_draws(const RequestBatches&, bool, int) {
  fail_without_cuda();
}

std::unique_ptr<ExpertSelector> make_device_selector(const StoredLogits&, int) {
  fail_without_cuda();
}

std::unique_ptr<TableRanker> make_device_ranker(int, std::uint64_t) {
  fail_without_cuda();
}

std::vector<std::uint64_t> resample_on_device(const GroupCounts&, int) {
  fail_without_cuda();
}

std::unique_ptr<SliceCounter> make_device_slice_counter(int) {
  fail_without_cuda();
}

std::unique_ptr<FormatCounter> make_device_format_counter(int) {
  fail_without_cuda();
}

double measure_device_slice_kernel(const WeightMatrix&, int) {
  fail_without_cuda();
}

DeviceLimits measure_device_limits(int) {
  fail_without_cuda();
}

}  // namespace moecarlo
