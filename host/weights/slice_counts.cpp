#include "host/weights/slice_counts.hpp"

namespace moecarlo {

PlaneCounts& operator+=(PlaneCounts& a, const PlaneCounts& b) {
  for (std::size_t pattern = 0; pattern < kPatterns; ++pattern) {
    a.columns[pattern] += b.columns[pattern];
    a.groups[pattern] += b.groups[pattern];
  }
  a.spelled_columns += b.spelled_columns;
  return a;
}

SliceCounts& operator+=(SliceCounts& a, const SliceCounts& b) {
  for (const auto& [peak, bins] : b.peaks) {
    WeightBins& own = a.peaks[peak];
    for (std::size_t i = 0; i < kBins; ++i) {
      own.counts[i] += bins.counts[i];
      own.squared_scales[i] += bins.squared_scales[i];
    }
  }
  for (std::size_t bit = 0; bit < kWeightBits; ++bit) a.planes[bit] += b.planes[bit];
  a.scale_shift = b.scale_shift;
  a.row_groups += b.row_groups;
  a.group_columns += b.group_columns;
  return a;
}

}  // namespace moecarlo
