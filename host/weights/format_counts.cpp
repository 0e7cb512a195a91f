#include "host/weights/format_counts.hpp"

namespace moecarlo {
namespace {

template <class Array>
void add(Array& a, const Array& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] += b[i];
}

}  // namespace

MagnitudeCounts& MagnitudeCounts::operator+=(const MagnitudeCounts& other) {
  weights += other.weights;
  zero_weights += other.zero_weights;
  dense_additions += other.dense_additions;
  add(group_columns, other.group_columns);
  for (std::size_t rows = 0; rows < planes.size(); ++rows) {
    for (std::size_t bit = 0; bit < kMagnitudeBits; ++bit) {
      MagnitudePlaneCounts& plane = planes[rows][bit];
      const MagnitudePlaneCounts& from = other.planes[rows][bit];
      plane.spelled_bits += from.spelled_bits;
      plane.additions += from.additions;
      plane.signed_additions += from.signed_additions;
    }
  }
  return *this;
}

ExponentCounts& ExponentCounts::operator+=(const ExponentCounts& other) {
  add(bfloat16, other.bfloat16);
  add(float16, other.float16);
  return *this;
}

MagnitudeCounts magnitude_shape(std::uint64_t rows, std::uint64_t columns) {
  MagnitudeCounts counts;
  counts.weights = rows * columns;
  counts.dense_additions = rows * (columns - (columns + kMergedColumns - 1) / kMergedColumns);
  for (std::uint64_t merged = 1; merged <= kMostMergedRows; ++merged) {
    counts.group_columns[merged - 1] = (rows + merged - 1) / merged * columns;
  }
  return counts;
}

}  // namespace moecarlo
