#include "host/trace/perturbed.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "host/support/error.hpp"
#include "host/support/large_pages.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/kept_tokens.hpp"
#include "host/trace/limits.hpp"
#include "host/trace/perturbed_law.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {
namespace {

constexpr std::uint64_t perturbed_per_task = 16;

// The law of a choice is Plackett and Luce's only where the scores alone decide.
void expect_plain_choice(const TraceReader& reader, double temperature) {
  const std::string& path = reader.info().path;
  if (!(temperature > 0) || std::isinf(temperature)) {
    fail(ErrorKind::usage, "temperature: expected a positive number, found {}", temperature);
  }
  if (!reader.info().full_logits) {
    fail(ErrorKind::usage, "{}: perturbed routing needs the dataset router_logits (found expert_ids only)", path);
  }
  if (!reader.selection_bias().empty()) {
    fail(ErrorKind::usage, "{}: perturbed routing is not defined for a choice with a selection_bias", path);
  }
  const ScoringRule& rule = reader.scoring();
  if (rule.top_k_groups < rule.num_groups) {
    fail(ErrorKind::usage, "{}: perturbed routing is not defined for a choice by groups (found {} of {})", path,
         rule.top_k_groups, rule.num_groups);
  }
}

void allocate(PerturbedTables& tables, std::uint64_t tokens, PerturbMethod method, const std::string& path) {
  const std::uint64_t cells = tokens * tables.layers * tables.experts;
  const bool alias = method == PerturbMethod::alias;
  const std::uint64_t bytes = cells * (sizeof(std::int32_t) + (alias ? sizeof(std::uint32_t) : 0));
  const std::uint64_t available = available_memory_bytes();
  if (bytes > available) {
    fail(ErrorKind::machine,
         "{}: the tables of perturbed routing do not fit the memory (need {} MiB, available {} MiB)", path, bytes >> 20,
         available >> 20);
  }
  resize_in_large_pages(tables.logits, cells);
  if (alias) resize_in_large_pages(tables.alias, cells);
}

// Fills one row of the tables from the router's logits in file order. expert_of_rank: [experts] of the layer.
void fill_row(std::span<const float> logits, std::span<const std::uint16_t> expert_of_rank, Scoring scoring,
              std::size_t first, PerturbedTables& tables) {
  std::array<double, largest_experts> storage;
  const std::span<double> ranked(storage.data(), logits.size());
  for (std::size_t rank = 0; rank < ranked.size(); ++rank) ranked[rank] = logits[expert_of_rank[rank]];
  if (scoring == Scoring::sigmoid) log_sigmoid(ranked);
  const std::span<std::int32_t> row = std::span(tables.logits).subspan(first, logits.size());
  perturbed_logits(ranked, tables.temperature, row);
  if (!tables.alias.empty()) alias_row(row, std::span(tables.alias).subspan(first, logits.size()));
}

}  // namespace

PerturbedTables read_perturbed(const std::filesystem::path& path, const RoutingTable& table, double temperature,
                               PerturbMethod method, unsigned threads) {
  const TraceReader reader(path);
  expect_plain_choice(reader, temperature);
  const TraceInfo& info = reader.info();
  const KeptTokens kept(reader.phase());
  std::vector<std::uint64_t> tokens;  // of the file, in the order of the table
  for (std::uint64_t token = 0; token < info.tokens; ++token) {
    if (kept.contains(token)) tokens.push_back(token);
  }
  if (tokens.size() != table.tokens || info.layers != table.layers || info.experts != table.experts) {
    fail(ErrorKind::input,
         "{}: the file is not the one whose routing was read (expected {} tokens, {} layers, {} "
         "experts, found {}, {}, {})",
         info.path, table.tokens, table.layers, table.experts, tokens.size(), info.layers, info.experts);
  }

  PerturbedTables tables{info.layers, info.experts, info.top_k, temperature, {}, {}, gumbel_table()};
  allocate(tables, tokens.size(), method, info.path);
  const std::size_t row = info.experts;
  std::size_t place = 0;  // of the first kept token of the piece
  for (std::uint64_t first = 0; first < info.tokens; first += reader.tokens_per_read()) {
    const std::uint64_t count = std::min(reader.tokens_per_read(), info.tokens - first);
    const std::vector<float> logits = reader.read_logits(first, count);
    const auto end =
        static_cast<std::size_t>(std::lower_bound(tokens.begin(), tokens.end(), first + count) - tokens.begin());
    parallel_for((end - place + perturbed_per_task - 1) / perturbed_per_task, threads,
                 [&](std::uint64_t task, unsigned) {
                   const std::size_t task_end = std::min<std::size_t>(end, place + (task + 1) * perturbed_per_task);
                   for (std::size_t t = place + task * perturbed_per_task; t < task_end; ++t) {
                     for (std::uint32_t layer = 0; layer < info.layers; ++layer) {
                       const std::size_t source = ((tokens[t] - first) * info.layers + layer) * row;
                       fill_row(std::span(logits).subspan(source, row),
                                std::span(table.expert_of_rank).subspan(std::size_t{layer} * row, row),
                                reader.scoring().scoring, (t * info.layers + layer) * row, tables);
                     }
                   }
                 });
    place = end;
  }
  return tables;
}

}  // namespace moecarlo
