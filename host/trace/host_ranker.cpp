#include <algorithm>
#include <numeric>

#include "host/support/parallel.hpp"
#include "host/trace/table_ranker.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t tokens_per_task = 256;

template <class Use>
void for_each_member(const std::uint64_t* mask, int words, const Use& use) {
  for (int w = 0; w < words; ++w) {
    for (std::uint64_t rest = mask[w]; rest != 0; rest &= rest - 1) {
      use(64U * static_cast<std::uint32_t>(w) + lowest_bit(rest));
    }
  }
}

// [layers][experts] in index order: how often the calibration sequences chose each expert.
std::vector<std::uint32_t> count_choices(const RoutingTable& table, unsigned threads) {
  const std::size_t size = std::size_t{table.layers} * table.experts;
  std::vector<std::vector<std::uint32_t>> of_worker(thread_count(threads));
  const auto words = static_cast<std::size_t>(table.words);
  parallel_for(table.split.calibration.size(), threads, [&](std::uint64_t item, unsigned worker) {
    auto& counts = of_worker[worker];
    counts.resize(size);
    const Sequence sequence = table.sequences[table.split.calibration[item]];
    const std::uint64_t* mask = table.masks.data() + std::size_t{sequence.first} * table.layers * words;
    for (std::uint32_t token = 0; token < sequence.length; ++token) {
      for (std::uint32_t layer = 0; layer < table.layers; ++layer, mask += words) {
        std::uint32_t* layer_counts = counts.data() + std::size_t{layer} * table.experts;
        for_each_member(mask, table.words, [&](std::uint32_t expert) { ++layer_counts[expert]; });
      }
    }
  });
  std::vector<std::uint32_t> sum(size);
  for (const auto& counts : of_worker) {
    for (std::size_t i = 0; i < counts.size(); ++i) sum[i] += counts[i];
  }
  return sum;
}

// Most popular first, the lower index on ties.
void rank_experts(const std::vector<std::uint32_t>& choices, RoutingTable& table) {
  table.expert_of_rank.resize(choices.size());
  table.popularity.resize(choices.size());
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const std::size_t base = std::size_t{layer} * table.experts;
    const auto expert_of_rank = std::span(table.expert_of_rank).subspan(base, table.experts);
    std::iota(expert_of_rank.begin(), expert_of_rank.end(), std::uint16_t{0});
    std::stable_sort(expert_of_rank.begin(), expert_of_rank.end(),
                     [&](std::uint16_t a, std::uint16_t b) { return choices[base + a] > choices[base + b]; });
    for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
      table.popularity[base + rank] = choices[base + expert_of_rank[rank]];
    }
  }
}

void permute_masks(unsigned threads, RoutingTable& table) {
  const auto words = static_cast<std::size_t>(table.words);
  parallel_for((table.tokens + tokens_per_task - 1) / tokens_per_task, threads, [&](std::uint64_t task, unsigned) {
    const std::uint64_t end = std::min<std::uint64_t>(table.tokens, (task + 1) * tokens_per_task);
    std::uint64_t* mask = table.masks.data() + task * tokens_per_task * table.layers * words;
    for (std::uint64_t token = task * tokens_per_task; token < end; ++token) {
      for (std::uint32_t layer = 0; layer < table.layers; ++layer, mask += words) {
        const std::uint16_t* rank = table.rank_of_expert.data() + std::size_t{layer} * table.experts;
        std::uint64_t permuted[16] = {};
        for_each_member(mask, table.words, [&](std::uint32_t expert) {
          permuted[rank[expert] / 64] |= std::uint64_t{1} << (rank[expert] % 64);
        });
        std::copy_n(permuted, words, mask);
      }
    }
  });
}

class HostRanker final : public TableRanker {
 public:
  explicit HostRanker(unsigned threads) : threads_(threads) {}

  std::vector<std::uint32_t> calibrating(std::span<const std::uint64_t> file_index, std::uint32_t split_seed,
                                         std::uint32_t count) override {
    std::vector<std::uint32_t> draws;
    for (const std::uint64_t sequence : file_index) draws.push_back(split_draw(split_seed, sequence));
    std::vector<std::uint32_t> order(draws.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return draws[a] < draws[b]; });
    order.resize(count);
    std::sort(order.begin(), order.end());
    return order;
  }

  void rank(RoutingTable& table) override {
    rank_experts(count_choices(table, threads_), table);
    invert_ranks(table);
    permute_masks(threads_, table);
  }

 private:
  unsigned threads_;
};

}  // namespace

void invert_ranks(RoutingTable& table) {
  table.rank_of_expert.resize(table.expert_of_rank.size());
  for (std::size_t i = 0; i < table.expert_of_rank.size(); ++i) {
    const std::size_t layer = i / table.experts * table.experts;
    table.rank_of_expert[layer + table.expert_of_rank[i]] = static_cast<std::uint16_t>(i - layer);
  }
}

std::unique_ptr<TableRanker> make_host_ranker(unsigned threads) {
  return std::make_unique<HostRanker>(threads);
}

}  // namespace moecarlo
