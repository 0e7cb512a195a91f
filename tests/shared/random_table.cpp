#include "tests/shared/random_table.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace moecarlo::testing {
namespace {

/// The sequences one after the other, and which of them calibrate.
RoutingTable empty_table(const TableSpec& spec) {
  RoutingTable table;
  table.layers = spec.layers;
  table.experts = spec.experts;
  table.top_k = spec.top_k;
  table.words = mask_words(spec.experts);
  for (std::uint32_t s = 0; s < spec.lengths.size(); ++s) {
    table.sequences.push_back({table.tokens, spec.lengths[s]});
    table.tokens += spec.lengths[s];
    if (spec.calibrating == 0 || s < spec.calibrating) table.split.calibration.push_back(s);
    if (s >= spec.calibrating) table.split.evaluation.push_back(s);
  }
  table.rows = table.tokens + 1;
  table.masks.assign(std::size_t{table.rows} * spec.layers * static_cast<std::size_t>(table.words), 0);
  return table;
}

/// Choices of each expert of a layer in the calibration sequences.
std::vector<std::uint32_t> count_choices(const TableSpec& spec, const RoutingTable& table, std::uint32_t layer,
                                         const std::vector<std::uint32_t>& choices) {
  std::vector<std::uint32_t> counts(spec.experts, 0);
  for (const std::uint32_t s : table.split.calibration) {
    const Sequence& sequence = table.sequences[s];
    for (std::uint32_t token = sequence.first; token < sequence.first + sequence.length; ++token) {
      for (std::uint32_t i = 0; i < spec.top_k; ++i) {
        ++counts[choices[(token * spec.layers + layer) * spec.top_k + i]];
      }
    }
  }
  return counts;
}

}  // namespace

RoutingTable pack_table(const TableSpec& spec, const std::vector<std::uint32_t>& choices) {
  RoutingTable table = empty_table(spec);
  const auto words = static_cast<std::size_t>(table.words);
  for (std::uint32_t layer = 0; layer < spec.layers; ++layer) {
    const std::vector<std::uint32_t> counts = count_choices(spec, table, layer, choices);
    std::vector<std::uint16_t> by_popularity(spec.experts);
    std::iota(by_popularity.begin(), by_popularity.end(), std::uint16_t{0});
    std::stable_sort(by_popularity.begin(), by_popularity.end(),
                     [&](std::uint16_t a, std::uint16_t b) { return counts[a] > counts[b]; });
    std::vector<std::uint16_t> rank(spec.experts);
    for (std::uint32_t r = 0; r < spec.experts; ++r) {
      rank[by_popularity[r]] = static_cast<std::uint16_t>(r);
      table.expert_of_rank.push_back(by_popularity[r]);
      table.popularity.push_back(counts[by_popularity[r]]);
    }
    table.rank_of_expert.insert(table.rank_of_expert.end(), rank.begin(), rank.end());
    for (std::uint32_t token = 0; token < table.tokens; ++token) {
      const std::size_t row = std::size_t{token} * spec.layers + layer;
      for (std::uint32_t i = 0; i < spec.top_k; ++i) {
        const std::uint32_t r = rank[choices[row * spec.top_k + i]];
        table.masks[row * words + r / 64] |= std::uint64_t{1} << (r % 64);
      }
    }
  }
  return table;
}

RoutingTable random_table(const TableSpec& spec) {
  std::mt19937 random(spec.seed);
  const auto uniform = [&] { return static_cast<double>(random()) / 4294967296.0; };
  std::vector<double> cumulative;
  for (std::uint32_t e = 0; e < spec.experts; ++e) {
    cumulative.push_back((e > 0 ? cumulative.back() : 0.0) + std::pow(e + 1.0, -spec.skew));
  }
  const std::size_t rows = std::size_t{std::accumulate(spec.lengths.begin(), spec.lengths.end(), 0U)} * spec.layers;
  std::vector<std::uint32_t> choices(rows * spec.top_k);
  for (std::size_t row = 0; row < rows; ++row) {
    std::uint32_t* chosen = &choices[row * spec.top_k];
    const std::uint32_t* before = row < spec.layers ? nullptr : chosen - std::size_t{spec.layers} * spec.top_k;
    for (std::uint32_t i = 0; i < spec.top_k;) {
      const bool repeats = before != nullptr && uniform() < spec.repeat;
      const auto drawn = std::upper_bound(cumulative.begin(), cumulative.end() - 1, uniform() * cumulative.back());
      const std::uint32_t expert =
          repeats ? before[random() % spec.top_k] : static_cast<std::uint32_t>(drawn - cumulative.begin());
      if (std::find(chosen, chosen + i, expert) == chosen + i) chosen[i++] = expert;
    }
  }
  return pack_table(spec, choices);
}

}  // namespace moecarlo::testing
