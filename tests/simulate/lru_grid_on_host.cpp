#include "tests/simulate/engines.hpp"

#include "cuda/core/lru_grid.hpp"
#include "cuda/lru_grid_shape.hpp"
#include "host/simulate/cpu_backend.hpp"

namespace moecarlo::testing {
namespace {

constexpr std::uint32_t kPerLaunch = 1 << 14;
constexpr std::uint64_t kShared = 227 << 10;

/// The memory of the paths of a launch with so many slots, as the kernel lays them out.
struct Paths {
  std::size_t slots;
  std::vector<std::uint32_t> tokens;
  std::vector<std::uint8_t> accepted, drafted;
  std::vector<Place> places, other_places;

  Paths(const PlanView& plan, const Cell& cell, std::size_t slot_count)
      : slots(slot_count), places(cell.batch), other_places(cell.batch) {
    const std::size_t requests = std::size_t{plan.warmup + plan.rounds} * cell.batch;
    tokens.resize(requests * cell.columns() * slots);
    accepted.resize(requests * slots);
    drafted.resize(requests * slots);
  }
  LruGridPath path(std::size_t slot) {
    return {{tokens.data() + slot, slots},
            {accepted.data() + slot, slots},
            {drafted.data() + slot, slots},
            nullptr,
            places.data(),
            other_places.data()};
  }
};

/// What a block has in shared memory, for one of its warps; at first, and from trajectory to trajectory, of any value.
struct BlockMemory {
  std::vector<std::uint32_t> slots, rows, counts, distinct;
  std::vector<std::uint16_t> last;
  std::vector<std::uint8_t> buckets;

  explicit BlockMemory(const LruGridShape& shape)
      : slots(shape.slot_words(), 0xabababab),
        rows(shape.intervals() * kStackLanes),
        counts(shape.intervals() * kLruCounts),
        distinct(shape.stack.experts + 1),
        last(2 * shape.last_words(), 0xabab),
        buckets(shape.stack.experts + 1) {}

  void fill_buckets(const Capacity* capacities, std::uint32_t count, std::uint32_t layer) {
    for (std::uint32_t position = 0; position < buckets.size(); ++position) {
      buckets[position] = 0;
      for (std::uint32_t c = 0; c < count; ++c) buckets[position] += capacities[c].at(layer) <= position ? 1 : 0;
    }
  }

  void add_rows(std::uint32_t lane) {
    for (std::size_t interval = 0; interval < counts.size() / kLruCounts; ++interval) {
      std::uint32_t& bytes = rows[interval * kStackLanes + lane];
      for (std::uint32_t c = 0; c < kLruCounts; ++c) counts[interval * kLruCounts + c] += bytes >> (8 * c) & 0xffU;
      bytes = 0;
    }
  }
};

/// What the lanes of a warp do together, for one of them.
struct OneLane {
  BlockMemory& memory;
  const LruStack& stack;
  bool warm;
  std::uint32_t lane;

  void place_experts() const {
    for (std::uint32_t expert = 0; expert < stack.shape.experts; ++expert) {
      stack.last_of(expert) = static_cast<std::uint16_t>(stack.first_slot(expert, warm));
    }
  }
  void add_up() const { memory.add_rows(lane); }
};

template <std::uint32_t AtOnce>
void replay_cell(const RoutingView& routing, const PlanView& plan, const Cell& cell, const LruGridShape& shape,
                 const TrajectoryRange& range, const TallyView& tally) {
  const std::vector<std::uint8_t> choices = list_choices(routing);
  const Capacity* capacities = plan.capacities + cell.first_capacity;
  BlockMemory memory(shape);
  Paths paths(plan, cell, 3);
  for (std::uint64_t number = range.first; number < range.last; ++number) {
    const TrajectoryId id = TrajectoryId::of(plan, range.stream, number);
    const auto lane = static_cast<std::uint32_t>(number % kStackLanes);
    const LruGridPath path = paths.path(number % 3);
    draw_episode(plan, cell, id, path);
    const EpisodePath passes{nullptr, nullptr, nullptr, nullptr, plan.warmup + plan.rounds, plan.warmup};
    count_rounds(cell.batch, plan.warmup, plan.warmup + plan.rounds, path, RoundCounter{cell, id, passes, tally});
    mark_columns(cell, plan.warmup + plan.rounds, path);
    for (std::uint32_t layer = 0; layer < routing.layers; ++layer) {
      memory.fill_buckets(capacities, cell.capacity_count, layer);
      std::fill(memory.counts.begin(), memory.counts.end(), 0);
      std::fill(memory.distinct.begin(), memory.distinct.end(), 0);
      const LruStack stack{shape.stack, memory.buckets.data(), memory.last.data() + 2 * lane,
                           LruStack::slots_at(shape.stack, memory.slots.data() + lane)};
      LruGridReplay<AtOnce> replay{plan,
                                   routing,
                                   cell,
                                   choices.data() + shape.choice_bytes * layer,
                                   shape.tokens_counted,
                                   memory.distinct.data(),
                                   LruLane{stack, memory.rows.data() + lane, capacities[0].at(layer)}};
      replay(path, true, number, OneLane{memory, stack, plan.warm, lane});
      memory.add_rows(lane);
      const LayerContext<1> at{routing, plan, id, tally, layer, 0, nullptr};
      const LruGridTotals totals{memory.counts.data(), memory.distinct.data()};
      for (std::uint32_t thread = 0; thread < 3; ++thread) totals.add_to(at, cell, thread, 3);
    }
  }
}

}  // namespace

void simulate_lru_grids(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                        std::span<std::uint64_t> counters) {
  const PlanView view = plan.view();
  const RoutingView routing = table.view();
  if (!has_episodes(view.walk)) {  // its cells go together
    make_cpu_backend(routing, plan, 1)->run(range, counters);
    return;
  }
  for (std::uint32_t c = 0; c < view.cell_count; ++c) {
    if (!range.has(c)) continue;
    const TrajectoryRange own = range.in(view, c);
    const Cell& cell = view.cells[c];
    const auto shape = lru_grid_shape(view, cell, routing, kPerLaunch, kShared);
    const TallyView tally{counters.data()};
    if (!shape) {
      make_cpu_backend(routing, plan, 1)->run({range.stream, range.first, range.last, c}, counters);
    } else if (routing.top_k % 8 == 0) {
      replay_cell<8>(routing, view, cell, *shape, own, tally);
    } else if (routing.top_k % 4 == 0) {
      replay_cell<4>(routing, view, cell, *shape, own, tally);
    } else if (routing.top_k % 2 == 0) {
      replay_cell<2>(routing, view, cell, *shape, own, tally);
    } else {
      replay_cell<1>(routing, view, cell, *shape, own, tally);
    }
  }
}

bool has_lru_grid(const RoutingTable& table, const Plan& plan) {
  const PlanView view = plan.view();
  for (std::uint32_t c = 0; c < view.cell_count; ++c) {
    if (lru_grid_shape(view, view.cells[c], table.view(), kPerLaunch, kShared)) return true;
  }
  return false;
}

}  // namespace moecarlo::testing
