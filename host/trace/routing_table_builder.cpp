#include "host/trace/routing_table_builder.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>
#include <utility>

#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/table_cache.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t tokens_per_task = 256;
constexpr std::uint64_t most_bytes_twice = std::uint64_t{64} << 20;

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

CalibrationSplit split_sequences(const std::vector<std::uint64_t>& file_index, const TableOptions& options,
                                 TableRanker& ranker) {
  std::vector<std::uint32_t> all(file_index.size());
  std::iota(all.begin(), all.end(), 0U);
  if (!options.calibration_share) return {all, all};

  const double wanted = std::round(*options.calibration_share * static_cast<double>(all.size()));
  if (!(wanted >= 1 && wanted < static_cast<double>(all.size()))) {
    fail(ErrorKind::usage,
         "calibration: a share of {} of {} sequences leaves none on one side (expected at least one on each); use "
         "calibration = \"all\"",
         *options.calibration_share, all.size());
  }
  CalibrationSplit split{ranker.calibrating(file_index, options.split_seed, static_cast<std::uint32_t>(wanted)), {}};
  std::set_difference(all.begin(), all.end(), split.calibration.begin(), split.calibration.end(),
                      std::back_inserter(split.evaluation));
  return split;
}

void allocate_masks(RoutingTable& table) {
  table.rows = table.tokens + 1;  // the last is the empty one
  const std::uint64_t words = std::uint64_t{table.rows} * table.layers * static_cast<unsigned>(table.words);
  expect_memory(words * sizeof(std::uint64_t), table.info.path + ": the routing table");
  table.masks.resize(words);
}

// Masks with bit e for expert e of the kept tokens of a chunk, or where ranks are known already with its rank.
void pack_masks(const KeptChunk& chunk, const Choices& choices, unsigned threads, RoutingTable& table) {
  const auto words = static_cast<std::size_t>(table.words);
  parallel_for((chunk.kept.size() + tokens_per_task - 1) / tokens_per_task, threads, [&](std::uint64_t task, unsigned) {
    const std::uint64_t end = std::min<std::uint64_t>(chunk.kept.size(), (task + 1) * tokens_per_task);
    for (std::uint64_t i = task * tokens_per_task; i < end; ++i) {
      std::uint64_t* mask = table.masks.data() + (chunk.first_kept + i) * table.layers * words;
      for (std::uint32_t layer = 0; layer < table.layers; ++layer, mask += words) {
        const std::size_t ranks = std::size_t{layer} * table.experts;
        for (const std::uint16_t expert : choices.at(chunk.kept[i], layer)) {
          const std::uint16_t bit = table.rank_of_expert.empty() ? expert : table.rank_of_expert[ranks + expert];
          mask[bit / 64] |= std::uint64_t{1} << (bit % 64);
        }
      }
    }
  });
}

/// A chunk is read and decompressed while threads choose by the one before, unless two are much to hold.
void choose_on_threads(const TraceReader& reader, const TableOptions& options, const RoutingTable& table,
                       const std::function<void(const KeptChunk& chunk, const Choices& choices)>& pack) {
  const bool ahead = reader.stored_bytes(reader.tokens_per_read()) <= most_bytes_twice;
  std::optional<KeptChunk> under_way;
  std::future<StoredTokens> reading;
  const auto choose = [&](const StoredTokens& tokens) { return reader.choices_of(tokens, options.threads); };
  for_each_kept(reader, table, [&](const KeptChunk& chunk) {
    const StoredTokens before = under_way ? reading.get() : StoredTokens{};
    reading =
        std::async(ahead ? std::launch::async : std::launch::deferred,
                   [&reader, first = chunk.first, count = chunk.count] { return reader.read_stored(first, count); });
    if (under_way) pack(*under_way, choose(before));
    under_way = chunk;
  });
  if (under_way) pack(*under_way, choose(reading.get()));
}

void read_masks(const TraceReader& reader, const TableOptions& options, RoutingTable& table) {
  const auto pack = [&](const KeptChunk& chunk, const Choices& choices) {
    pack_masks(chunk, choices, options.threads, table);
    if (options.progress) options.progress(chunk.first + chunk.count, reader.info().tokens);
  };
  std::unique_ptr<ExpertSelector> selector;
  if (options.make_selector && table.info.full_logits) selector = options.make_selector(reader.stored_logits());
  if (selector == nullptr) return choose_on_threads(reader, options, table, pack);
  // A chunk is read and decompressed while the selector works on the one before.
  std::optional<KeptChunk> under_way;
  const auto finish = [&] { pack(*under_way, reader.finish_choices(under_way->first, under_way->count, *selector)); };
  for_each_kept(reader, table, [&](const KeptChunk& chunk) {
    reader.begin_choices(chunk.first, chunk.count, *selector);
    if (under_way) finish();
    under_way = chunk;
  });
  finish();
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
  const std::unique_ptr<TableRanker> host_ranker = make_host_ranker(options.threads);
  TableRanker& ranker = options.ranker != nullptr ? *options.ranker : *host_ranker;
  table.split = split_sequences(file_index, options, ranker);
  allocate_masks(table);
  std::optional<TableCache> cache;
  if (options.cache) cache.emplace(path, options.calibration_share, options.split_seed, options.threads);
  if (cache && cache->read(table)) return table;
  std::fill(table.masks.begin(), table.masks.end(), 0);
  read_masks(reader, options, table);
  ranker.rank(table);
  if (cache) cache->write(table);
  return table;
}

RoutingTable build_prefill_table(const RoutingTable& table, const TableOptions& options) {
  const TraceReader reader(table.info.path);
  expect_same_trace(reader.info(), reader.phase(), table);
  RoutingTable prefill;
  prefill.info = table.info;
  prefill.prefill = true;
  prefill.layers = table.layers;
  prefill.experts = table.experts;
  prefill.top_k = table.top_k;
  prefill.words = table.words;
  prefill.expert_of_rank = table.expert_of_rank;
  prefill.rank_of_expert = table.rank_of_expert;
  prefill.popularity = table.popularity;

  const KeptTokens decoded(reader.phase()), kept(reader.phase(), true);
  const auto& offsets = reader.sequence_offsets();
  const std::vector<std::uint32_t>& evaluation = table.split.evaluation;
  std::uint32_t number = 0;  // of a sequence in the table
  for (std::size_t s = 0; s + 1 < offsets.size(); ++s) {
    const bool known = decoded.count(offsets[s], offsets[s + 1]) > 0;
    const bool counts = known && std::binary_search(evaluation.begin(), evaluation.end(), number);
    number += known ? 1 : 0;
    const auto length = static_cast<std::uint32_t>(kept.count(offsets[s], offsets[s + 1]));
    if (counts && length > 0) prefill.split.evaluation.push_back(static_cast<std::uint32_t>(prefill.sequences.size()));
    if (length > 0) prefill.sequences.push_back({prefill.tokens, length});
    prefill.tokens += length;
  }
  if (prefill.split.evaluation.empty()) {
    fail(ErrorKind::input,
         "{}: no prefill to count (expected tokens of phase 0 in the evaluated sequences, found none)",
         table.info.path);
  }
  allocate_masks(prefill);
  read_masks(reader, options, prefill);
  return prefill;
}

}  // namespace moecarlo
