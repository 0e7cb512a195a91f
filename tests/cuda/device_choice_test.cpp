#include "cuda/device_choice.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int> usable(const char* architectures, const std::vector<int>& capabilities) {
  std::vector<DeviceFacts> devices;
  for (const int capability : capabilities) devices.push_back({"GPU", capability});
  return devices_with_code(devices, device_code(architectures));
}

TEST(DeviceCode, runs_on_its_own_architecture_and_where_it_is_portable_on_later_ones) {
  EXPECT_THAT(usable("80 90", {70, 75, 80, 86, 90, 100, 121}), ElementsAre(2, 3, 4, 5, 6));
  EXPECT_THAT(usable("80-real 90-real", {75, 80, 86, 90, 100}), ElementsAre(1, 2, 3));
  EXPECT_THAT(usable("86-real", {80, 86, 89, 90}), ElementsAre(1, 2));
  EXPECT_THAT(usable("80-virtual", {75, 80, 86, 90}), ElementsAre(1, 2, 3));
  EXPECT_THAT(usable("90a", {89, 90, 100}), ElementsAre(1));
  EXPECT_THAT(usable("native", {75, 80}), ElementsAre(0, 1));  // known to the compiler only
  EXPECT_THAT(usable("80", {}), IsEmpty());
}

TEST(DeviceCode, says_what_it_needs_and_what_it_found) {
  EXPECT_EQ(no_code_text({"Tesla T4", 75}, device_code("80 90")),
            "this build has no code for Tesla T4 (expected sm_80 or newer, found sm_75)");
  EXPECT_EQ(no_code_text({"NVIDIA B200", 100}, device_code("80-real 90a-real")),
            "this build has no code for NVIDIA B200 (expected sm_80, sm_90a, found sm_100)");
}

TEST(DeviceChoice, of_auto_is_a_gpu_that_can_run_the_build_or_none) {
  EXPECT_EQ(device_for("auto", {}, {}, 0), std::nullopt);
  EXPECT_EQ(device_for("auto", {}, {1, 3}, 0), 1);
  EXPECT_EQ(device_for("auto", {}, {1, 3}, 1), 3);  // the next process of the machine
  EXPECT_EQ(device_for("auto", {}, {1, 3}, 2), 1);
  EXPECT_EQ(device_for("auto", 3, {1, 3}, 0), 3);
  EXPECT_EQ(device_for("auto", 0, {1, 3}, 0), std::nullopt);
}

TEST(DeviceChoice, of_cuda_is_a_gpu_even_if_it_then_has_to_say_why_it_cannot) {
  EXPECT_EQ(device_for("cuda", {}, {1, 3}, 0), 1);
  EXPECT_EQ(device_for("cuda", 0, {1, 3}, 0), 0);
  EXPECT_EQ(device_for("cuda", {}, {}, 5), 0);
}

TEST(DeviceChoice, of_cpu_is_no_gpu) {
  EXPECT_EQ(device_for("cpu", 1, {0, 1}, 0), std::nullopt);
}

}  // namespace
}  // namespace moecarlo
