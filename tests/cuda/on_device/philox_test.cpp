#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cuda/core/random.hpp"
#include "cuda/device_backend.hpp"
#include "tests/cuda/on_device/philox_on_device.hpp"
#include "tests/shared/philox_answers.hpp"

namespace moecarlo {
namespace {

TEST(DevicePhilox, gives_the_published_known_answers) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::vector<std::uint32_t> inputs;
  for (const auto& answer : testing::kPhiloxAnswers) inputs.insert(inputs.end(), answer.begin(), answer.begin() + 6);
  const std::vector<std::uint32_t> blocks = testing::philox_on_device(inputs);
  for (std::size_t i = 0; i < testing::kPhiloxAnswers.size(); ++i) {
    for (std::size_t w = 0; w < 8; ++w) EXPECT_EQ(blocks[8 * i + w], testing::kPhiloxAnswers[i][6 + w % 4]);
  }
}

TEST(DevicePhilox, makes_the_blocks_of_the_host) {
  std::string why_not;
  if (usable_devices(why_not).empty()) GTEST_SKIP() << why_not;
  std::mt19937 random(5);
  std::vector<std::uint32_t> inputs(6 * 10'000);
  std::generate(inputs.begin(), inputs.end(), [&] { return static_cast<std::uint32_t>(random()); });
  const std::vector<std::uint32_t> blocks = testing::philox_on_device(inputs);
  for (std::size_t i = 0; i < inputs.size() / 6; ++i) {
    const std::uint32_t* in = inputs.data() + 6 * i;
    const RandomBlock block = philox(in[0], in[1], in[2], in[3], in[4], in[5]);
    for (std::size_t w = 0; w < 8; ++w) ASSERT_EQ(blocks[8 * i + w], block.word[w % 4]) << "block " << i;
  }
}

}  // namespace
}  // namespace moecarlo
