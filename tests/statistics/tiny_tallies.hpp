#pragma once

#include <algorithm>
#include <vector>

#include "host/simulate/tallies.hpp"

namespace moecarlo {

/// Two layers of four experts, top 2; one cell (batch 2, depth 1) with capacities 1 and 3 experts under static and LRU;
/// two groups and no replicates. All counters are zero.
inline TallyShape tiny_shape(Walk walk) {
  TallyShape shape;
  shape.walk = walk;
  shape.layers = 2;
  shape.experts = 4;
  shape.top_k = 2;
  shape.groups = {2, 0, 0};
  shape.joint_groups = {2, 0, 0};
  const Threshold quarter = Threshold{1} << 30;
  shape.cells = {
      {2, 1, {Policy::static_residents, Policy::lru}, {{1, 0}, {3, 0}}, {false, false}, {quarter}, 0, {}, {}}};
  return shape;
}

inline void fill(Tallies& tallies, std::uint64_t offset, const std::vector<std::uint64_t>& values) {
  std::copy(values.begin(), values.end(), tallies.counters.begin() + static_cast<std::ptrdiff_t>(offset));
}

}  // namespace moecarlo
