#include "host/study/grid.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "host/study/acceptance.hpp"

namespace moecarlo {
namespace {

std::vector<Capacity> own_capacities(const GridSpec& grid, std::uint32_t layers) {
  std::vector<Capacity> capacities;
  for (const std::uint32_t capacity : grid.capacity) capacities.push_back({capacity, 0});
  for (const std::uint32_t slots : grid.pool) capacities.push_back({slots / layers, slots % layers});
  return capacities;
}

/// Those of a study that have a capacity, or those that have none.
std::vector<Policy> policies_of(const Study& study, bool sized) {
  std::vector<Policy> policies;
  for (const Policy policy : study.grid.policy) {
    if (has_capacity(policy) == sized) policies.push_back(policy);
  }
  return policies;
}

/// Whether what a pass uses depends on its residents: no future is known then.
bool uses_by_residents(const Study& study) {
  return rule_of(study.acceptance.model) == Acceptance::by_coverage ||
         (study.demand && looks_at_residents(*study.demand));
}

/// The former, and an oracle beside them.
std::vector<Policy> sized_policies(const Study& study, bool oracle) {
  std::vector<Policy> policies = policies_of(study, true);
  const bool known = std::find(policies.begin(), policies.end(), Policy::belady_bypass) != policies.end();
  const bool possible = study.mode != Mode::exhaustive && !shares_starts(study) && !uses_by_residents(study);
  if (oracle && !known && possible && !policies.empty()) policies.push_back(Policy::belady_bypass);
  return policies;
}

/// The numbers of bits that hardware implies each capacity with.
using ImpliedBits = std::map<Capacity, std::set<std::uint32_t>>;

std::optional<std::uint32_t> place_of(const std::vector<Capacity>& all, const Capacity& one) {
  const auto found = std::find(all.begin(), all.end(), one);
  if (found == all.end()) return std::nullopt;
  return static_cast<std::uint32_t>(found - all.begin());
}

/// Leaves one of a cell's capacities, which is nested with no other.
void keep_only(GridCell& one, const GridCell& cell, std::size_t capacity) {
  one.capacities = {cell.capacities[capacity]};
  one.joint = {cell.joint[capacity]};
  one.nested = {};
}

/// A cell for every number of bits that a capacity is studied with, its own or implied.
void split_by_bits(const Study& study, const std::vector<Capacity>& own, const ImpliedBits& implied, GridCell one,
                   std::vector<GridCell>& cells) {
  const Capacity& capacity = one.capacities.front();
  const auto asked = implied.find(capacity);
  std::set<std::uint32_t> bits;
  if (std::find(own.begin(), own.end(), capacity) != own.end()) bits = {study.grid.bits.begin(), study.grid.bits.end()};
  if (asked != implied.end()) bits.insert(asked->second.begin(), asked->second.end());
  for (const std::uint32_t kept : bits) {
    one.bits = kept;
    one.joint = {asked != implied.end() && asked->second.count(kept) > 0};
    cells.push_back(one);
  }
}

/// The cell itself where all its points share their paths; else one cell for each that has a path of its own.
std::vector<GridCell> split_by_path(const Study& study, const std::vector<Capacity>& own, const ImpliedBits& implied,
                                    const GridCell& cell) {
  const Acceptance rule = rule_of(study.acceptance.model);
  if (cell.depth == 0 || (rule != Acceptance::by_token && rule != Acceptance::by_coverage)) return {cell};
  std::vector<GridCell> cells;
  for (std::size_t c = 0; c < cell.capacities.size(); ++c) {
    GridCell one = cell;
    keep_only(one, cell, c);
    if (rule == Acceptance::by_token) {
      split_by_bits(study, own, implied, one, cells);
      continue;
    }
    for (const Policy policy : cell.policies) {
      one.policies = {policy};
      cells.push_back(one);
    }
  }
  return cells;
}

/// The same under a demand: a cell for each design point, where it looks at residents.
std::vector<GridCell> split_by_demand(const std::vector<GridCell>& cells, const DemandPoint& demand) {
  std::vector<GridCell> split;
  for (const GridCell& cell : cells) {
    GridCell one = cell;
    one.demand = demand;
    if (!looks_at_residents(demand.demand)) split.push_back(one);
    for (std::size_t c = 0; looks_at_residents(demand.demand) && c < cell.capacities.size(); ++c) {
      keep_only(one, cell, c);
      for (const Policy policy : cell.policies) {
        one.policies = {policy};
        split.push_back(one);
      }
    }
  }
  return split;
}

/// A cell for each alpha; without a draft there is none.
void add_alphas(const Study& study, GridCell cell, std::vector<GridCell>& cells) {
  if (cell.depth == 0 || study.acceptance.alphas.empty()) return cells.push_back(cell);
  for (const double alpha : study.acceptance.alphas) {
    cell.alpha = alpha;
    cells.push_back(cell);
  }
}

}  // namespace

bool lists(const GridSpec& grid, const Capacity& capacity, std::uint32_t layers) {
  const std::vector<Capacity> own = own_capacities(grid, layers);
  return std::find(own.begin(), own.end(), capacity) != own.end();
}

Grid make_grid(const Study& study, const std::vector<ImpliedCapacity>& implied, const GridExtras& extras) {
  std::set<std::uint32_t> depths(study.grid.depth.begin(), study.grid.depth.end());
  if (!implied.empty() || extras.baseline) depths.insert(0);
  const bool share = shares_starts(study) || study.mode == Mode::exhaustive;
  // A replay is one walk and draws no other: it has no control.
  const bool control = traits_of(study.acceptance.model).has_control && study.mode != Mode::replay;
  const std::vector<Capacity> listed = own_capacities(study.grid, extras.layers);

  Grid grid;
  const std::vector<DemandPoint> demands = study.demand ? demand_points(*study.demand) : std::vector<DemandPoint>(1);
  for (const std::uint32_t batch : study.grid.batch) {
    for (const std::uint32_t depth : depths) {
      std::set<Capacity> capacities(listed.begin(), listed.end());
      ImpliedBits joint;
      std::set<std::pair<Capacity, Capacity>> tiers;
      for (const ImpliedCapacity& one : implied) {
        const bool here = one.batch == batch && one.autoregressive == (depth == 0);
        if (here) joint[one.capacity].insert(one.bits);
        if (here && one.nearer) tiers.emplace(*one.nearer, one.capacity);
        if (here || share) capacities.insert(one.capacity);
      }
      const auto add = [&](GridCell cell, const std::vector<Capacity>& own) {
        if (cell.policies.empty() || cell.capacities.empty()) return;
        for (const Capacity& capacity : cell.capacities) cell.joint.push_back(joint.count(capacity) > 0);
        for (const auto& [near, far] : tiers) {
          const auto near_at = place_of(cell.capacities, near), far_at = place_of(cell.capacities, far);
          if (near_at && far_at && near_at < far_at) cell.nested.push_back({*near_at, *far_at});
        }
        const std::vector<GridCell> cells = split_by_path(study, own, joint, cell);
        for (const DemandPoint& demand : demands) {
          for (const GridCell& one : split_by_demand(cells, demand)) {
            add_alphas(study, one, grid.cells);
            // Where the trace's acceptance says what is asked for, there is no routing independent of it.
            if (!control || depth == 0 || drops(demand.demand.rule)) continue;
            grid.cells.push_back(one);
            grid.cells.back().independent = true;
          }
        }
      };
      add({batch, depth, sized_policies(study, extras.oracle), {capacities.begin(), capacities.end()}, {}}, listed);
      add({batch, depth, policies_of(study, false), {{extras.objects, 0}}, {}}, {});
    }
  }
  return grid;
}

}  // namespace moecarlo
