#include "host/weights/count_slices.hpp"

#include <algorithm>
#include <cstring>
#include <memory>

#include "host/support/processor.hpp"
#include "host/weights/bit_planes.hpp"

namespace moecarlo {

std::uint16_t WeightMatrix::largest_scale() const {
  return scales.empty() ? std::uint16_t{0} : *std::max_element(scales.begin(), scales.end());
}

namespace {

/// Neighbouring weights go to different histograms: where they are equal, one addition need not wait for the other.
constexpr int kHistograms = 4;

struct Histograms {
  std::uint64_t bins[kHistograms][kBins] = {};
  std::uint32_t added = 0;  ///< to each of them since they were emptied

  void empty_into(WeightBins& sums) {
    for (auto& histogram : bins) {
      for (int i = 0; i < kBins; ++i) {
        sums.counts[i] += count_in(histogram[i]);
        sums.squared_scales[i] += squares_in(histogram[i]);
        histogram[i] = 0;
      }
    }
    added = 0;
  }
};

/// Counts of one row group.
struct PlaneTally {
  /// Columns where all rows of a set have a one.
  std::uint64_t supersets[kWeightBits][kPatterns];
  std::uint64_t spelled[kWeightBits];
};

__attribute__((always_inline)) inline void tally_planes(const PlaneWords (&planes)[kPatternRows][kWeightBits],
                                                        PlaneTally& tally) {
#pragma GCC unroll 8
  for (int bit = 0; bit < kWeightBits; ++bit) {
    std::uint64_t counts[kPatterns] = {}, spelled = 0;
    for (int w = 0; w < kPlaneWords; ++w) {
      std::uint64_t all[kPatterns];
      std::uint64_t differs = 0;
#pragma GCC unroll 4
      for (int r = 0; r < kPatternRows; ++r) {
        const std::uint64_t word = planes[r][bit][w];
        differs |= bit == kWeightBits - 1 ? word : word ^ planes[r][kWeightBits - 1][w];
        all[1 << r] = word;
#pragma GCC unroll 8
        for (int set = 1; set < 1 << r; ++set) all[set | 1 << r] = all[set] & word;
      }
#pragma GCC unroll 16
      for (int set = 1; set < kPatterns; ++set) counts[set] += count_bits(all[set]);
      spelled += count_bits(differs);
    }
#pragma GCC unroll 16
    for (int set = 1; set < kPatterns; ++set) tally.supersets[bit][set] += counts[set];
    tally.spelled[bit] += spelled;
  }
}

/// The rows of one row group.
using Rows = const std::int8_t* [kPatternRows];

__attribute__((always_inline)) inline void count_columns(const Rows& rows, std::uint64_t columns, PlaneTally& tally) {
  PlaneWords planes[kPatternRows][kWeightBits];
  std::uint64_t column = 0;
  for (; column + kPlaneColumns <= columns; column += kPlaneColumns) {
    for (int r = 0; r < kPatternRows; ++r) to_planes(rows[r] + column, planes[r]);
    tally_planes(planes, tally);
  }
  if (column == columns) return;
  for (int r = 0; r < kPatternRows; ++r) {
    std::int8_t rest[kPlaneColumns] = {};
    std::memcpy(rest, rows[r] + column, columns - column);
    to_planes(rest, planes[r]);
  }
  tally_planes(planes, tally);
}

// The same for three instruction sets: population counts are most of the work.

void count_columns_baseline(const Rows& rows, std::uint64_t columns, PlaneTally& tally) {
  count_columns(rows, columns, tally);
}

#if defined(__x86_64__)
__attribute__((target("arch=x86-64-v3"))) void count_columns_v3(const Rows& rows, std::uint64_t columns,
                                                                PlaneTally& tally) {
  count_columns(rows, columns, tally);
}
__attribute__((target("arch=x86-64-v4,avx512vpopcntdq"))) void count_columns_v4(const Rows& rows, std::uint64_t columns,
                                                                                PlaneTally& tally) {
  count_columns(rows, columns, tally);
}
#endif

using CountColumns = void (*)(const Rows& rows, std::uint64_t columns, PlaneTally& tally);

CountColumns fastest_count_columns() {
#if defined(__x86_64__)
  if (runs_x86_64_v4()) return count_columns_v4;
  if (runs_x86_64_v3()) return count_columns_v3;
#endif
  return count_columns_baseline;
}

int peak_of(const std::int8_t* weights) {
  std::int8_t peak = 0;
  for (int i = 0; i < kScaleGroup; ++i) {
    const std::int8_t magnitude = static_cast<std::int8_t>(weights[i] < 0 ? -weights[i] : weights[i]);
    peak = std::max(peak, magnitude);
  }
  return peak;
}

/// Whole groups of a row whose peak is the usual one go to the histograms; the first of another kind ends it. Returns
/// the groups done.
std::uint64_t count_usual_groups(const std::int8_t* weights, const std::uint16_t* scales, int shift,
                                 std::uint64_t groups, Histograms& histograms) {
  for (std::uint64_t g = 0; g < groups; ++g, weights += kScaleGroup) {
    if (peak_of(weights) != kLargestWeight) return g;
    const std::uint64_t increment = bin_increment(scales[g], shift);
#pragma GCC unroll 4
    for (int word = 0; word < kScaleGroup / 8; ++word) {
      std::uint64_t bytes = 0;
      std::memcpy(&bytes, weights + 8 * word, 8);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) histograms.bins[i % kHistograms][bytes >> (8 * i) & 0xFF] += increment;
    }
  }
  return groups;
}

void count_group(const std::int8_t* weights, std::uint64_t size, std::uint64_t increment, SliceCounts& counts) {
  int peak = 0;
  for (std::uint64_t i = 0; i < size; ++i) peak = std::max(peak, std::abs(int{weights[i]}));
  WeightBins& bins = counts.peaks[peak];
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto bin = static_cast<std::uint8_t>(weights[i]);
    ++bins.counts[bin];
    bins.squared_scales[bin] += squares_in(increment);
  }
}

void count_row(const WeightMatrix& matrix, std::uint64_t row, Histograms& histograms, SliceCounts& counts) {
  constexpr std::uint64_t kMostGroups = 4096;  // between two looks at how full the histograms are
  constexpr std::uint32_t kAddedByGroup = kScaleGroup / kHistograms;
  static_assert(kMostGroups * kAddedByGroup < kMostInBin);
  const std::int8_t* weights = matrix.weights.data() + row * matrix.columns;
  const std::uint16_t* scales = matrix.scales.data() + row * matrix.groups();
  const std::uint64_t whole = matrix.columns / kScaleGroup;
  std::uint64_t group = 0;
  while (group < matrix.groups()) {
    const std::uint64_t usual = std::min(whole - std::min(group, whole), kMostGroups);
    if (histograms.added + usual * kAddedByGroup > kMostInBin) histograms.empty_into(counts.peaks[kLargestWeight]);
    const std::uint64_t done =
        count_usual_groups(weights + group * kScaleGroup, scales + group, counts.scale_shift, usual, histograms);
    histograms.added += static_cast<std::uint32_t>(done) * kAddedByGroup;
    group += done;
    if (done == usual && group < whole) continue;
    if (group == matrix.groups()) break;
    const std::uint64_t begin = group * kScaleGroup;
    count_group(weights + begin, std::min<std::uint64_t>(kScaleGroup, matrix.columns - begin),
                bin_increment(scales[group], counts.scale_shift), counts);
    ++group;
  }
}

/// The columns that show exactly a pattern, from those that show at least it.
void add(const PlaneTally& tally, std::uint64_t columns, SliceCounts& counts) {
  for (int bit = 0; bit < kWeightBits; ++bit) {
    std::uint64_t exactly[kPatterns];
    std::copy_n(tally.supersets[bit], kPatterns, exactly);
    exactly[0] = columns;
    for (int row = 1; row < kPatterns; row *= 2) {
      for (int set = 0; set < kPatterns; ++set) {
        if ((set & row) == 0) exactly[set] -= exactly[set | row];
      }
    }
    PlaneCounts& plane = counts.planes[bit];
    for (int p = 0; p < kPatterns; ++p) {
      plane.columns[p] += exactly[p];
      plane.groups[p] += exactly[p] > 0 ? 1 : 0;
    }
    plane.spelled_columns += tally.spelled[bit];
  }
  ++counts.row_groups;
  counts.group_columns += columns;
}

}  // namespace

SliceCounts count_slices(const WeightMatrix& matrix, std::uint64_t first, std::uint64_t last) {
  static const CountColumns columns_of = fastest_count_columns();
  SliceCounts counts;
  counts.scale_shift = scale_shift(matrix.largest_scale());
  const auto histograms = std::make_unique<Histograms>();
  const std::vector<std::int8_t> zeros(matrix.columns);
  for (std::uint64_t group = first; group < last; ++group) {
    PlaneTally tally{};
    Rows rows;
    for (int r = 0; r < kPatternRows; ++r) {
      const std::uint64_t row = group * kPatternRows + static_cast<std::uint64_t>(r);
      rows[r] = row < matrix.rows ? matrix.weights.data() + row * matrix.columns : zeros.data();
      if (row < matrix.rows) count_row(matrix, row, *histograms, counts);
    }
    columns_of(rows, matrix.columns, tally);
    add(tally, matrix.columns, counts);
  }
  histograms->empty_into(counts.peaks[kLargestWeight]);
  std::erase_if(counts.peaks, [](const auto& entry) { return entry.second == WeightBins{}; });
  return counts;
}

}  // namespace moecarlo
