#include "host/statistics/prefill_results.hpp"

#include "host/study/grid.hpp"
#include "host/study/names.hpp"

namespace moecarlo {

std::vector<PointResult> prefill_results(const Tallies& prefill, const Study& study, const Resample& resample) {
  const MetricReader reader(prefill, resample, study.grid.nested);
  std::vector<PointResult> results;
  for (std::size_t c = 0; c < prefill.shape.cells.size(); ++c) {
    const CellShape& cell = prefill.shape.cells[c];
    for (std::uint32_t policy = 0; policy < cell.policies.size(); ++policy) {
      for (std::uint32_t capacity = 0; capacity < cell.capacities.size(); ++capacity) {
        const PointAddress at{c, policy, capacity};
        PointResult& result = results.emplace_back();
        result.depth = 0;
        result.policy = to_string(cell.policies[policy]);
        result.capacity = has_capacity(cell.policies[policy]) ? cell.capacities[capacity].mean(prefill.shape.layers)
                                                              : PointResult::kNoCapacity;
        result.bits = study.grid.bits.back();
        result.demand = cell.demand.label;
        result.implied =
            has_capacity(cell.policies[policy]) && !lists(study.grid, cell.capacities[capacity], prefill.shape.layers);
        for (const std::string& metric : reader.names_at(at)) {
          if (!MetricReader::is_per_layer(metric)) continue;  // of rounds, of which a prefill has none
          result.metrics[metric] = {reader.estimate(metric, at), reader.per_layer(metric, at)};
        }
        result.histograms = reader.histograms_at(at);
      }
    }
  }
  return results;
}

}  // namespace moecarlo
