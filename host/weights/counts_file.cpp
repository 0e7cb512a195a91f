#include "host/weights/counts_file.hpp"

#include <span>

namespace moecarlo {
namespace {

/// A dataset [matrices][extents ...] of what `numbers_of(matrix, out)` appends for each matrix.
template <class NumbersOf>
void write(hdf5::OutputGroup& group, const std::string& name, const WeightsMeasure& measure,
           std::vector<std::uint64_t> extents, const NumbersOf& numbers_of) {
  std::vector<std::uint64_t> values;
  for (const MatrixMeasure& matrix : measure.matrices) numbers_of(matrix, values);
  extents.insert(extents.begin(), measure.matrices.size());
  group.write<std::uint64_t>(name, extents, values);
}

template <class Array>
void append(std::vector<std::uint64_t>& values, const Array& array) {
  values.insert(values.end(), array.begin(), array.end());
}

void append(std::vector<std::uint64_t>& values, const MagnitudeCounts& counts) {
  for (const auto& planes : counts.planes) {
    for (const MagnitudePlaneCounts& plane : planes) {
      values.insert(values.end(), {plane.spelled_bits, plane.additions, plane.signed_additions});
    }
  }
}

void write_format_counts(hdf5::OutputGroup& root, const WeightsMeasure& measure) {
  using Matrix = const MatrixMeasure&;
  using Values = std::vector<std::uint64_t>&;
  const std::vector<std::uint64_t> planes{kMostMergedRows, kMagnitudeBits, 3};
  write(root, "group_planes", measure, planes,
        [](Matrix matrix, Values values) { append(values, matrix.format_sums.by_group); });
  write(root, "channel_planes", measure, planes,
        [](Matrix matrix, Values values) { append(values, matrix.format_sums.by_channel); });
  write(root, "group_zeros", measure, {},
        [](Matrix matrix, Values values) { values.push_back(matrix.format_sums.by_group.zero_weights); });
  write(root, "channel_zeros", measure, {},
        [](Matrix matrix, Values values) { values.push_back(matrix.format_sums.by_channel.zero_weights); });
  write(root, "bfloat16_exponents", measure, {kBfloat16Exponents},
        [](Matrix matrix, Values values) { append(values, matrix.format_sums.exponents.bfloat16); });
  write(root, "float16_exponents", measure, {kFloat16Exponents},
        [](Matrix matrix, Values values) { append(values, matrix.format_sums.exponents.float16); });
  write(root, "zero_point_errors", measure, {2, kMostShiftedBits + 1}, [](Matrix matrix, Values values) {
    const ZeroPointSums& sums = matrix.format_sums.zero_point;
    append(values, sums.shifted_squares);
    append(values, sums.whole_squares);
  });
}

}  // namespace

void write_counts(const WeightsMeasure& measure, const std::filesystem::path& path) {
  using Matrix = const MatrixMeasure&;
  using Values = std::vector<std::uint64_t>&;
  hdf5::OutputFile file(path);
  hdf5::OutputGroup& root = file.root();
  root.write_string("schema", "moecarlo-bitslice-counts");
  root.write_integer("schema_version", 2);
  root.write_string("model", measure.model);
  write(root, "layer", measure, {}, [](Matrix matrix, Values values) { values.push_back(matrix.info.layer); });
  write(root, "expert", measure, {}, [](Matrix matrix, Values values) { values.push_back(matrix.info.expert); });
  write(root, "projection", measure, {},
        [](Matrix matrix, Values values) { values.push_back(static_cast<std::uint64_t>(matrix.info.projection)); });
  write(root, "scale_shift", measure, {},
        [](Matrix matrix, Values values) { values.push_back(static_cast<std::uint64_t>(matrix.counts.scale_shift)); });
  write(root, "values", measure, {kBins}, [](Matrix matrix, Values values) { append(values, matrix.figures.values); });
  write(root, "squared_scales", measure, {kBins}, [](Matrix matrix, Values values) {
    WeightBins all;
    for (const auto& [peak, bins] : matrix.counts.peaks) {
      for (std::size_t bin = 0; bin < kBins; ++bin) all.squared_scales[bin] += bins.squared_scales[bin];
    }
    append(values, all.squared_scales);
  });
  write(root, "copy_errors", measure, {kWeightBits + 1}, [](Matrix matrix, Values values) {
    for (const CopySums& copy : sums_of(matrix.counts).copies) values.push_back(copy.squared_errors);
  });
  write(root, "pattern_columns", measure, {kWeightBits, kPatterns}, [](Matrix matrix, Values values) {
    for (const PlaneCounts& plane : matrix.counts.planes) append(values, plane.columns);
  });
  write(root, "pattern_groups", measure, {kWeightBits, kPatterns}, [](Matrix matrix, Values values) {
    for (const PlaneCounts& plane : matrix.counts.planes) append(values, plane.groups);
  });
  write(root, "spelled_columns", measure, {kWeightBits}, [](Matrix matrix, Values values) {
    for (const PlaneCounts& plane : matrix.counts.planes) values.push_back(plane.spelled_columns);
  });
  write_format_counts(root, measure);
  file.commit();
}

}  // namespace moecarlo
