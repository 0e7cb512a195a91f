#include "cuda/device_ranker.hpp"

#include <algorithm>

#include "cuda/device_memory.hpp"
#include "cuda/device_pairs.hpp"
#include "cuda/kernels/ranks.hpp"
#include "cuda/piece_plan.hpp"

namespace moecarlo {
namespace {

class DeviceRanker final : public TableRanker {
 public:
  explicit DeviceRanker(std::uint64_t most_bytes) : most_bytes_(most_bytes) {}

  std::vector<std::uint32_t> calibrating(std::span<const std::uint64_t> file_index, std::uint32_t split_seed,
                                         std::uint32_t count) override {
    const DeviceArray<std::uint64_t> indices(file_index.data(), file_index.size());
    const DevicePairs pairs(file_index.size());
    check_cuda(launch_split_keys(indices.data(), file_index.size(), split_seed, pairs.buffers(), nullptr),
               "launching the split");
    pairs.sort();
    std::vector<std::uint32_t> chosen = pairs.values();
    chosen.resize(count);
    std::sort(chosen.begin(), chosen.end());
    return chosen;
  }

  void rank(RoutingTable& table) override {
    const std::uint64_t token_words = std::uint64_t{table.layers} * static_cast<unsigned>(table.words);
    const DevicePairs pairs(std::uint64_t{table.layers} * table.experts);
    DeviceArray<std::uint32_t> counts(std::size_t{table.layers} * table.experts);
    counts.clear();
    const std::uint64_t at_a_time = tokens_at_a_time(table, std::min(most_bytes_, free_device_bytes()));
    DeviceArray<std::uint64_t> masks(at_a_time * token_words);
    const auto for_each_piece = [&](const auto& use) {
      for (std::uint64_t first = 0; first < table.tokens; first += at_a_time) {
        const std::uint64_t tokens = std::min(at_a_time, table.tokens - first);
        use(table.masks.data() + first * token_words, first,
            MaskBlock{masks.data(), tokens, table.layers, table.experts, static_cast<std::uint32_t>(table.words)});
      }
    };
    for_each_piece([&](const std::uint64_t* from, std::uint64_t first, const MaskBlock& block) {
      masks.copy_from(from, 0, block.tokens * token_words);
      count(block, calibrating_runs(table, first, block.tokens), counts.data());
    });
    check_cuda(launch_rank_keys(counts.data(), table.layers, table.experts, pairs.buffers(), nullptr),
               "launching the ranking");
    pairs.sort();
    for_each_piece([&](std::uint64_t* at, std::uint64_t, const MaskBlock& block) {
      if (block.tokens < table.tokens) masks.copy_from(at, 0, block.tokens * token_words);
      check_cuda(launch_permute(block, pairs.device_values().data(), nullptr), "launching the permutation of masks");
      masks.copy_to(at, block.tokens * token_words);
    });
    const std::vector<std::uint64_t> keys = pairs.keys();
    const std::vector<std::uint32_t> experts = pairs.values();
    table.popularity.resize(keys.size());
    table.expert_of_rank.assign(experts.begin(), experts.end());
    std::transform(keys.begin(), keys.end(), table.popularity.begin(),
                   [](std::uint64_t key) { return ~static_cast<std::uint32_t>(key); });
    invert_ranks(table);
  }

 private:
  static void count(const MaskBlock& block, const CalibratingRuns& runs, std::uint32_t* counts) {
    const DeviceArray<std::uint64_t> first(runs.first), start(runs.start);
    check_cuda(launch_count(block, {first.data(), start.data(), runs.first.size(), runs.tokens}, counts, nullptr),
               "launching the count of choices");
    check_cuda(cudaStreamSynchronize(nullptr), "counting choices");
  }

  std::uint64_t most_bytes_;
};

}  // namespace

std::unique_ptr<TableRanker> make_device_ranker(int device, std::uint64_t most_bytes) {
  choose_device(device);
  return std::make_unique<DeviceRanker>(most_bytes);
}

}  // namespace moecarlo
