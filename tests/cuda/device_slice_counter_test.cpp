#include "cuda/device_slice_counter.hpp"

#include <gtest/gtest.h>

#include "cuda/device_backend.hpp"
#include "host/weights/count_slices.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

TEST(DeviceSliceCounter, counts_the_integers_of_the_cpu) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937 random(1);
  const auto device = make_device_slice_counter(0), cpu = make_cpu_slice_counter(0);
  std::vector<WeightMatrix> matrices{gaussian_matrix(768, 2048, 1), gaussian_matrix(2050, 768, 2), {}};
  for (int i = 0; i < 200; ++i) matrices.push_back(strange_matrix(random));
  const auto found = device->count(matrices), expected = cpu->count(matrices);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i], expected[i]) << i << ": " << matrices[i].rows << " x " << matrices[i].columns;
  }
}

TEST(DeviceSliceCounter, a_bin_that_fills_up_is_emptied_in_time) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  WeightMatrix matrix{9, 300'000, {}, {}};
  matrix.weights.assign(matrix.rows * matrix.columns, 127);
  matrix.scales.assign(matrix.rows * matrix.groups(), 0x7bff);
  const auto device = make_device_slice_counter(0), cpu = make_cpu_slice_counter(0);
  EXPECT_EQ(device->count({&matrix, 1}), cpu->count({&matrix, 1}));
}

}  // namespace
}  // namespace moecarlo
