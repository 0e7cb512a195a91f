#include "host/cli/bench_plain_loop.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "cuda/core/expert_mask.hpp"
#include "host/cli/terminal.hpp"
#include "host/simulate/cpu_backend.hpp"

namespace moecarlo::cli {
namespace {

constexpr std::uint32_t kTrajectories = 4096;

struct Counts {
  std::uint64_t distinct = 0, accepted = 0, hits = 0, rejected_only = 0;  // experts, summed over passes
};

struct PlainCell {
  std::uint32_t batch, depth, rounds, capacity;
};

/// Of some thousand trajectories, which are walked again and again.
struct Paths {
  std::vector<std::uint32_t> tokens;    // [trajectories][rounds][batch] of the first column
  std::vector<std::uint32_t> accepted;  // [trajectories][rounds][batch] drafted tokens that were right
};

template <int Words>
[[gnu::always_inline]] inline Counts walk_masks(const RoutingTable& table, const PlainCell& cell, const Paths& paths,
                                                std::uint64_t trajectories) {
  using Mask = ExpertMask<Words>;
  const std::uint64_t* const masks = table.masks.data();
  const std::uint32_t layers = table.layers, columns = cell.depth + 1, batch = cell.batch;
  const std::uint32_t* tokens = nullptr;
  const std::size_t stride = std::size_t{layers} * Words;  // from a column to the next
  const auto first_column = [&](std::uint32_t round, std::uint32_t request, std::uint32_t layer) MOECARLO_INLINED {
    return masks + (std::size_t{tokens[round * batch + request]} * layers + layer) * Words;
  };
  Counts counts;
  std::vector<Mask> residents(layers);
  for (std::uint64_t number = 0; number < trajectories; ++number) {
    const std::size_t first = number % kTrajectories * cell.rounds * batch;
    tokens = paths.tokens.data() + first;
    std::fill(residents.begin(), residents.end(), Mask{});
    for (std::uint32_t round = 0; round < cell.rounds; ++round) {
      const std::uint32_t* accepted = paths.accepted.data() + first + std::size_t{round} * batch;
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        Mask all, kept;
        for (std::uint32_t request = 0; request < batch; ++request) {
          const std::uint64_t* own = first_column(round, request, layer);
          for (std::uint32_t column = 0; column < columns; ++column, own += stride) {
            const Mask chosen = Mask::load(own);
            all |= chosen;
            if (column <= accepted[request]) kept |= chosen;
          }
        }
        counts.distinct += all.count();
        counts.accepted += kept.count();
        counts.hits += (all & residents[layer]).count();
        counts.rejected_only += without(without(all, kept), residents[layer]).count();
        // The cache keeps what was touched last: columns from the newest back, of the first that does not fit the
        // lowest ranks.
        const bool fits = all.count() <= cell.capacity;
        Mask newest = fits ? all : Mask{};
        for (std::uint32_t back = fits ? round : round + 1; back-- > 0 && newest.count() < cell.capacity;) {
          for (std::uint32_t column = columns; column-- > 0 && newest.count() < cell.capacity;) {
            for (std::uint32_t request = batch; request-- > 0 && newest.count() < cell.capacity;) {
              const Mask chosen = Mask::load(first_column(back, request, layer) + column * stride);
              const Mask touched = newest | chosen;
              newest |= touched.count() <= cell.capacity
                            ? touched
                            : without(chosen, newest).lowest(cell.capacity - newest.count());
            }
          }
        }
        residents[layer] = newest;
      }
    }
  }
  return counts;
}

MOECARLO_CLONED Counts walk(const RoutingTable& table, const PlainCell& cell, const Paths& paths,
                            std::uint64_t trajectories) {
  return table.words == 1 ? walk_masks<1>(table, cell, paths, trajectories)
                          : walk_masks<2>(table, cell, paths, trajectories);
}

Paths draw_paths(const RoutingTable& table, const PlainCell& cell) {
  Paths paths;
  std::mt19937 random(1);
  std::bernoulli_distribution accepts(kBenchAlpha);
  std::uniform_int_distribution<std::size_t> sequences(0, table.sequences.size() - 1);
  std::vector<std::uint32_t> tokens(cell.batch);
  for (std::uint32_t number = 0; number < kTrajectories; ++number) {
    for (std::uint32_t& token : tokens) {
      const auto& sequence = table.sequences[sequences(random)];
      const std::uint32_t starts = sequence.length - cell.rounds * (cell.depth + 1);
      token = static_cast<std::uint32_t>(sequence.first) + std::uniform_int_distribution(0U, starts)(random);
    }
    for (std::uint32_t round = 0; round < cell.rounds; ++round) {
      for (std::uint32_t& token : tokens) {
        std::uint32_t accepted = 0;
        while (accepted < cell.depth && accepts(random)) ++accepted;
        paths.tokens.push_back(token);
        paths.accepted.push_back(accepted);
        token += accepted + 1;
      }
    }
  }
  return paths;
}

}  // namespace

PlainLoopRate measure_plain_loop(const Workload& workload, double seconds) {
  const RoutingTable& table = *workload.table;
  const PlanView plan = workload.plan.view();
  PlainLoopRate rate;
  std::vector<PlainCell> cells;
  std::vector<Paths> paths;
  double steps = 0;
  for (const Cell& cell : workload.plan.layout.cells) {
    cells.push_back({cell.batch, cell.depth, plan.rounds, plan.capacities[cell.first_capacity].base});
    paths.push_back(draw_paths(table, cells.back()));
    const double own = double{1} * cell.batch * (cell.depth + 1);
    steps += own;
    rate.points += own * cell.points();
  }
  rate.points /= steps;
  Counts counts;
  const double trajectories = rate_of(seconds, [&](std::uint64_t n) {
    counts = {};
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const Counts own = walk(table, cells[c], paths[c], n);
      counts.distinct += own.distinct;
      counts.hits += own.hits;
    }
    rate.distinct_experts =
        static_cast<double>(counts.distinct) / (static_cast<double>(n * cells.size()) * plan.rounds * table.layers);
  });
  rate.name = workload.name;
  rate.hit_rate = static_cast<double>(counts.hits) / static_cast<double>(counts.distinct);
  rate.steps_per_second = trajectories * workload.steps;
  const auto backend = make_cpu_backend(table.view(), workload.plan, 1);
  std::vector<std::uint64_t> counters(workload.plan.layout.size, 0);
  rate.engine_steps_per_second = workload.steps * rate_of(seconds, [&](std::uint64_t n) {
                                   backend->run({Stream::main, 0, n}, counters);
                                 });
  return rate;
}

nlohmann::ordered_json to_json(const PlainLoopRate& rate) {
  return {{"name", rate.name},
          {"steps_per_second", rate.steps_per_second},
          {"engine_steps_per_second", rate.engine_steps_per_second},
          {"points", rate.points},
          {"hit_rate", rate.hit_rate},
          {"distinct_experts", rate.distinct_experts}};
}

void print(const PlainLoopRate& rate) {
  say("{:<48} {:>14.1f}   the engine makes {:.1f}, {:.2f} of it, for {:.1f} design points\n",
      fmt::format("a plain loop: {}", rate.name), rate.steps_per_second / 1e6, rate.engine_steps_per_second / 1e6,
      rate.engine_steps_per_second / rate.steps_per_second, rate.points);
}

}  // namespace moecarlo::cli
