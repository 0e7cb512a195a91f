#include "cuda/device_resample.hpp"

#include <gtest/gtest.h>

#include <random>

#include "cuda/device_backend.hpp"

namespace moecarlo {
namespace {

TEST(DeviceResample, sums_as_the_host_does) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937_64 random(4);
  for (const std::uint32_t groups : {8U, 37U, 1024U}) {
    for (const std::size_t columns : {1U, 100U, 4096U, 5000U}) {
      GroupCounts counts{groups, columns, {}};
      for (std::size_t i = 0; i < groups * columns; ++i) counts.counts.push_back(random() >> (14 + random() % 40));
      ASSERT_EQ(resample_on_device(counts, 0), resample_on_host(counts)) << groups << " groups, " << columns;
    }
  }
}

}  // namespace
}  // namespace moecarlo
