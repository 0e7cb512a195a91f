#include "host/weights/weight_sums.hpp"

#include <cmath>

namespace moecarlo {
namespace {

void add_copies(int peak, const WeightBins& bins, double unit, std::array<CopySums, kWeightBits + 1>& copies) {
  for (int bits = 2; bits <= kWeightBits; ++bits) {
    CopySums& copy = copies[static_cast<std::size_t>(bits)];
    for (int weight = -peak; weight <= peak; ++weight) {
      const auto bin = static_cast<std::uint8_t>(weight);
      if (bins.counts[bin] == 0) continue;
      const int error = weight * largest_of(bits) - dedicated(weight, peak, bits) * peak;
      copy.squared_errors += bins.counts[bin] * static_cast<std::uint64_t>(error * error);
      const double read = static_cast<double>(dedicated(weight, peak, bits) * peak) / largest_of(bits);
      const double squares = static_cast<double>(bins.squared_scales[bin]) * unit;
      copy.noise += squares * (weight - read) * (weight - read);
      copy.product += squares * weight * read;
      copy.energy += squares * read * read;
    }
  }
}

}  // namespace

WeightSums sums_of(const SliceCounts& counts) {
  WeightSums sums;
  const double unit = std::ldexp(1.0, 2 * (kSmallestScaleExponent + counts.scale_shift));
  for (const auto& [peak, bins] : counts.peaks) {
    for (int bin = 0; bin < kBins; ++bin) {
      sums.values[bin] += bins.counts[bin];
      sums.squared_scales[bin] += static_cast<double>(bins.squared_scales[bin]) * unit;
    }
    add_copies(peak, bins, unit, sums.copies);
  }
  sums.planes = counts.planes;
  sums.row_groups = counts.row_groups;
  sums.group_columns = counts.group_columns;
  return sums;
}

WeightSums& operator+=(WeightSums& a, const WeightSums& b) {
  for (int bin = 0; bin < kBins; ++bin) {
    a.values[bin] += b.values[bin];
    a.squared_scales[bin] += b.squared_scales[bin];
  }
  for (std::size_t bits = 0; bits < a.copies.size(); ++bits) {
    a.copies[bits].squared_errors += b.copies[bits].squared_errors;
    a.copies[bits].noise += b.copies[bits].noise;
    a.copies[bits].product += b.copies[bits].product;
    a.copies[bits].energy += b.copies[bits].energy;
  }
  for (int bit = 0; bit < kWeightBits; ++bit) a.planes[bit] += b.planes[bit];
  a.row_groups += b.row_groups;
  a.group_columns += b.group_columns;
  return a;
}

}  // namespace moecarlo
