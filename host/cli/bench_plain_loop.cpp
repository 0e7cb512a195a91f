#include "host/cli/bench_plain_loop.hpp"

#include <nlohmann/json.hpp>
#include <random>
#include <vector>

#include "cuda/core/expert_mask.hpp"
#include "host/cli/bench_workloads.hpp"
#include "host/cli/terminal.hpp"

namespace moecarlo::cli {
namespace {

constexpr int kWords = kBenchExperts / 64;
constexpr std::uint32_t kColumns = kBenchDepth + 1, kTrajectories = 4096;

using Mask = ExpertMask<kWords>;

struct Counts {
  std::uint64_t distinct = 0, accepted = 0, hits = 0, rejected_only = 0;  // experts, summed over passes
};

/// Of some thousand trajectories, which are walked again and again.
struct Paths {
  std::vector<std::uint32_t> tokens;    // [trajectories][rounds] of the first column
  std::vector<std::uint32_t> accepted;  // [trajectories][rounds] drafted tokens that were right
};

MOECARLO_CLONED Counts walk(const std::uint64_t* masks, const std::uint32_t* tokens, const std::uint32_t* accepted,
                            std::uint64_t trajectories) {
  Counts counts;
  for (std::uint64_t number = 0; number < trajectories; ++number) {
    const std::size_t first = number % kTrajectories * kBenchRounds;
    Mask residents[kBenchLayers] = {};
    for (std::uint32_t round = 0; round < kBenchRounds; ++round) {
      for (std::uint32_t layer = 0; layer < kBenchLayers; ++layer) {
        const auto column = [&](std::uint32_t of_round, std::uint32_t i) {
          return Mask::load(masks + (std::size_t{tokens[first + of_round] + i} * kBenchLayers + layer) * kWords);
        };
        Mask all, kept;
        for (std::uint32_t i = 0; i < kColumns; ++i) {
          all |= column(round, i);
          if (i <= accepted[first + round]) kept |= column(round, i);
        }
        counts.distinct += all.count();
        counts.accepted += kept.count();
        counts.hits += (all & residents[layer]).count();
        counts.rejected_only += without(without(all, kept), residents[layer]).count();
        // The cache keeps what was touched last: columns from the newest back, of the first that does not fit the
        // lowest ranks.
        Mask newest = all;
        std::uint32_t back = round, i = 0;
        if (all.count() > kBenchCapacity) newest = {}, ++back, i = 0;
        while (newest.count() < kBenchCapacity && (i > 0 || back > 0)) {
          if (i == 0) --back, i = kColumns;
          const Mask touched = newest | column(back, --i);
          newest |= touched.count() <= kBenchCapacity
                        ? touched
                        : without(touched, newest).lowest(kBenchCapacity - newest.count());
        }
        residents[layer] = newest;
      }
    }
  }
  return counts;
}

Paths draw_paths() {
  Paths paths;
  std::mt19937 random(1);
  std::bernoulli_distribution accepts(kBenchAlpha);
  std::uniform_int_distribution<std::uint32_t> starts(0, kBenchTokens - kBenchRounds * kColumns);
  for (std::uint32_t number = 0; number < kTrajectories; ++number) {
    std::uint32_t token = starts(random);
    for (std::uint32_t round = 0; round < kBenchRounds; ++round) {
      std::uint32_t accepted = 0;
      while (accepted < kBenchDepth && accepts(random)) ++accepted;
      paths.tokens.push_back(token);
      paths.accepted.push_back(accepted);
      token += accepted + 1;
    }
  }
  return paths;
}

}  // namespace

PlainLoopRate measure_plain_loop(const RoutingTable& table, double seconds) {
  constexpr double kPasses = kBenchRounds * kBenchLayers;
  const Paths paths = draw_paths();
  PlainLoopRate rate;
  const double trajectories = rate_of(seconds, [&](std::uint64_t n) {
    const Counts counts = walk(table.masks.data(), paths.tokens.data(), paths.accepted.data(), n);
    rate.hit_rate = static_cast<double>(counts.hits) / static_cast<double>(counts.distinct);
    rate.distinct_experts = static_cast<double>(counts.distinct) / static_cast<double>(n) / kPasses;
  });
  rate.steps_per_second = trajectories * kPasses * kColumns;
  return rate;
}

nlohmann::ordered_json to_json(const PlainLoopRate& rate) {
  return {{"steps_per_second", rate.steps_per_second},
          {"hit_rate", rate.hit_rate},
          {"distinct_experts", rate.distinct_experts}};
}

void print(const PlainLoopRate& rate) {
  say("{:<48} {:>14.1f}\n", kPlainLoopName, rate.steps_per_second / 1e6);
}

}  // namespace moecarlo::cli
