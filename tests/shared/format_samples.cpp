#include "tests/shared/format_samples.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <map>

#include "cuda/core/bit_slice.hpp"
#include "host/support/float16.hpp"
#include "tests/shared/weight_samples.hpp"

namespace moecarlo {
namespace {

std::vector<int> negative(std::vector<int> column) {
  for (int& digit : column) digit = -digit;
  return column;
}

MagnitudeCounts slow_magnitudes(const std::vector<std::int8_t>& weights, std::uint64_t rows, std::uint64_t columns) {
  MagnitudeCounts counts;
  for (const std::int8_t weight : weights) {
    ++counts.weights;
    counts.zero_weights += weight == 0 ? 1 : 0;
  }
  for (std::uint64_t tile = 0; tile < columns; tile += 256) {
    counts.dense_additions += rows * (std::min<std::uint64_t>(256, columns - tile) - 1);
  }
  for (std::uint64_t merged = 1; merged <= 6; ++merged) {
    for (std::uint64_t first = 0; first < rows; first += merged) {
      counts.group_columns[merged - 1] += columns;
      const std::uint64_t own = std::min(merged, rows - first);
      for (std::uint64_t tile = 0; tile < columns; tile += 256) {
        for (int bit = 0; bit < 7; ++bit) {
          std::vector<std::vector<int>> unsigned_columns, signed_columns;
          for (std::uint64_t column = tile; column < std::min(tile + 256, columns); ++column) {
            std::vector<int> digits;
            for (std::uint64_t r = first; r < first + own; ++r) {
              const int weight = weights[r * columns + column];
              digits.push_back((std::abs(weight) / (1 << bit) % 2) * (weight < 0 ? -1 : 1));
            }
            signed_columns.push_back(digits);
            for (int& digit : digits) digit = std::abs(digit);
            unsigned_columns.push_back(digits);
          }
          MagnitudePlaneCounts& plane = counts.planes[merged - 1][static_cast<std::size_t>(bit)];
          for (const auto& column : unsigned_columns) {
            plane.spelled_bits += std::count(column.begin(), column.end(), 1) > 0 ? own : 0;
          }
          plane.additions += slow_additions(unsigned_columns);
          plane.signed_additions += slow_additions(signed_columns);
        }
      }
    }
  }
  return counts;
}

std::size_t bfloat16_field(float weight) {
  // The nearest of the two bfloat16 around it, of which the even one where it is half way.
  const auto bits = std::bit_cast<std::uint32_t>(std::abs(weight));
  const std::uint32_t below = bits & 0xffff0000U, above = below + 0x10000U, rest = bits - below;
  const bool up = rest > 0x8000U || (rest == 0x8000U && (below >> 16) % 2 == 1);
  return (up ? above : below) >> 23;
}

}  // namespace

MatrixFormats strange_formats(std::mt19937& random) {
  const WeightMatrix stored = strange_matrix(random);
  std::vector<float> original;
  if (random() % 4 > 0) {
    for (std::uint64_t i = 0; i < stored.weights.size(); ++i) {
      const std::uint32_t bits = random();
      const bool any = random() % 8 == 0 && (bits & 0x7f800000U) != 0x7f800000U;  // finite, of any size
      original.push_back(any ? std::bit_cast<float>(bits) : static_cast<float>(stored.weights[i]) / 1024.0F);
    }
  }
  return formats_of(stored, std::move(original));
}

std::uint64_t slow_additions(const std::vector<std::vector<int>>& columns) {
  std::map<std::vector<int>, std::uint64_t> equal;
  for (const std::vector<int>& column : columns) {
    const auto first = std::find_if(column.begin(), column.end(), [](int digit) { return digit != 0; });
    if (first != column.end()) ++equal[*first < 0 ? negative(column) : column];
  }
  std::uint64_t additions = 0;
  std::vector<std::uint64_t> terms(columns.front().size());
  for (const auto& [pattern, inputs] : equal) {
    additions += inputs - 1;
    for (std::size_t row = 0; row < pattern.size(); ++row) terms[row] += pattern[row] != 0 ? 1 : 0;
  }
  for (const std::uint64_t of_row : terms) additions += of_row > 0 ? of_row - 1 : 0;
  return additions;
}

FormatCounts slow_counts(const MatrixFormats& formats) {
  FormatCounts counts;
  counts.by_group = slow_magnitudes(formats.by_group, formats.rows, formats.columns);
  if (formats.original.empty()) return counts;
  counts.by_channel = slow_magnitudes(formats.by_channel, formats.rows, formats.columns);
  for (const float weight : formats.original) {
    ++counts.exponents.bfloat16[bfloat16_field(weight)];
    ++counts.exponents.float16[float_to_float16(weight) >> 10 & 31];
  }
  const UnsignedWeights& own = formats.with_zero_point;
  ZeroPointCounts& found = counts.zero_point;
  found.counts.resize(4096);
  found.squared_scales.resize(4096);
  found.difference_squares.resize(511);
  found.scale_shift = scale_shift(*std::max_element(own.scales.begin(), own.scales.end()));
  for (std::uint64_t i = 0; i < own.weights.size(); ++i) {
    const std::uint64_t group = i / formats.columns * formats.groups() + i % formats.columns / 32;
    const int q = own.weights[i], z = own.zero_points[group];
    const std::uint64_t units = scale_units(own.scales[group], found.scale_shift);
    const auto bin = static_cast<std::size_t>(q % 64 * 64 + z % 64);
    ++found.counts[bin];
    found.squared_scales[bin] += units * units;
    found.difference_squares[static_cast<std::size_t>(q - z + 255)] += units * units;
  }
  return counts;
}

}  // namespace moecarlo
