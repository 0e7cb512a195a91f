#include "cuda/launch_plan.hpp"

#include <algorithm>
#include <numeric>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kMostPaths = std::uint64_t{1} << 18;   // trajectories; more would not make a launch cheaper
constexpr std::uint64_t kEnoughRows = std::uint64_t{1} << 27;  // drawn ahead by a launch; more keep no device busier
constexpr std::uint64_t kMostRows = std::uint64_t{1} << 31;    // they have 32-bit numbers
constexpr std::uint64_t kWaves = 4;  // threads per resident thread: a multiprocessor done early finds more to do

/// Layers whose tables of redrawn routing fit into a quarter of the second-level cache, of which a half may be far from
/// a multiprocessor; all layers where nothing is redrawn.
std::uint32_t layers_at_a_time(const PlanView& plan, const RoutingView& routing, const DeviceRoom& room) {
  if (plan.perturb.logits == nullptr || plan.lockstep) return routing.layers;
  const std::uint64_t bytes = std::uint64_t{4} * routing.tokens * routing.experts;
  const std::uint64_t fit = room.second_level / 4 / std::max<std::uint64_t>(1, bytes);
  auto layers = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(fit, 1, routing.layers));
  while (routing.layers % layers != 0) --layers;  // whole sets leave no thread of a warp without a layer
  return layers;
}

/// The most masks that a trajectory has drawn ahead in each layer.
std::uint64_t most_drawn_slots(const PlanView& plan) {
  std::uint64_t most = 0;
  for (std::uint32_t c = 0; plan.perturb.logits != nullptr && c < plan.cell_count; ++c) {
    const Cell& cell = plan.cells[c];
    most = std::max(most, std::uint64_t{plan.warmup + plan.rounds} * cell.columns() * cell.batch);
  }
  return most;
}

}  // namespace

std::uint32_t drawn_slots(const PlanView& plan, const Cell& cell) {
  return (plan.warmup + plan.rounds) * cell.columns() * cell.batch;
}

DrawnRows rows_of(const PlanView& plan, const Cell& cell, Stream stream, std::uint32_t first_layer,
                  std::uint32_t layers) {
  DrawnRows rows;
  rows.perturb = plan.perturb;
  rows.keys = DrawAddress{plan.seed, stream}.keys();
  rows.first_layer = first_layer;
  rows.tokens = plan.tokens;
  rows.columns = cell.columns();
  rows.slots = drawn_slots(plan, cell);
  rows.order = RowOrder::of(layers, plan.warmup + plan.rounds, cell.depth + 1, cell.batch);
  rows.count = rows.order.trajectory.by * layers;
  return rows;
}

std::uint32_t group_period(const GroupLayout& groups) {
  return std::lcm(std::max(1U, groups.groups), std::max(1U, 2 * groups.populations));
}

LaunchPlan plan_launches(const PlanView& plan, const WorkspaceLayout& layout, const RoutingView& routing,
                         const DeviceRoom& room) {
  const bool local = !plan.lockstep && layout.layer_words <= kLocalWords;
  const std::uint64_t layer_words = local ? 0 : routing.layers * layout.layer_words;
  const std::uint32_t layers = layers_at_a_time(plan, routing, room);
  const std::uint64_t drawn_rows = layers * most_drawn_slots(plan);
  const std::uint64_t drawn_words = drawn_rows * static_cast<std::uint64_t>(mask_words(routing.experts));
  const std::uint64_t path_words = layout.path_words + drawn_words;
  const std::uint64_t each = path_words + layer_words;
  const std::uint64_t words = room.free_bytes / 10 * 9 / 8;  // a tenth stays free
  if (each > words) {
    fail(ErrorKind::machine, "backend cuda: out of device memory (expected {} bytes for one trajectory, found {} free)",
         8 * each, room.free_bytes);
  }
  if (drawn_rows > kMostRows) {
    fail(ErrorKind::machine,
         "backend cuda: too much routing to redraw (expected at most {} rows for one trajectory, "
         "found {})",
         kMostRows, drawn_rows);
  }
  const std::uint64_t threads = plan.lockstep ? 1 : layers;  // of one trajectory
  const std::uint64_t wanted = kWaves * room.multiprocessors * room.threads / threads;
  const std::uint64_t fit = each == 0 ? kMostPaths : words / each;
  const std::uint64_t most =
      std::clamp<std::uint64_t>(kEnoughRows / std::max<std::uint64_t>(1, drawn_rows), 1, kMostPaths);
  std::uint64_t flying = std::clamp<std::uint64_t>(std::min(wanted, fit), 1, most);

  const std::uint64_t period = group_period(plan.groups);
  std::uint64_t paths = flying;  // too few for a whole period: a thread stays with one trajectory
  if (flying >= period) {
    flying = flying / period * period;
    const std::uint64_t left = words - flying * layer_words;
    paths = path_words == 0 ? most : std::min(left / path_words, most);
    paths = std::max(paths / period * period, flying);
  }
  return {static_cast<std::uint32_t>(paths),
          static_cast<std::uint32_t>(flying),
          layers,
          paths * layout.path_words,
          paths * drawn_words,
          flying * layer_words};
}

}  // namespace moecarlo
