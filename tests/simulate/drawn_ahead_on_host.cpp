#include "tests/simulate/engines.hpp"

#include <algorithm>

#include "cuda/core/demand/asking.hpp"
#include "cuda/launch_plan.hpp"
#include "host/simulate/cpu_backend.hpp"

namespace moecarlo::testing {
namespace {

constexpr std::uint32_t kTrajectories = 5, kLayers = 3;  // of a launch

/// What a device's warps do, see RowWarp, column after column.
template <int Words>
void draw(const PlanView& plan, const DrawnRows& rows, Stream stream) {
  for (std::uint32_t number = 0; number < rows.path_columns.by; ++number) {
    const std::uint32_t token = TokenColumn::token(rows.token_column(number));
    for (std::uint32_t layer = 0; layer < rows.layers; ++layer) {
      const RowPlace place = rows.numbers.place(number, layer);
      const DrawAddress at{plan.seed,        stream,      rows.first + place.trajectory, place.pass, place.request,
                           Purpose::perturb, place.column};
      ExpertMask<Words> mask;
      if (token < rows.tokens) {
        mask = draw_routing<Words, 1>(rows.perturb, token, rows.first_layer + layer, at).lane(0);
      }
      std::copy_n(mask.word, Words, rows.masks + std::size_t{rows.mask(place)} * Words);
    }
  }
}

/// One launch of one cell.
template <int Words>
struct Launch {
  const RoutingView& routing;
  const PlanView& plan;
  std::uint32_t cell;
  Stream stream;
  std::uint64_t first;
  std::uint32_t count;
  const TallyView& tally;
  WorkspaceLayout layout = WorkspaceLayout::of(plan, routing.layers, Words, 1, true);
  std::vector<std::uint64_t> paths = std::vector<std::uint64_t>(count * layout.path_words);
  std::vector<std::uint64_t> scratch = std::vector<std::uint64_t>(routing.layers * layout.layer_words);

  TrajectoryId id(std::uint32_t t) const { return TrajectoryId::of(plan, stream, first + t); }
  std::uint64_t* path_block(std::uint32_t t) { return paths.data() + t * layout.path_words; }

  void operator()() {
    for (std::uint32_t t = 0; t < count; ++t) {
      begin_trajectory(plan, cell, id(t), layout, path_block(t), tally);
    }
    const std::uint32_t most = plan.coupled ? routing.layers : kLayers;
    for (std::uint32_t layer = 0; layer < routing.layers; layer += most) {
      replay(layer, std::min(most, routing.layers - layer));
    }
  }

  void replay(std::uint32_t first_layer, std::uint32_t layers) {
    const Cell& own = plan.cells[cell];
    std::vector<std::uint64_t> masks(std::size_t{count} * drawn_slots(plan, own) * layers * Words);
    const DrawnRows rows =
        rows_of(plan, own, layout, {stream, first, count, first_layer, layers, paths.data()}, masks.data());
    draw<Words>(plan, rows, stream);
    for (std::uint32_t t = 0; t < count; ++t) {
      const auto ahead = DrawnMasks::ahead<Words>(masks.data(), t, rows.slots, first_layer, layers);
      if (plan.asks()) {
        replay_asking<Words>(routing, plan, cell, id(t), layout, path_block(t), scratch.data(), tally, ahead);
        continue;
      }
      if (plan.coupled) {
        replay_coupled<Words>(routing, plan, cell, id(t), layout, path_block(t), scratch.data(), tally, ahead);
        continue;
      }
      for (std::uint32_t layer = first_layer; layer < first_layer + layers; ++layer) {
        TrajectoryId trajectory = id(t);
        const EpisodeScratch<Words, 1> parts{routing,       plan,           own, trajectory, tally, layout,
                                             path_block(t), scratch.data(), 0,   ahead};
        const LayerContext<1> at = parts.context(layer, 0);
        at.clear(own);
        add_episode<Words, 1>(at, own, parts.caches(layer, 0), trajectory, path_in(layout, path_block(t)),
                              parts.drawn(layer, 0));
        flush(at, own);
      }
    }
  }
};

template <int Words>
void simulate_cell(const RoutingView& routing, const PlanView& plan, std::uint32_t cell, const TrajectoryRange& range,
                   const TallyView& tally) {
  for (std::uint64_t first = range.first; first < range.last; first += kTrajectories) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(kTrajectories, range.last - first));
    Launch<Words>{routing, plan, cell, range.stream, first, count, tally}();
  }
}

}  // namespace

void simulate_drawn_ahead(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range,
                          std::span<std::uint64_t> counters) {
  const PlanView view = plan.view();
  const RoutingView routing = table.view();
  if (!has_episodes(view.walk)) {  // its cells go together
    make_cpu_backend(routing, plan, 1)->run(range, counters);
    return;
  }
  const TallyView tally{counters.data()};
  for (std::uint32_t cell = 0; cell < view.cell_count; ++cell) {
    if (!range.has(cell)) continue;
    const TrajectoryRange own = range.in(view, cell);
    const int words = mask_words(routing.experts);
    if (view.perturb.logits == nullptr || words > 2) {
      make_cpu_backend(routing, plan, 1)->run({range.stream, range.first, range.last, cell}, counters);
    } else if (words == 1) {
      simulate_cell<1>(routing, view, cell, own, tally);
    } else {
      simulate_cell<2>(routing, view, cell, own, tally);
    }
  }
}

}  // namespace moecarlo::testing
