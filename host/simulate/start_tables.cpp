#include "host/simulate/start_tables.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "host/support/error.hpp"
#include "host/support/memory_limit.hpp"
#include "host/support/poisson.hpp"

namespace moecarlo {
namespace {

void sort_by_length(std::vector<Sequence>& entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Sequence& a, const Sequence& b) { return a.length > b.length; });
}

std::vector<Sequence> evaluation_entries(const RoutingTable& table) {
  std::vector<Sequence> entries;
  for (const std::uint32_t s : table.split.evaluation) entries.push_back(table.sequences[s]);
  sort_by_length(entries);
  return entries;
}

/// How often a replicate takes each of the sequences: `subset` of them once, those with the smallest draws; where that
/// is 0, each as often as its Poisson(1) weight says.
std::vector<std::uint32_t> replicate_weights(const std::vector<std::uint32_t>& draws, std::uint32_t subset) {
  std::vector<std::uint32_t> weights(draws.size(), 0);
  if (subset == 0) {
    std::transform(draws.begin(), draws.end(), weights.begin(), poisson_one);
    return weights;
  }
  std::vector<std::size_t> order(draws.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return draws[a] < draws[b]; });
  for (std::uint32_t i = 0; i < subset; ++i) weights[order[i]] = 1;
  return weights;
}

/// The sequences of one replicate. A draw in which no sequence has more than `needed` tokens cannot be simulated and is
/// drawn again.
std::vector<Sequence> replicate_entries(const std::vector<Sequence>& evaluation, std::uint32_t seed,
                                        std::uint32_t replicate, std::uint32_t needed, std::uint32_t subset) {
  for (std::uint32_t attempt = 0;; ++attempt) {
    std::vector<std::uint32_t> draws;
    for (std::size_t s = 0; s < evaluation.size(); ++s) {
      draws.push_back(DrawAddress{seed, Stream::setup, s, attempt, replicate, Purpose::replicate_weight}.draw(0));
    }
    const std::vector<std::uint32_t> weights = replicate_weights(draws, subset);
    std::vector<Sequence> entries;
    for (std::size_t s = 0; s < evaluation.size(); ++s) entries.insert(entries.end(), weights[s], evaluation[s]);
    if (!entries.empty() && entries.front().length > needed) return entries;  // `evaluation` is sorted by length
  }
}

/// One of `parts` populations that have all sequences between them: dealt from the longest on, back and forth, so that
/// all have about equally many starts.
std::vector<Sequence> part_of(const std::vector<Sequence>& evaluation, std::uint32_t part, std::uint32_t parts) {
  std::vector<Sequence> entries;
  for (std::uint32_t s = 0; s < evaluation.size(); ++s) {
    const std::uint32_t place = s % parts;
    if ((s / parts % 2 == 0 ? place : parts - 1 - place) == part) entries.push_back(evaluation[s]);
  }
  return entries;
}

/// The start table of one population at one depth, appended to the plan's pools.
StartTable add_start_table(Plan& plan, std::uint32_t first_entry, std::uint32_t entry_count, std::uint32_t depth) {
  const Sequence* entries = plan.entries.data() + first_entry;
  StartTable table{first_entry, 0, plan.cumulative.size()};
  std::uint64_t starts = 0;
  plan.cumulative.push_back(0);
  for (std::uint32_t e = 0; e < entry_count && entries[e].length > depth; ++e) {
    starts += entries[e].length - depth;
    if (starts >= (std::uint64_t{1} << 32)) {
      fail(ErrorKind::usage, "study: the trace has too many tokens (expected fewer than 2^32 starts)");
    }
    plan.cumulative.push_back(static_cast<std::uint32_t>(starts));
    ++table.eligible;
  }
  return table;
}

/// The depth whose starts a cell's requests have.
std::uint32_t start_depth(const Plan& plan, const Cell& cell) {
  return plan.walk == Walk::episodes || cell.apart ? cell.depth : 0;
}

}  // namespace

std::uint64_t start_table_bytes(const Plan& plan, std::uint64_t sequences) {
  std::set<std::uint32_t> depths;
  for (const Cell& cell : plan.layout.cells) depths.insert(start_depth(plan, cell));
  const std::uint64_t populations = 1 + std::uint64_t{plan.shape.groups.populations};
  const bool parts = !plan.shape.population_starts.empty();
  const std::uint64_t each = plan.shape.subset > 0 ? plan.shape.subset : sequences;
  const std::uint64_t entries = sequences + (parts ? sequences : (populations - 1) * each);
  return entries * (sizeof(Sequence) + depths.size() * sizeof(std::uint32_t)) +
         populations * depths.size() * (sizeof(std::uint32_t) + sizeof(StartTable));
}

void lay_out_starts(Plan& plan, const RoutingTable& table, std::uint32_t max_depth) {
  const std::vector<Sequence> evaluation = evaluation_entries(table);
  if (evaluation.front().length <= max_depth) {
    fail(
        ErrorKind::usage,
        "study: grid.depth {} is impossible on this trace (expected an evaluation sequence of more than {} tokens, the "
        "longest has {})",
        max_depth, max_depth, evaluation.front().length);
  }
  expect_memory(start_table_bytes(plan, evaluation.size()), "study: the table of starts");
  std::vector<std::pair<std::uint32_t, std::uint32_t>> populations;  // first entry, count
  const auto add = [&](const std::vector<Sequence>& entries) {
    populations.emplace_back(plan.entries.size(), entries.size());
    plan.entries.insert(plan.entries.end(), entries.begin(), entries.end());
  };
  add(evaluation);
  for (std::uint32_t p = 0; p < plan.shape.groups.populations; ++p) {
    if (plan.shape.population_starts.empty()) {
      add(replicate_entries(evaluation, plan.seed, p, max_depth, plan.shape.subset));
      continue;
    }
    const std::vector<Sequence> own = part_of(evaluation, p, plan.shape.groups.populations);
    for (const Sequence& sequence : own) plan.shape.population_starts[p] += sequence.length;
    add(own);
  }

  std::map<std::uint32_t, std::uint32_t> first_table;  // by depth
  for (Cell& cell : plan.layout.cells) {
    const std::uint32_t depth = start_depth(plan, cell);
    const auto [found, fresh] = first_table.try_emplace(depth, plan.start_tables.size());
    cell.first_start = found->second;
    if (!fresh) continue;
    for (const auto& [first, count] : populations) {
      plan.start_tables.push_back(add_start_table(plan, first, count, depth));
    }
  }
  const auto skipped =
      std::count_if(evaluation.begin(), evaluation.end(), [&](const Sequence& s) { return s.length <= max_depth; });
  if (skipped > 0) {
    plan.notes.push_back(fmt::format("{} of {} evaluation sequences have no start at depth {} (too short).", skipped,
                                     evaluation.size(), max_depth));
  }
}

}  // namespace moecarlo
