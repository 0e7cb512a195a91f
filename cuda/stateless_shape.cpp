#include "cuda/stateless_shape.hpp"

#include <algorithm>

#include "cuda/core/features.hpp"
#include "cuda/launch_plan.hpp"

namespace moecarlo {
namespace {

bool same_capacities(const PlanView& plan, const Cell& a, const Cell& b) {
  return std::equal(plan.capacities + a.first_capacity, plan.capacities + a.first_capacity + a.capacity_count,
                    plan.capacities + b.first_capacity, plan.capacities + b.first_capacity + b.capacity_count);
}

constexpr Features kServed = features(Feature::samples, Feature::other_policies, Feature::several_capacities);

}  // namespace

std::optional<StatelessShape> stateless_shape(const PlanView& plan, const RoutingView& routing,
                                              std::uint32_t per_launch, std::uint64_t shared_bytes) {
  const auto is_served = [&](const Cell& cell) {
    return serves(kServed, plan, cell, routing) && same_capacities(plan, cell, plan.cells[0]);
  };
  if (plan.walk != Walk::samples || plan.max_batch > kMostStatelessRequests ||
      !std::all_of(plan.cells.data, plan.cells + plan.cell_count, is_served)) {
    return {};
  }
  StatelessShape shape;
  shape.cells = plan.cell_count;
  shape.capacities = plan.cells[0].capacity_count;
  shape.experts = routing.experts;
  shape.depths = plan.depth_count;
  shape.max_depth = plan.max_depth;
  shape.max_batch = plan.max_batch;
  shape.period = group_period(plan.groups);
  if (per_launch < shape.period) return {};
  const std::uint64_t most = std::uint64_t{plan.max_batch} * std::max(routing.experts, routing.top_k);
  const std::uint64_t rounds = std::uint64_t{plan.rounds} * (per_launch / shape.period + 1);
  if (rounds * most > 0xffffffffU) return {};
  if (std::max(shape.shared_bytes(), std::uint64_t{4} * shape.path_counters()) > shared_bytes) return {};
  const std::uint64_t masks = std::uint64_t{routing.tokens} * static_cast<std::uint64_t>(mask_words(routing.experts));
  if (8 * masks + shape.shared_bytes() <= shared_bytes) shape.staged_words = static_cast<std::uint32_t>(masks);
  const std::uint64_t choices = std::uint64_t{routing.tokens} * shape.table_words();
  const bool fits = shape.staged_words > 0 && 8 * choices + shape.shared_bytes() <= shared_bytes;
  if (fits && routing.top_k < 16 && plan.max_batch * routing.top_k < 256) {  // half bytes, and bytes, hold the counts
    shape.choice_words = static_cast<std::uint32_t>(choices);
  }
  return shape;
}

}  // namespace moecarlo
