#pragma once

#include <vector>

#include "cuda/core/capacity.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// A capacity that a hardware system implies for one batch: at depth 0 (autoregressive) or at every draft depth above
/// it.
struct ImpliedCapacity {
  std::uint32_t batch = 1;
  bool autoregressive = true;
  Capacity capacity;
};

/// One (batch, depth) and the capacities simulated there.
struct GridCell {
  std::uint32_t batch = 1;
  std::uint32_t depth = 0;
  std::vector<Capacity> capacities;  ///< ascending, each once
  std::vector<bool> joint;           ///< [capacities] implied by hardware: its joint histogram is kept
};

/// The design points of a study: cells by batch, then depth, each with all policies.
struct Grid {
  std::vector<GridCell> cells;
};

/// Crosses the study's lists and adds what the hardware implies (and depth 0, the baseline, where there is hardware).
/// In a stateless study every cell gets the union of all capacities, since all cells run at once.
Grid make_grid(const Study& study, const std::vector<ImpliedCapacity>& implied);

/// Whether every policy of the study forgets: then all batches and depths share their trajectories.
bool is_stateless(const Study& study);

}  // namespace moecarlo
