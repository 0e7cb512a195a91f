#include "host/statistics/certainties.hpp"

#include <algorithm>
#include <vector>

#include "host/study/acceptance.hpp"

namespace moecarlo {

Certainties certainties(const TallyShape& shape, std::size_t cell, std::uint32_t policy, std::uint32_t capacity) {
  const CellShape& at = shape.cells[cell];
  const Capacity& slots = at.capacities[capacity];
  const bool is_static = never_changes(at.policies[policy]);
  Certainties holds;
  holds.lengths = holds.whole_drafts = at.depth == 0;
  if (at.depth > 0 && at.acceptance.kind == Acceptance::by_position) {
    const std::vector<double> law = accepted_length_law(at.thresholds);
    holds.lengths = std::find(law.begin(), law.end(), 1.0) != law.end();
    holds.whole_drafts = law.back() == 1.0;
  }
  holds.nothing_dropped = !drops(at.demand.demand.rule);
  holds.all_channels = at.demand.demand.channels == 0;
  holds.distinct = holds.nothing_dropped && shape.zero_experts == 0 &&
                   ((at.batch == 1 && at.depth == 0) || shape.top_k == shape.experts);
  const bool drafts_all = at.depth == 0 || (shape.walk != Walk::replay && at.acceptance.kind != Acceptance::proposals);
  holds.by_depth = holds.nothing_dropped && shape.zero_experts == 0 && drafts_all &&
                   ((at.batch == 1 && at.tree.is_chain()) || shape.top_k == shape.experts);
  holds.none_resident = slots.base == 0 && slots.extra_layers == 0;
  holds.all_resident = slots.base >= shape.experts && (shape.warm || is_static) && has_capacity(at.policies[policy]);
  holds.no_writes = is_static || holds.hit_rate();
  return holds;
}

}  // namespace moecarlo
