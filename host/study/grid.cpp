#include "host/study/grid.hpp"

#include <algorithm>
#include <set>

namespace moecarlo {
namespace {

std::vector<Capacity> own_capacities(const GridSpec& grid, std::uint32_t layers) {
  std::vector<Capacity> capacities;
  for (const std::uint32_t capacity : grid.capacity) capacities.push_back({capacity, 0});
  for (const std::uint32_t slots : grid.pool) capacities.push_back({slots / layers, slots % layers});
  return capacities;
}

std::vector<Policy> all_policies(const Study& study, bool oracle) {
  std::vector<Policy> policies = study.grid.policy;
  const bool known = std::find(policies.begin(), policies.end(), Policy::belady_bypass) != policies.end();
  const bool possible =
      study.mode != Mode::exhaustive && !shares_starts(study) && study.acceptance.model != AcceptanceModel::coverage;
  if (oracle && !known && possible) policies.push_back(Policy::belady_bypass);
  return policies;
}

/// The cell itself where all its points share their paths; else one cell for each that has a path of its own.
std::vector<GridCell> split_by_path(const Study& study, const GridCell& cell) {
  const AcceptanceModel model = study.acceptance.model;
  if (cell.depth == 0 || (model != AcceptanceModel::captured && model != AcceptanceModel::coverage)) return {cell};
  std::vector<GridCell> cells;
  for (std::size_t c = 0; c < cell.capacities.size(); ++c) {
    GridCell one = cell;
    one.capacities = {cell.capacities[c]};
    one.joint = {cell.joint[c]};
    if (model == AcceptanceModel::captured) {
      for (const std::uint32_t bits : study.grid.bits) {
        one.bits = bits;
        cells.push_back(one);
      }
    } else {
      for (const Policy policy : cell.policies) {
        one.policies = {policy};
        cells.push_back(one);
      }
    }
  }
  return cells;
}

}  // namespace

Grid make_grid(const Study& study, const std::vector<ImpliedCapacity>& implied, const GridExtras& extras) {
  std::set<std::uint32_t> depths(study.grid.depth.begin(), study.grid.depth.end());
  if (!implied.empty() || extras.baseline) depths.insert(0);
  const bool share = shares_starts(study) || study.mode == Mode::exhaustive;
  const AcceptanceModel model = study.acceptance.model;
  // A replay is one walk and draws no other: it has no control.
  const bool control =
      (model == AcceptanceModel::captured || model == AcceptanceModel::ngram) && study.mode != Mode::replay;

  Grid grid;
  for (const std::uint32_t batch : study.grid.batch) {
    for (const std::uint32_t depth : depths) {
      std::set<Capacity> capacities;
      std::set<Capacity> joint;
      for (const Capacity& capacity : own_capacities(study.grid, extras.layers)) capacities.insert(capacity);
      for (const ImpliedCapacity& one : implied) {
        const bool here = one.batch == batch && one.autoregressive == (depth == 0);
        if (here) joint.insert(one.capacity);
        if (here || share) capacities.insert(one.capacity);
      }
      GridCell cell{batch, depth, all_policies(study, extras.oracle), {capacities.begin(), capacities.end()}, {}};
      for (const Capacity& capacity : cell.capacities) cell.joint.push_back(joint.count(capacity) > 0);
      for (const GridCell& one : split_by_path(study, cell)) {
        grid.cells.push_back(one);
        if (!control || depth == 0) continue;
        grid.cells.push_back(one);
        grid.cells.back().independent = true;
      }
    }
  }
  return grid;
}

}  // namespace moecarlo
