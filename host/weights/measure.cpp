#include "host/weights/measure.hpp"

#include <cmath>
#include <span>
#include <utility>

namespace moecarlo {
namespace {

using Infos = std::span<const MatrixInfo>;

/// The matrices in front that are of one layer and projection.
std::size_t alike(Infos infos) {
  std::size_t count = 1;
  while (count < infos.size() && infos[count].layer == infos[0].layer &&
         infos[count].projection == infos[0].projection) {
    ++count;
  }
  return count;
}

ExpertSimilarity similarity_of(const std::vector<WeightMatrix>& matrices, Infos infos, unsigned threads) {
  const Similarity found = similarity(matrices, threads);
  return {found.pairs, found.mean(), found.largest, infos[found.first].expert, infos[found.second].expert};
}

/// Sums on the way to figures.
struct Sums {
  WeightSums slices;
  FormatSums formats;

  Sums& operator+=(const Sums& other) {
    slices += other.slices;
    formats += other.formats;
    return *this;
  }
};

struct Totals {
  std::map<std::pair<std::uint32_t, std::uint32_t>, Sums> experts;  // by layer and expert
  std::map<std::uint32_t, Sums> layers;
  Sums all;

  void add(const MatrixInfo& info, const Sums& sums) {
    experts[{info.layer, info.expert}] += sums;
    layers[info.layer] += sums;
    all += sums;
  }
};

std::optional<double> int8_sqnr_db(const WeightMatrix& matrix, const std::vector<float>& original) {
  if (original.empty()) return std::nullopt;
  const OriginalError error = original_error(matrix, original);
  return 10 * std::log10(error.signal / error.noise);
}

}  // namespace

WeightsMeasure measure_weights(const WeightsReader& reader, const WeightCounters& counters,
                               const MeasureOptions& options) {
  WeightsMeasure measure{reader.path(), reader.model(), reader.source(), {}, {}, {}, {}, {}};
  Totals totals;
  std::map<std::uint32_t, std::map<Projection, ExpertSimilarity>> similarities;  // by layer
  Infos left = reader.matrices();
  while (!left.empty()) {
    const Infos infos = left.first(alike(left));
    left = left.subspan(infos.size());
    std::vector<WeightMatrix> matrices;
    for (const MatrixInfo& info : infos) matrices.push_back(reader.read(info));
    std::vector<SliceCounts> counts = counters.slices.count(matrices);
    for (std::size_t i = 0; i < infos.size(); ++i) {
      std::vector<float> original = reader.read_original(infos[i]);
      const std::optional<double> sqnr_db = int8_sqnr_db(matrices[i], original);
      const Sums sums{sums_of(counts[i]),
                      sums_of(counters.formats.count(formats_of(matrices[i], std::move(original))))};
      totals.add(infos[i], sums);
      measure.matrices.push_back({infos[i], std::move(counts[i]), sums.formats, figures_of(sums.slices, options.kept),
                                  figures_of(sums.formats, options.kept), sqnr_db});
    }
    if (infos.size() > 1) {
      similarities[infos[0].layer][infos[0].projection] = similarity_of(matrices, infos, options.threads);
    }
    options.progress(measure.matrices.size());
  }
  for (const auto& [key, sums] : totals.experts) {
    measure.experts.push_back(
        {key.first, key.second, figures_of(sums.slices, options.kept), figures_of(sums.formats, options.kept)});
  }
  for (const auto& [layer, sums] : totals.layers) {
    measure.layers.push_back(
        {layer, figures_of(sums.slices, options.kept), figures_of(sums.formats, options.kept), similarities[layer]});
  }
  measure.total = figures_of(totals.all.slices, options.kept);
  measure.total_formats = figures_of(totals.all.formats, options.kept);
  return measure;
}

}  // namespace moecarlo
