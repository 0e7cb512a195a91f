#include "tests/shared/weight_samples.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "host/support/float16.hpp"

namespace moecarlo {

WeightMatrix gaussian_matrix(std::uint64_t rows, std::uint64_t columns, std::uint32_t seed, double sigma) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal(0, sigma);
  WeightMatrix matrix{rows, columns, {}, {}};
  for (std::uint64_t row = 0; row < rows; ++row) {
    for (std::uint64_t first = 0; first < columns; first += kScaleGroup) {
      std::vector<double> group(std::min<std::uint64_t>(kScaleGroup, columns - first));
      double peak = 0;
      for (double& weight : group) {
        weight = normal(random);
        peak = std::max(peak, std::abs(weight));
      }
      const std::uint16_t scale = float_to_float16(static_cast<float>(peak / 127));
      matrix.scales.push_back(scale);
      for (const double weight : group) {
        const double nearest = scale == 0 ? 0 : std::nearbyint(weight / float16_to_float(scale));
        matrix.weights.push_back(static_cast<std::int8_t>(std::clamp(nearest, -127.0, 127.0)));
      }
    }
  }
  return matrix;
}

WeightMatrix strange_matrix(std::mt19937& random) {
  WeightMatrix matrix;
  matrix.rows = 1 + random() % 19;
  matrix.columns = 1 + random() % 700;
  const std::uint32_t largest_scale = random() % 3 == 0 ? 0x7bff : 1 + random() % 0x7bff;
  for (std::uint64_t i = 0; i < matrix.rows * matrix.groups(); ++i) {
    matrix.scales.push_back(static_cast<std::uint16_t>(1 + random() % largest_scale));
  }
  for (std::uint64_t row = 0; row < matrix.rows; ++row) {
    int peak = 127;
    for (std::uint64_t column = 0; column < matrix.columns; ++column) {
      if (column % kScaleGroup == 0) peak = random() % 4 == 0 ? static_cast<int>(random() % 128) : 127;
      const int weight = static_cast<int>(random() % (2 * static_cast<std::uint32_t>(peak) + 1)) - peak;
      const bool first = column % kScaleGroup == 0;
      matrix.weights.push_back(static_cast<std::int8_t>(first ? peak : random() % 3 == 0 ? weight / 16 : weight));
    }
  }
  return matrix;
}

SliceCounts slow_counts(const WeightMatrix& matrix) {
  SliceCounts counts;
  counts.scale_shift = scale_shift(matrix.largest_scale());
  counts.row_groups = (matrix.rows + 3) / 4;
  counts.group_columns = counts.row_groups * matrix.columns;
  const auto at = [&](std::uint64_t row, std::uint64_t column) {
    return row < matrix.rows ? int{matrix.weights[row * matrix.columns + column]} : 0;
  };
  for (std::uint64_t row = 0; row < matrix.rows; ++row) {
    for (std::uint64_t column = 0; column < matrix.columns; ++column) {
      const std::uint64_t first = column / 32 * 32, end = std::min(first + 32, matrix.columns);
      int peak = 0;
      for (std::uint64_t other = first; other < end; ++other) peak = std::max(peak, std::abs(at(row, other)));
      const std::uint64_t units = scale_units(matrix.scales[row * matrix.groups() + column / 32], counts.scale_shift);
      const auto bin = static_cast<std::size_t>((at(row, column) + 256) % 256);
      ++counts.peaks[peak].counts[bin];
      counts.peaks[peak].squared_scales[bin] += units * units;
    }
  }
  for (int bit = 0; bit < 8; ++bit) {
    PlaneCounts& plane = counts.planes[static_cast<std::size_t>(bit)];
    for (std::uint64_t group = 0; group < counts.row_groups; ++group) {
      std::array<bool, 16> seen{};
      for (std::uint64_t column = 0; column < matrix.columns; ++column) {
        std::size_t pattern = 0;
        bool differs = false;
        for (std::uint64_t r = 0; r < 4; ++r) {
          const int weight = at(4 * group + r, column);
          const bool one = (weight & (1 << bit)) != 0;
          pattern += one ? std::size_t{1} << r : 0;
          differs = differs || (bit == 7 ? one : one != (weight < 0));
        }
        ++plane.columns[pattern];
        plane.groups[pattern] += seen[pattern] ? 0 : 1;
        seen[pattern] = true;
        plane.spelled_columns += differs ? 1 : 0;
      }
    }
  }
  return counts;
}

}  // namespace moecarlo
