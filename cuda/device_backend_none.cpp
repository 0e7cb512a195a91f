#include "cuda/device_backend.hpp"
#include "host/support/error.hpp"

namespace moecarlo {

bool device_available(std::string& why_not) {
  why_not = "this build has no CUDA backend";
  return false;
}

std::unique_ptr<Backend> make_device_backend(const RoutingView&, const Plan&, int) {
  fail(ErrorKind::machine,
       "backend cuda: this build has no CUDA backend (expected a build with nvcc; --backend cpu works)");
}

}  // namespace moecarlo
