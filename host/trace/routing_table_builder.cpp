#include "host/trace/routing_table_builder.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "cuda/core/random.hpp"
#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t tokens_per_task = 256;

// The sequences that have a kept token; `file_index` is their number in the file, parallel to table.sequences.
std::vector<std::uint64_t> lay_out_sequences(const TraceReader& reader, const KeptTokens& kept, RoutingTable& table) {
  std::vector<std::uint64_t> file_index;
  const auto& offsets = reader.sequence_offsets();
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const auto length = static_cast<std::uint32_t>(kept.count(offsets[s], offsets[s + 1]));
    if (length == 0) continue;
    table.sequences.push_back({table.tokens, length});
    file_index.push_back(s);
    table.tokens += length;
  }
  return file_index;
}

CalibrationSplit split_sequences(const std::vector<std::uint64_t>& file_index, const TableOptions& options) {
  std::vector<std::uint32_t> order(file_index.size());
  std::iota(order.begin(), order.end(), 0U);
  if (!options.calibration_share) return {order, order};

  const double wanted = std::round(*options.calibration_share * static_cast<double>(order.size()));
  if (!(wanted >= 1 && wanted < static_cast<double>(order.size()))) {
    fail(ErrorKind::usage,
         "calibration: a share of {} of {} sequences leaves none on one side (expected at least one on each); use "
         "calibration = \"all\"",
         *options.calibration_share, order.size());
  }
  std::vector<std::uint32_t> draws;
  for (const std::uint64_t sequence : file_index) {
    const DrawAddress address{
        .seed = options.split_seed, .stream = Stream::setup, .trajectory = sequence, .purpose = Purpose::split};
    draws.push_back(address.draw(0));
  }
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return draws[a] < draws[b]; });
  const auto boundary = order.begin() + static_cast<std::ptrdiff_t>(wanted);
  CalibrationSplit split{{order.begin(), boundary}, {boundary, order.end()}};
  std::sort(split.calibration.begin(), split.calibration.end());
  std::sort(split.evaluation.begin(), split.evaluation.end());
  return split;
}

void allocate_masks(RoutingTable& table) {
  table.rows = table.tokens + 1;  // the last is the empty one
  const std::uint64_t words = std::uint64_t{table.rows} * table.layers * static_cast<unsigned>(table.words);
  expect_memory(words * sizeof(std::uint64_t), table.info.path + ": the routing table");
  table.masks.resize(words);
}

// First pass: masks with bit e = expert e. They get their rank order once the popularity is known.
void read_masks(const TraceReader& reader, const TableOptions& options, RoutingTable& table) {
  const auto words = static_cast<std::size_t>(table.words);
  std::uint64_t* next = table.masks.data();
  std::unique_ptr<ExpertSelector> selector;
  if (options.make_selector && table.info.full_logits) selector = options.make_selector(reader.stored_logits());
  for_each_kept(reader, [&](const KeptChunk& chunk) {
    const Choices choices = reader.read_choices(chunk.first, chunk.count, options.threads, selector.get());
    for (const std::uint32_t token : chunk.kept) {
      for (std::uint32_t layer = 0; layer < table.layers; ++layer, next += words) {
        for (const std::uint16_t expert : choices.at(token, layer)) {
          next[expert / 64] |= std::uint64_t{1} << (expert % 64);
        }
      }
    }
    if (options.progress) options.progress(chunk.first + chunk.count, reader.info().tokens);
  });
}

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

// Fills the table's permutation, its inverse and the popularity.
void rank_experts(const std::vector<std::uint32_t>& choices, RoutingTable& table) {
  table.expert_of_rank.resize(choices.size());
  table.popularity.resize(choices.size());
  table.rank_of_expert.resize(choices.size());
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const std::size_t base = std::size_t{layer} * table.experts;
    const auto expert_of_rank = std::span(table.expert_of_rank).subspan(base, table.experts);
    std::iota(expert_of_rank.begin(), expert_of_rank.end(), std::uint16_t{0});
    std::stable_sort(expert_of_rank.begin(), expert_of_rank.end(),
                     [&](std::uint16_t a, std::uint16_t b) { return choices[base + a] > choices[base + b]; });
    for (std::uint32_t rank = 0; rank < table.experts; ++rank) {
      table.rank_of_expert[base + expert_of_rank[rank]] = static_cast<std::uint16_t>(rank);
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

}  // namespace

RoutingTable build_routing_table(const std::filesystem::path& path, const TableOptions& options) {
  const TraceReader reader(path);
  RoutingTable table;
  table.info = reader.info();
  table.layers = table.info.layers;
  table.experts = table.info.experts;
  table.top_k = table.info.top_k;
  table.words = mask_words(table.experts);

  const KeptTokens kept(reader.phase());
  if (kept.count(0, table.info.tokens) >= UINT32_MAX) {
    fail(ErrorKind::input, "{}: too many tokens (expected at most {}, found {})", table.info.path, UINT32_MAX - 1,
         kept.count(0, table.info.tokens));
  }
  const std::vector<std::uint64_t> file_index = lay_out_sequences(reader, kept, table);
  table.split = split_sequences(file_index, options);
  allocate_masks(table);
  read_masks(reader, options, table);
  rank_experts(count_choices(table, options.threads), table);
  permute_masks(options.threads, table);
  return table;
}

}  // namespace moecarlo
