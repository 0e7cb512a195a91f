#include "host/weights/count_magnitudes.hpp"

#include <algorithm>
#include <array>

#include "host/weights/bit_planes.hpp"

namespace moecarlo {
namespace {

static_assert(kPlaneColumns == kMergedColumns, "a tile's columns are taken apart at once");

/// A set of columns of a tile.
struct Columns {
  std::array<std::uint64_t, kPlaneWords> words{};

  bool any() const {
    std::uint64_t all = 0;
    for (const std::uint64_t word : words) all |= word;
    return all != 0;
  }
  std::uint64_t size() const {
    std::uint64_t columns = 0;
    for (const std::uint64_t word : words) columns += count_bits(word);
    return columns;
  }
};

template <class Of>
Columns each_word(const Of& of) {
  Columns result;
  for (std::size_t w = 0; w < kPlaneWords; ++w) result.words[w] = of(w);
  return result;
}
Columns operator&(const Columns& a, const Columns& b) {
  return each_word([&](std::size_t w) { return a.words[w] & b.words[w]; });
}
Columns operator|(const Columns& a, const Columns& b) {
  return each_word([&](std::size_t w) { return a.words[w] | b.words[w]; });
}
Columns operator^(const Columns& a, const Columns& b) {
  return each_word([&](std::size_t w) { return a.words[w] ^ b.words[w]; });
}
Columns without(const Columns& a, const Columns& b) {
  return each_word([&](std::size_t w) { return a.words[w] & ~b.words[w]; });
}

/// A row of a tile: by bit of the magnitude the columns that have it, and those that are negative.
struct TileRow {
  std::array<Columns, kMagnitudeBits> ones;
  Columns negative;
};

TileRow tile_row(const std::int8_t* weights, std::uint64_t columns) {
  std::int8_t bytes[kPlaneColumns] = {};
  for (std::uint64_t i = 0; i < columns; ++i) {
    const int weight = weights[i];
    bytes[i] = static_cast<std::int8_t>(weight < 0 ? -weight - 128 : weight);
  }
  PlaneWords planes[kWeightBits];
  to_planes(bytes, planes);
  TileRow row;
  const auto plane = [&](std::size_t bit) { return each_word([&](std::size_t w) { return planes[bit][w]; }); };
  for (std::size_t bit = 0; bit < kMagnitudeBits; ++bit) row.ones[bit] = plane(bit);
  row.negative = plane(kMagnitudeBits);
  return row;
}

/// The patterns that occur in the columns of a group, the empty one left out.
struct Distinct {
  std::uint64_t patterns = 0, bits = 0;  ///< how many, and the bits that are set in them
  std::uint32_t rows = 0;                ///< bit r: row r is in any of them
};

/// Columns of one plane in a group of rows; `negative` where a bit is set.
struct Group {
  std::array<Columns, kMostMergedRows> ones, negative;
  std::size_t rows = 0;
};

/// Splits columns row by row until those that are left are equal.
void find_distinct(const Group& group, bool with_signs, const Columns& columns, std::size_t row, std::uint32_t pattern,
                   Distinct& distinct) {
  if (!columns.any()) return;
  if (row == group.rows) {
    if (pattern == 0) return;
    ++distinct.patterns;
    distinct.bits += count_bits(pattern);
    distinct.rows |= pattern;
    return;
  }
  find_distinct(group, with_signs, without(columns, group.ones[row]), row + 1, pattern, distinct);
  const Columns ones = columns & group.ones[row];
  const std::uint32_t longer = pattern | 1U << row;
  if (!with_signs) return find_distinct(group, with_signs, ones, row + 1, longer, distinct);
  find_distinct(group, with_signs, without(ones, group.negative[row]), row + 1, longer, distinct);
  find_distinct(group, with_signs, ones & group.negative[row], row + 1, longer, distinct);
}

/// Turns the signs of columns whose lowest row is negative; see up_to_sign.
void turn_signs(Group& group) {
  Columns seen, turned;
  for (std::size_t r = 0; r < group.rows; ++r) {
    turned = turned | (without(group.ones[r], seen) & group.negative[r]);
    seen = seen | group.ones[r];
  }
  for (std::size_t r = 0; r < group.rows; ++r) group.negative[r] = (group.negative[r] ^ turned) & group.ones[r];
}

/// Inputs of equal columns become one sum each, then each row adds up those that it is part of.
std::uint64_t additions_of(const Group& group, bool with_signs, const Columns& touched) {
  Distinct distinct;
  find_distinct(group, with_signs, touched, 0, 0, distinct);
  return touched.size() - distinct.patterns + distinct.bits - count_bits(distinct.rows);
}

void count_group(std::span<const TileRow> rows, std::size_t bit, MagnitudePlaneCounts& counts) {
  Group group;
  group.rows = rows.size();
  Columns touched;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    group.ones[r] = rows[r].ones[bit];
    group.negative[r] = rows[r].negative & group.ones[r];
    touched = touched | group.ones[r];
  }
  counts.spelled_bits += rows.size() * touched.size();
  counts.additions += additions_of(group, false, touched);
  turn_signs(group);
  counts.signed_additions += additions_of(group, true, touched);
}

std::uint64_t zeros_in(const TileRow& row, std::uint64_t columns) {
  Columns any;
  for (const Columns& plane : row.ones) any = any | plane;
  return columns - any.size();
}

}  // namespace

MagnitudeCounts count_magnitudes(std::span<const std::int8_t> weights, std::uint64_t columns, std::uint64_t first) {
  MagnitudeCounts counts;
  const std::uint64_t end = std::min(first + kMagnitudeRows, weights.size() / columns);
  std::vector<TileRow> tile(end - first);
  for (std::uint64_t column = 0; column < columns; column += kPlaneColumns) {
    const std::uint64_t width = std::min(kPlaneColumns, columns - column);
    for (std::uint64_t row = first; row < end; ++row) {
      tile[row - first] = tile_row(weights.data() + row * columns + column, width);
      counts.zero_weights += zeros_in(tile[row - first], width);
    }
    for (std::size_t merged = 1; merged <= kMostMergedRows; ++merged) {
      for (std::size_t row = 0; row < tile.size(); row += merged) {
        const auto group = std::span<const TileRow>(tile).subspan(row, std::min(merged, tile.size() - row));
        for (std::size_t bit = 0; bit < kMagnitudeBits; ++bit) count_group(group, bit, counts.planes[merged - 1][bit]);
      }
    }
  }
  return counts;
}

}  // namespace moecarlo
