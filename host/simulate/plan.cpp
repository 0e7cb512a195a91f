#include "host/simulate/plan.hpp"

#include <algorithm>
#include <map>
#include <numeric>

#include "cuda/core/draft.hpp"
#include "host/study/acceptance.hpp"
#include "host/support/error.hpp"
#include "host/support/poisson.hpp"

namespace moecarlo {
namespace {

/// Integer weights for drawing replacements while drafting: calibration popularity scaled to 1 .. 65535 in each layer,
/// so that the sum over 1,024 experts stays within 32 bits.
std::vector<std::uint32_t> draft_weights(const RoutingTable& table) {
  std::vector<std::uint32_t> weights(table.popularity.size());
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    const auto* counts = &table.popularity[std::size_t{layer} * table.experts];
    const std::uint64_t most = std::max<std::uint64_t>(1, *std::max_element(counts, counts + table.experts));
    for (std::uint32_t e = 0; e < table.experts; ++e) {
      const std::uint64_t scaled = std::uint64_t{counts[e]} * 65535 / most;
      weights[std::size_t{layer} * table.experts + e] = static_cast<std::uint32_t>(std::max<std::uint64_t>(1, scaled));
    }
  }
  return weights;
}

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

/// The sequences of one replicate: each evaluation sequence as often as its Poisson(1) weight says. A draw in which no
/// sequence has more than `needed` tokens cannot be simulated and is drawn again.
std::vector<Sequence> replicate_entries(const std::vector<Sequence>& evaluation, std::uint32_t seed,
                                        std::uint32_t replicate, std::uint32_t needed) {
  for (std::uint32_t attempt = 0;; ++attempt) {
    std::vector<Sequence> entries;
    for (std::size_t s = 0; s < evaluation.size(); ++s) {
      const DrawAddress at{seed, Stream::setup, s, attempt, replicate, Purpose::replicate_weight};
      entries.insert(entries.end(), poisson_one(at.draw(0)), evaluation[s]);
    }
    if (!entries.empty() && entries.front().length > needed) return entries;  // `evaluation` is sorted by length
  }
}

/// The start table of one population at one depth, appended to the plan's pools.
PlanView::StartTable add_start_table(Plan& plan, std::uint32_t first_entry, std::uint32_t entry_count,
                                     std::uint32_t depth) {
  const Sequence* entries = plan.entries.data() + first_entry;
  PlanView::StartTable table{first_entry, 0, plan.cumulative.size()};
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

void add_starts(Plan& plan, const RoutingTable& table, std::uint32_t max_depth) {
  const std::vector<Sequence> evaluation = evaluation_entries(table);
  if (evaluation.front().length <= max_depth) {
    fail(
        ErrorKind::usage,
        "study: grid.depth {} is impossible on this trace (expected an evaluation sequence of more than {} tokens, the "
        "longest has {})",
        max_depth, max_depth, evaluation.front().length);
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> populations;  // first entry, count
  const auto add = [&](const std::vector<Sequence>& entries) {
    populations.emplace_back(plan.entries.size(), entries.size());
    plan.entries.insert(plan.entries.end(), entries.begin(), entries.end());
  };
  add(evaluation);
  for (std::uint32_t r = 0; r < plan.shape.groups.populations; ++r) {
    add(replicate_entries(evaluation, plan.seed, r, max_depth));
  }

  std::map<std::uint32_t, std::uint32_t> first_table;  // by depth
  for (Cell& cell : plan.layout.cells) {
    const std::uint32_t depth = plan.walk == Walk::episodes ? cell.depth : 0;
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

TallyShape make_shape(const Study& study, const Grid& grid, const RoutingTable& table, Walk walk) {
  TallyShape shape;
  shape.walk = walk;
  shape.layers = table.layers;
  shape.experts = table.experts;
  shape.top_k = table.top_k;
  shape.policies = study.grid.policy;
  const auto sequences = static_cast<std::uint32_t>(table.split.evaluation.size());
  if (walk == Walk::enumerate) {
    shape.groups = {std::min(sequences, kSequenceGroups), 0, 0};
    shape.joint_groups = {std::min(sequences, kGroups), 0, 0};
  } else {
    const std::uint32_t populations = sequences >= kFewestSequences ? kReplicates : 0;
    shape.groups = {kGroups, populations, populations};
    shape.joint_groups = {kJointGroups, populations > 0 ? kJointGroups : 0, populations};
  }
  for (const GridCell& cell : grid.cells) {
    shape.cells.push_back(
        {cell.batch, cell.depth, cell.capacities, cell.joint, acceptance_thresholds(study.acceptance, cell.depth)});
  }
  return shape;
}

void check_capacities(const GridCell& cell, const RoutingTable& table) {
  for (std::size_t i = 0; i < cell.capacities.size(); ++i) {
    const std::uint32_t largest = cell.capacities[i].base + (cell.capacities[i].extra_layers > 0 ? 1 : 0);
    if (largest > table.experts) {
      fail(ErrorKind::usage, "study: a capacity of {} is impossible (expected at most the trace's {} experts a layer)",
           largest, table.experts);
    }
    if (cell.joint[i] && cell.depth > 0 && table.top_k > kMostDraftedChoices) {
      fail(ErrorKind::usage, "study: a draft among residents takes at most {} experts a token (the trace has top-{})",
           kMostDraftedChoices, table.top_k);
    }
  }
}

/// No counter can pass 2^64: the largest sums experts over rounds, layers and columns.
void check_overflow(const Study& study, const GridCell& cell, const RoutingTable& table, Walk walk) {
  const long double rounds = walk == Walk::enumerate
                                 ? static_cast<long double>(table.tokens)
                                 : static_cast<long double>(study.trajectories) * (study.rounds + study.warmup);
  const long double most = rounds * cell.batch * (cell.depth + 1) * table.top_k * table.layers;
  if (most >= 0x1p61L) {
    fail(
        ErrorKind::usage,
        "study: a 64-bit tally could overflow (expected trajectories x rounds x batch x columns x top-k x layers below "
        "2^61, found {:.2g})",
        static_cast<double>(most));
  }
}

}  // namespace

PlanView Plan::view() const {
  PlanView view;
  view.walk = walk;
  view.seed = seed;
  view.rounds = rounds;
  view.warmup = warmup;
  view.warm = warm;
  view.resample_rejected = resample_rejected;
  view.policies = static_cast<std::uint32_t>(shape.policies.size());
  std::copy(shape.policies.begin(), shape.policies.end(), view.policy);
  view.groups = shape.groups;
  view.joint_groups = shape.joint_groups;
  std::uint32_t batches = 0;
  for (const Cell& cell : layout.cells) {
    view.max_batch = std::max(view.max_batch, cell.batch);
    view.max_depth = std::max(view.max_depth, cell.depth);
    if (cell.depth == layout.cells.front().depth) ++batches;
  }
  view.cell_count = static_cast<std::uint32_t>(layout.cells.size());
  view.depth_count = view.cell_count / batches;
  view.totals_width = layout.totals_width;
  view.cells = layout.cells.data();
  view.capacities = layout.capacities.data();
  view.thresholds = layout.thresholds.data();
  view.joint_index = layout.joint_index.data();
  view.joints = layout.joints.data();
  view.draft_weights = draft_weights.data();
  view.start_tables = start_tables.data();
  view.entries = entries.data();
  view.cumulative = cumulative.data();
  return view;
}

Plan make_plan(const Study& study, const Grid& grid, const RoutingTable& table) {
  Plan plan;
  plan.walk = study.mode == Mode::exhaustive ? Walk::enumerate : is_stateless(study) ? Walk::samples : Walk::episodes;
  for (const GridCell& cell : grid.cells) {
    check_capacities(cell, table);
    check_overflow(study, cell, table, plan.walk);
  }
  plan.seed = study.seed;
  plan.rounds = study.rounds;
  plan.warmup = plan.walk == Walk::episodes ? study.warmup : 0;
  plan.warm = study.start == Start::warm;
  plan.resample_rejected = study.acceptance.rejected_routing == RejectedRouting::resample;
  plan.shape = make_shape(study, grid, table, plan.walk);
  plan.layout = TallyLayout::of(plan.shape);
  plan.draft_weights = draft_weights(table);
  std::uint32_t max_depth = 0;
  for (const GridCell& cell : grid.cells) max_depth = std::max(max_depth, cell.depth);
  add_starts(plan, table, max_depth);
  const std::uint32_t widest = study.grid.batch.back();
  if (plan.walk != Walk::enumerate && widest > 1 && table.split.evaluation.size() < 2 * std::size_t{widest}) {
    plan.notes.push_back(fmt::format(
        "Batch {} draws from only {} evaluation sequences: requests of one batch may stand on the same sequence.",
        widest, table.split.evaluation.size()));
  }
  if (plan.shape.groups.replicates == 0 && table.split.evaluation.size() < kFewestSequences) {
    plan.notes.push_back(fmt::format("No trace interval: {} evaluation sequences, at least {} are needed.",
                                     table.split.evaluation.size(), kFewestSequences));
  }
  return plan;
}

}  // namespace moecarlo
