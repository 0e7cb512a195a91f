#include "host/weights/matrix_formats.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "cuda/core/number_formats.hpp"
#include "host/support/float16.hpp"

namespace moecarlo {
namespace {

constexpr std::uint16_t kLargestFloat16 = 0x7bff;

double nearest_in(double value, double low, double high) {
  return std::clamp(std::nearbyint(value), low, high);
}

}  // namespace

std::vector<std::int8_t> quantised_by_channel(const std::vector<float>& original, std::uint64_t columns) {
  std::vector<std::int8_t> weights(original.size());
  for (std::uint64_t row = 0; row < original.size(); row += columns) {
    double largest = 0;
    for (std::uint64_t i = row; i < row + columns; ++i) largest = std::max(largest, std::abs(double{original[i]}));
    if (largest == 0) continue;
    for (std::uint64_t i = row; i < row + columns; ++i) {
      weights[i] = static_cast<std::int8_t>(std::nearbyint(double{original[i]} * kLargestWeight / largest));
    }
  }
  return weights;
}

UnsignedWeights quantised_with_zero_point(const std::vector<float>& original, std::uint64_t columns) {
  UnsignedWeights found;
  found.weights.resize(original.size());
  for (std::uint64_t row = 0; row < original.size(); row += columns) {
    for (std::uint64_t first = row; first < row + columns; first += kScaleGroup) {
      const std::uint64_t end = std::min(first + kScaleGroup, row + columns);
      double low = 0, high = 0;
      for (std::uint64_t i = first; i < end; ++i) {
        low = std::min(low, double{original[i]});
        high = std::max(high, double{original[i]});
      }
      const auto step = static_cast<float>((high - low) / kLargestUnsigned);
      const std::uint16_t bits = std::min(float_to_float16(step), kLargestFloat16);
      const double scale = float16_to_float(bits);
      const double zero = scale > 0 ? nearest_in(-low / scale, 0, kLargestUnsigned) : 0;
      found.scales.push_back(bits);
      found.zero_points.push_back(static_cast<std::uint8_t>(zero));
      for (std::uint64_t i = first; i < end; ++i) {
        const double steps = scale > 0 ? std::nearbyint(original[i] / scale) : 0;
        found.weights[i] = static_cast<std::uint8_t>(nearest_in(steps + zero, 0, kLargestUnsigned));
      }
    }
  }
  return found;
}

MatrixFormats formats_of(const WeightMatrix& stored, std::vector<float> original) {
  MatrixFormats formats{stored.rows, stored.columns, stored.weights, {}, std::move(original), {}};
  if (formats.original.empty()) return formats;
  formats.by_channel = quantised_by_channel(formats.original, formats.columns);
  formats.with_zero_point = quantised_with_zero_point(formats.original, formats.columns);
  return formats;
}

}  // namespace moecarlo
