#include "cuda/device_format_counter.hpp"

#include <gtest/gtest.h>

#include "cuda/device_backend.hpp"
#include "tests/shared/format_samples.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

TEST(DeviceFormatCounter, counts_the_integers_of_the_cpu) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937 random(1);
  const auto device = make_device_format_counter(0), cpu = make_cpu_format_counter(0);
  const WeightMatrix large = gaussian_matrix(771, 2100, 1);
  std::vector<float> original;
  for (const std::int8_t weight : large.weights) original.push_back(static_cast<float>(weight) / 3000);
  std::vector<MatrixFormats> matrices{formats_of(large, original), formats_of(WeightMatrix{}, {})};
  for (int i = 0; i < 100; ++i) matrices.push_back(strange_formats(random));
  for (std::size_t i = 0; i < matrices.size(); ++i) {
    EXPECT_EQ(device->count(matrices[i]), cpu->count(matrices[i]))
        << i << ": " << matrices[i].rows << " x " << matrices[i].columns;
  }
}

}  // namespace
}  // namespace moecarlo
