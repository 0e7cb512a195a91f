#include "host/weights/count_slices.hpp"

#include <gtest/gtest.h>

#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

SliceCounts counted(const WeightMatrix& matrix, unsigned threads = 1) {
  return make_cpu_slice_counter(threads)->count({&matrix, 1}).front();
}

TEST(CountSlices, counts_what_a_slow_count_finds) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const WeightMatrix matrix = strange_matrix(random);
    ASSERT_EQ(counted(matrix), slow_counts(matrix)) << i << ": " << matrix.rows << " x " << matrix.columns;
  }
}

TEST(CountSlices, counts_the_same_on_any_number_of_threads) {
  std::vector<WeightMatrix> matrices{gaussian_matrix(803, 2048, 1), gaussian_matrix(4, 96, 2),
                                     gaussian_matrix(7, 40, 3)};
  const auto alone = make_cpu_slice_counter(1)->count(matrices);
  EXPECT_EQ(make_cpu_slice_counter(4)->count(matrices), alone);
  EXPECT_EQ(alone[0], slow_counts(matrices[0]));
  EXPECT_EQ(alone[1], slow_counts(matrices[1]));
}

TEST(CountSlices, a_bin_that_fills_up_is_emptied_in_time) {
  WeightMatrix matrix{5, 300'000, {}, {}};
  matrix.weights.assign(matrix.rows * matrix.columns, 127);
  matrix.scales.assign(matrix.rows * matrix.groups(), 0x7bff);
  const SliceCounts counts = counted(matrix);
  const std::uint64_t units = scale_units(0x7bff, counts.scale_shift);
  ASSERT_EQ(counts.peaks.size(), 1U);
  EXPECT_EQ(counts.peaks.at(127).counts[127], 1'500'000U);
  EXPECT_EQ(counts.peaks.at(127).squared_scales[127], 1'500'000U * units * units);
}

TEST(CountSlices, an_empty_matrix_counts_nothing) {
  EXPECT_EQ(counted(WeightMatrix{}), SliceCounts{});
}

}  // namespace
}  // namespace moecarlo
