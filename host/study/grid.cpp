#include "host/study/grid.hpp"

#include <algorithm>
#include <set>

namespace moecarlo {

bool is_stateless(const Study& study) {
  return std::all_of(study.grid.policy.begin(), study.grid.policy.end(),
                     [](Policy policy) { return policy == Policy::static_residents; });
}

Grid make_grid(const Study& study, const std::vector<ImpliedCapacity>& implied) {
  std::set<std::uint32_t> depths(study.grid.depth.begin(), study.grid.depth.end());
  if (!implied.empty()) depths.insert(0);
  const bool share = is_stateless(study);

  Grid grid;
  for (const std::uint32_t batch : study.grid.batch) {
    for (const std::uint32_t depth : depths) {
      std::set<Capacity> capacities;
      std::set<Capacity> joint;
      for (const std::uint32_t capacity : study.grid.capacity) capacities.insert({capacity, 0});
      for (const ImpliedCapacity& one : implied) {
        const bool here = one.batch == batch && one.autoregressive == (depth == 0);
        if (here) joint.insert(one.capacity);
        if (here || share) capacities.insert(one.capacity);
      }
      GridCell cell{batch, depth, {capacities.begin(), capacities.end()}, {}};
      for (const Capacity& capacity : cell.capacities) cell.joint.push_back(joint.count(capacity) > 0);
      grid.cells.push_back(std::move(cell));
    }
  }
  return grid;
}

}  // namespace moecarlo
