#include "cuda/device_draws.hpp"

#include <gtest/gtest.h>

#include "cuda/device_backend.hpp"
#include "tests/shared/drawn_loads.hpp"

namespace moecarlo {
namespace {

TEST(DeviceDraws, hands_the_loads_of_the_host_to_balancers) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  testing::expect_same_loads(
      [](const RequestBatches& batches, bool sorted) { return make_device_draws(batches, sorted, 0); });
}

}  // namespace
}  // namespace moecarlo
