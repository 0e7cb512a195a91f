#include "cuda/launch_plan.hpp"

#include <algorithm>
#include <numeric>

#include "cuda/core/policy/list_caches.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t kMostPaths = std::uint64_t{1} << 18;   // trajectories; more would not make a launch cheaper
constexpr std::uint64_t kEnoughRows = std::uint64_t{1} << 27;  // drawn ahead by a launch; more keep no device busier
constexpr std::uint64_t kMostRows = std::uint64_t{1} << 31;    // they have 32-bit numbers
constexpr std::uint64_t kWaves = 4;  // threads per resident thread: a multiprocessor done early finds more to do
constexpr std::uint64_t kFewestThreads = 128;  // of a multiprocessor: a block

/// What the redrawn routing of one trajectory takes in the largest cell.
struct DrawnSize {
  std::uint64_t slots = 0;         ///< masks for each layer, siblings' included
  std::uint64_t path_columns = 0;  ///< of them, those that are drawn ahead, and sorted

  static DrawnSize of(const PlanView& plan) {
    DrawnSize size;
    for (std::uint32_t c = 0; plan.perturb.logits != nullptr && c < plan.cell_count; ++c) {
      const Cell& cell = plan.cells[c];
      const std::uint64_t requests = (std::uint64_t{plan.warmup} + plan.rounds) * cell.batch;
      size.slots = std::max(size.slots, requests * cell.columns());
      size.path_columns = std::max(size.path_columns, requests * (cell.depth + 1));
    }
    return size;
  }
};

/// The most bytes of linked lists that a thread has, one list cache for each point.
std::uint64_t linked_bytes(const PlanView& plan) {
  std::uint64_t most = 0;
  for (std::uint32_t c = 0; c < plan.cell_count; ++c) {
    const Cell& cell = plan.cells[c];
    const Policy* const policies = plan.policies + cell.first_policy;
    const auto linked = std::count_if(policies, policies + cell.policy_count, [](Policy policy) {
      return keeps_lists(policy) && cache_shape(policy).lists > 0;
    });
    most =
        std::max(most, std::uint64_t{8} * plan.list_words * cell.capacity_count * static_cast<std::uint64_t>(linked));
  }
  return most;
}

/// Threads that a multiprocessor is given at a time. Those that follow linked lists touch a line of memory for every
/// number they read, so that few of them whose lists stay in its cache are faster than many (128 threads instead of
/// all: LFU 2.2 times on an H100, segmented LRU 2.7 times). Where the lists of a block are twice the cache or more, a
/// few threads would only wait.
std::uint64_t threads_at_a_time(const PlanView& plan, const DeviceRoom& room) {
  const std::uint64_t bytes = plan.coupled ? 0 : linked_bytes(plan);
  if (bytes == 0 || bytes * kFewestThreads > 2 * room.first_level) return kWaves * room.threads;
  return std::max(room.first_level / bytes / kFewestThreads, std::uint64_t{1}) * kFewestThreads;
}

}  // namespace

std::uint32_t drawn_slots(const PlanView& plan, const Cell& cell) {
  return (plan.warmup + plan.rounds) * cell.columns() * cell.batch;  // plan_launches has refused more than 2^31
}

DrawnRows rows_of(const PlanView& plan, const Cell& cell, const WorkspaceLayout& layout, const DrawnPaths& paths,
                  std::uint64_t* masks) {
  DrawnRows rows;
  rows.perturb = plan.perturb;
  rows.keys = DrawAddress{plan.seed, paths.stream}.keys();
  rows.first = paths.first;
  rows.first_layer = paths.first_layer;
  rows.layers = paths.layers;
  rows.tokens = plan.tokens;
  rows.columns = cell.columns();
  rows.slots = drawn_slots(plan, cell);
  rows.path_tokens = reinterpret_cast<const std::uint32_t*>(paths.paths + layout.tokens);
  rows.path_stride = 2 * layout.path_words;
  rows.masks = masks;
  rows.numbers = ColumnNumbers::of(plan.warmup + plan.rounds, cell.depth + 1, cell.batch);
  rows.path_columns = Divisor::of(paths.count * rows.numbers.trajectory.by);
  return rows;
}

std::uint32_t group_period(const GroupLayout& groups) {
  return std::lcm(std::max(1U, groups.groups), std::max(1U, 2 * groups.populations));
}

LaunchPlan plan_launches(const PlanView& plan, const WorkspaceLayout& layout, const RoutingView& routing,
                         std::uint32_t layers, const DeviceRoom& room) {
  const bool local = !plan.coupled && layout.layer_words <= kLocalWords;
  const std::uint64_t layer_words = local ? 0 : routing.layers * layout.layer_words;
  const std::uint64_t words = room.free_bytes / 10 * 9 / 8;  // a tenth stays free
  const DrawnSize drawn = DrawnSize::of(plan);
  const std::uint64_t column_words = 2 * drawn.path_columns;  // before and after sorting
  const std::uint64_t mask = static_cast<std::uint64_t>(mask_words(routing.experts));
  const auto path_words_in = [&](std::uint32_t at_a_time) {
    return layout.path_words + column_words + at_a_time * drawn.slots * mask;
  };
  const auto fits = [&](std::uint32_t at_a_time) {
    return path_words_in(at_a_time) + layer_words <= words && at_a_time * drawn.slots <= kMostRows;
  };
  while (drawn.slots > 0 && !plan.coupled && layers > 1 && !fits(layers)) layers = (layers + 1) / 2;
  const std::uint64_t drawn_rows = layers * drawn.slots, path_words = path_words_in(layers);
  const std::uint64_t each = path_words + layer_words;
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
  const std::uint64_t threads = plan.coupled ? 1 : layers;  // of one trajectory
  const std::uint64_t period = group_period(plan.groups);
  // Fewer than a whole period could not go on to other trajectories.
  const std::uint64_t wanted = std::max(room.multiprocessors * threads_at_a_time(plan, room) / threads, period);
  const std::uint64_t fit = each == 0 ? kMostPaths : words / each;
  const std::uint64_t most =
      std::clamp<std::uint64_t>(kEnoughRows / std::max<std::uint64_t>(1, drawn_rows), 1, kMostPaths);
  std::uint64_t in_flight = std::clamp<std::uint64_t>(std::min(wanted, fit), 1, most);
  std::uint64_t paths = in_flight;  // too few for a whole period: a thread stays with one trajectory
  if (in_flight >= period) {
    in_flight = in_flight / period * period;
    const std::uint64_t left = words - in_flight * layer_words;
    paths = path_words == 0 ? most : std::min(left / path_words, most);
    paths = std::max(paths / period * period, in_flight);
  }
  return {static_cast<std::uint32_t>(paths),
          static_cast<std::uint32_t>(in_flight),
          layers,
          paths * layout.path_words,
          paths * drawn_rows * mask,
          paths * column_words,
          in_flight * layer_words};
}

}  // namespace moecarlo
