#include "cuda/device_backend.hpp"
#include "cuda/device_limits.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

[[noreturn]] void fail_without_cuda() {
  fail(ErrorKind::machine,
       "backend cuda: this build has no CUDA backend (expected a build with nvcc; --backend cpu works)");
}

}  // namespace

bool device_available(std::string& why_not) {
  why_not = "this build has no CUDA backend";
  return false;
}

std::unique_ptr<Backend> make_device_backend(const RoutingView&, const Plan&, int) {
  fail_without_cuda();
}

DeviceLimits measure_device_limits(int) {
  fail_without_cuda();
}

}  // namespace moecarlo
