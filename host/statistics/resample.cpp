#include "host/statistics/resample.hpp"

#include <algorithm>

#include "host/support/parallel.hpp"
#include "host/support/poisson.hpp"

namespace moecarlo {
namespace {

// Of a task; the counts of that many columns stay in a core's cache.
constexpr std::size_t columns_per_task = 128;
constexpr std::size_t resamples_per_task = 100;

}  // namespace

std::vector<std::uint8_t> resample_weights(std::uint32_t groups) {
  std::vector<std::uint8_t> weights(std::size_t{kResamples} * groups);
  for (std::size_t i = 0; i < weights.size(); i += 4) {
    const RandomBlock block = resample_block(i / 4);
    for (std::size_t w = 0; w < 4; ++w) weights[i + w] = static_cast<std::uint8_t>(poisson_one(block.word[w]));
  }
  return weights;
}

std::vector<std::uint64_t> resample_on_host(const GroupCounts& groups) {
  const std::vector<std::uint8_t> weights = resample_weights(groups.groups);
  std::vector<std::uint64_t> sums(std::size_t{kResamples} * groups.columns);
  const std::size_t pieces = (groups.columns + columns_per_task - 1) / columns_per_task;
  parallel_for(pieces * (kResamples / resamples_per_task), 0, [&](std::uint64_t task, unsigned) {
    const std::size_t first = task % pieces * columns_per_task;
    const std::size_t columns = std::min(columns_per_task, groups.columns - first);
    const std::size_t first_resample = task / pieces * resamples_per_task;
    for (std::size_t r = first_resample; r < first_resample + resamples_per_task; ++r) {
      std::uint64_t* sum = sums.data() + r * groups.columns + first;
      for (std::size_t g = 0; g < groups.groups; ++g) {
        const std::uint64_t weight = weights[r * groups.groups + g];
        if (weight == 0) continue;
        const std::uint64_t* counts = groups.counts.data() + g * groups.columns + first;
        for (std::size_t c = 0; c < columns; ++c) sum[c] += weight * counts[c];
      }
    }
  });
  return sums;
}

}  // namespace moecarlo
