#pragma once

#include <string>
#include <vector>

#include "hw/reproduce/reproduce.hpp"

namespace moecarlo::hw {

/// One baseline machine at one model and batch, in its faster mode; over the reference.
struct BaselineCell {
  std::string system, scheme, model;
  std::uint32_t batch = 1;
  bool drafting = false;
  bool near_memory = false;  ///< it has a tier before the last, as the table's own systems do
  double speedup = 0, energy_gain = 0;
};

/// Every baseline of the table at every model and batch. A baseline drafts with the acceptance that is published of its
/// scheme on the largest of the table's systems, and not where there is none.
std::vector<BaselineCell> evaluate_baselines(const TableLaws& laws, const std::vector<ReproducedCell>& cells);

/// Means of ratios over cells.
struct MeanGain {
  std::size_t cells = 0;
  double speed = 0, energy = 0;
};

/// Figures over the whole table, of the cells with an acceptance.
struct TableAggregates {
  double best_mode_4gb = 0, best_mode_8gb = 0;                ///< mean over models and batches of Elastic's faster mode
  double elastic_over_eagle = 0, elastic_over_eagle_max = 0;  ///< drafting, from batch 4
  MeanGain over_reference;                                    ///< of Elastic's faster mode at 8 GB
  MeanGain over_prior;            ///< over the best baseline of each cell, the reference among them
  MeanGain over_far_memory_only;  ///< the same without baselines that have a near memory
};
TableAggregates aggregates_of(const std::vector<ReproducedCell>& cells, const std::vector<BaselineCell>& baselines);

}  // namespace moecarlo::hw
