#include "host/weights/format_counter.hpp"

#include <gtest/gtest.h>

#include "tests/shared/format_samples.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

FormatCounts counted(const MatrixFormats& formats, unsigned threads = 1) {
  return make_cpu_format_counter(threads)->count(formats);
}

/// INT8 weights as stored, nothing else.
MatrixFormats stored(std::uint64_t rows, std::uint64_t columns, std::vector<std::int8_t> weights) {
  return {rows, columns, std::move(weights), {}, {}, {}};
}

const MagnitudePlaneCounts& lowest_plane(const FormatCounts& counts, std::size_t rows) {
  return counts.by_group.planes[rows - 1][0];
}

/// Columns 0000 0001 0000 1010 0000: 3 x 1 + 2 x 5 = 13 of 20 bits.
TEST(FormatCounter, two_state_codes_by_hand) {
  const FormatCounts counts = counted(stored(4, 5, {0, 0, 0, 1, 0,  //
                                                    0, 0, 0, 0, 0,  //
                                                    0, 0, 0, 1, 0,  //
                                                    0, 1, 0, 0, 0}));
  EXPECT_EQ(counts.by_group.group_columns[3] + lowest_plane(counts, 4).spelled_bits, 13U);
  EXPECT_EQ(counts.by_group.weights, 20U);
  EXPECT_EQ(counts.by_group.zero_weights, 17U);
}

/// Three rows, columns 010 011 011 000 010 110: 0 + 4 + 1 = 5 additions of set bits; merged 1 + 1 and 0 + 2 + 0 = 4.
TEST(FormatCounter, merged_additions_by_hand) {
  const std::vector<std::int8_t> ones{0, 0, 0, 0, 0, 1,  //
                                      1, 1, 1, 0, 1, 1,  //
                                      0, 1, 1, 0, 0, 0};
  const FormatCounts counts = counted(stored(3, 6, ones));
  EXPECT_EQ(lowest_plane(counts, 1).additions, 5U);
  EXPECT_EQ(lowest_plane(counts, 3).additions, 4U);
  EXPECT_EQ(lowest_plane(counts, 3).signed_additions, 4U);
  EXPECT_EQ(counts.by_group.dense_additions, 15U);

  // Of the two columns 011 one has one sign turned: they merge as magnitudes, not with signs: three sums instead of
  // two meet in the second row, and two in the third.
  std::vector<std::int8_t> turned = ones;
  turned[13] = -1;
  EXPECT_EQ(lowest_plane(counted(stored(3, 6, turned)), 3).additions, 4U);
  EXPECT_EQ(lowest_plane(counted(stored(3, 6, turned)), 3).signed_additions, 1U + 0 + 3 + 1);
  // With both signs turned that column is subtracted instead.
  turned[7] = -1;
  EXPECT_EQ(lowest_plane(counted(stored(3, 6, turned)), 3).signed_additions, 4U);
}

TEST(FormatCounter, counts_what_a_slow_count_finds) {
  std::mt19937 random(1);
  for (int i = 0; i < 60; ++i) {
    const MatrixFormats formats = strange_formats(random);
    ASSERT_EQ(counted(formats), slow_counts(formats)) << i << ": " << formats.rows << " x " << formats.columns;
  }
}

/// More rows than are counted together, and more columns than a tile, neither a multiple.
TEST(FormatCounter, counts_the_same_on_any_number_of_threads) {
  const WeightMatrix matrix = gaussian_matrix(131, 600, 2);
  std::vector<float> original;
  for (const std::int8_t weight : matrix.weights) original.push_back(static_cast<float>(weight) / 4096);
  const MatrixFormats formats = formats_of(matrix, original);
  const FormatCounts alone = counted(formats, 1);
  EXPECT_EQ(counted(formats, 4), alone);
  EXPECT_EQ(alone, slow_counts(formats));
}

TEST(FormatCounter, an_empty_matrix_counts_nothing) {
  EXPECT_EQ(counted(formats_of(WeightMatrix{}, {})), FormatCounts{});
}

}  // namespace
}  // namespace moecarlo
