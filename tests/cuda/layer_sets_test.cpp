#include <gtest/gtest.h>

#include "cuda/device_backend.hpp"
#include "cuda/layer_plan.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "tests/shared/backend_suite.hpp"

namespace moecarlo {
namespace {

using testing::StudyCase;

/// Runs a case on the CPU and on a GPU that is given room for a third of the trace; one with coupled layers is left
/// out.
void expect_same_integers(const StudyCase& one) {
  SCOPED_TRACE(one.description);
  testing::expect_same_integers(
      one,
      {[](const RoutingTable& table, const Plan& plan, const TrajectoryRange& range, std::span<std::uint64_t> into) {
         make_cpu_backend(table.view(), plan, 0)->run(range, into);
       },
       [](const RoutingTable& table, const Plan& plan, const TrajectoryRange& range, std::span<std::uint64_t> into) {
         const std::uint64_t room = (table.layers + 2) / 3 * layer_bytes(table.view(), plan) / 7 * 8 + 16;
         const auto device = plan.coupled ? make_device_backend(table.view(), plan, 0)
                                          : make_device_backend(table.view(), plan, 0, room);
         device->run(range, into);
       }});
}

TEST(DeviceBackend, counts_the_same_some_layers_at_a_time) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  for (std::uint32_t number = 0; number < 60; ++number) expect_same_integers(testing::study_case(number));
  for (std::uint32_t number = 0; number < 36; ++number) expect_same_integers(testing::elastic_case(number));
}

}  // namespace
}  // namespace moecarlo
