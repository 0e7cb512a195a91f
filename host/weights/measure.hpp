#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "host/weights/format_counter.hpp"
#include "host/weights/format_figures.hpp"
#include "host/weights/similarity.hpp"
#include "host/weights/slice_counter.hpp"
#include "host/weights/weight_figures.hpp"
#include "host/weights/weights_reader.hpp"

namespace moecarlo {

struct MatrixMeasure {
  MatrixInfo info;
  SliceCounts counts;
  FormatSums format_sums;
  WeightFigures figures;
  FormatFigures formats;
  std::optional<double> int8_sqnr_db;  ///< of INT8 against the original, where the file has it
};

struct ExpertMeasure {
  std::uint32_t layer = 0, expert = 0;
  WeightFigures figures;  ///< of all its matrices
  FormatFigures formats;
};

/// The most alike of a layer's experts, in one projection.
struct ExpertSimilarity {
  std::uint64_t pairs = 0;
  double mean = 0, largest = 0;         ///< cosine
  std::uint32_t first = 0, second = 0;  ///< the two experts that have the largest
};

struct LayerMeasure {
  std::uint32_t layer = 0;
  WeightFigures figures;  ///< of all its matrices
  FormatFigures formats;
  std::map<Projection, ExpertSimilarity> similarity;  ///< of projections of two experts or more
};

/// Everything about the matrices of a file. Matrices, experts and layers ascend as in WeightsReader::matrices.
struct WeightsMeasure {
  std::string path, model, source;
  std::vector<MatrixMeasure> matrices;
  std::vector<ExpertMeasure> experts;
  std::vector<LayerMeasure> layers;
  WeightFigures total;
  FormatFigures total_formats;
};

struct MeasureOptions {
  std::vector<int> kept{2, 3, 4, 5, 6};                                     ///< ascending, 2 .. 7
  unsigned threads = 0;                                                     ///< 0 = all cores
  std::function<void(std::uint64_t done)> progress = [](std::uint64_t) {};  ///< matrices done
};

/// What counts slices, and what counts other formats.
struct WeightCounters {
  SliceCounter& slices;
  FormatCounter& formats;
};

/// Reads and counts every matrix; those of one layer and projection are in memory together. Throws as the reader and
/// the counters do.
WeightsMeasure measure_weights(const WeightsReader& reader, const WeightCounters& counters,
                               const MeasureOptions& options);

}  // namespace moecarlo
