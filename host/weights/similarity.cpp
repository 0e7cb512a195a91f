#include "host/weights/similarity.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "host/support/parallel.hpp"

namespace moecarlo {
namespace {

/// What is added up about one group of 32 weights: with their scales at most 2^51, so that a row of 2^17
/// weights stays an integer.
std::int64_t group_product(const std::int8_t* a, const std::int8_t* b, std::uint64_t size) {
  std::int32_t sum = 0;
  if (size == kScaleGroup) {
    for (int i = 0; i < kScaleGroup; ++i) sum += a[i] * b[i];  // of a length that the compiler knows
  } else {
    for (std::uint64_t i = 0; i < size; ++i) sum += a[i] * b[i];
  }
  return sum;
}

/// Scales in the units of their matrix.
struct Units {
  explicit Units(const WeightMatrix& matrix) {
    const int shift = scale_shift(matrix.largest_scale());
    for (const std::uint16_t scale : matrix.scales) {
      units.push_back(static_cast<std::uint32_t>(scale_units(scale, shift)));
    }
  }
  std::vector<std::uint32_t> units;
};

/// Integers along a row; the rows are added in their order.
double product(const WeightMatrix& a, const Units& of_a, const WeightMatrix& b, const Units& of_b) {
  double sum = 0;
  for (std::uint64_t row = 0; row < a.rows; ++row) {
    std::int64_t in_row = 0;
    for (std::uint64_t group = 0; group < a.groups(); ++group) {
      const std::uint64_t column = group * kScaleGroup, at = row * a.columns + column;
      const std::uint64_t scale = row * a.groups() + group;
      const std::int64_t scales = std::int64_t{of_a.units[scale]} * of_b.units[scale];
      in_row += scales * group_product(a.weights.data() + at, b.weights.data() + at,
                                       std::min<std::uint64_t>(kScaleGroup, a.columns - column));
    }
    sum += static_cast<double>(in_row);
  }
  return sum;
}

double cosine_of(double product, double square_a, double square_b) {
  return square_a == 0 || square_b == 0 ? 0 : product / std::sqrt(square_a * square_b);
}

}  // namespace

double cosine(const WeightMatrix& a, const WeightMatrix& b) {
  const Units of_a(a), of_b(b);
  return cosine_of(product(a, of_a, b, of_b), product(a, of_a, a, of_a), product(b, of_b, b, of_b));
}

Similarity similarity(std::span<const WeightMatrix> matrices, unsigned threads) {
  Similarity found;
  const std::size_t count = matrices.size();
  if (count < 2) return found;
  std::vector<Units> units;
  for (const WeightMatrix& matrix : matrices) units.emplace_back(matrix);
  std::vector<double> products(count * count);
  parallel_for(products.size(), threads, [&](std::uint64_t item, unsigned) {
    const std::uint64_t a = item / count, b = item % count;
    if (a <= b) products[item] = product(matrices[a], units[a], matrices[b], units[b]);
  });
  for (std::size_t a = 0; a < count; ++a) {
    for (std::size_t b = a + 1; b < count; ++b) {
      const double own = cosine_of(products[a * count + b], products[a * count + a], products[b * count + b]);
      ++found.pairs;
      found.sum += own;
      if (own <= found.largest) continue;
      found.largest = own;
      found.first = static_cast<std::uint32_t>(a);
      found.second = static_cast<std::uint32_t>(b);
    }
  }
  return found;
}

}  // namespace moecarlo
