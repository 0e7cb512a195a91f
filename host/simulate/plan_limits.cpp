#include "host/simulate/plan_limits.hpp"

#include <algorithm>

#include "cuda/core/draft.hpp"
#include "cuda/core/drawn_routing.hpp"
#include "host/simulate/tallies.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

void check_capacities(const GridCell& cell, const RoutingTable& table) {
  for (const Capacity& capacity : cell.capacities) {
    const std::uint32_t largest = capacity.base + (capacity.extra_layers > 0 ? 1 : 0);
    if (largest > table.experts) {
      fail(ErrorKind::usage, "study: a capacity of {} is impossible (expected at most the trace's {} experts a layer)",
           largest, table.experts);
    }
  }
}

/// A token has so many draws for each purpose.
void check_draws(const Study& study, const GridCell& cell, const RoutingTable& table) {
  if (cell.depth == 0) return;
  const std::uint32_t choices = table.top_k / table.slices;
  const bool joint = std::find(cell.joint.begin(), cell.joint.end(), true) != cell.joint.end();
  if (joint && choices > kMostDraftedChoices) {
    fail(ErrorKind::usage, "study: a draft among residents takes at most {} experts a token (the trace has top-{})",
         kMostDraftedChoices, choices);
  }
  if (study.draft.width > 1 && choices > kMostSiblingChoices) {
    fail(ErrorKind::usage,
         "study: draft.width {} draws siblings of at most {} experts a token (expected draft.width = 1, or a trace of "
         "at most top-{}, found top-{})",
         study.draft.width, kMostSiblingChoices, kMostSiblingChoices, choices);
  }
}

void expect_no_overflow(long double most, const char* what) {
  if (most < 0x1p61L) return;
  fail(ErrorKind::usage,
       "study: a 64-bit tally could overflow (expected trajectories x rounds x batch x {} below 2^61, "
       "found {:.2g})",
       what, static_cast<double>(most));
}

/// No counter can pass 2^64: the largest sums experts over rounds, layers and columns, or gate mass over rounds, layers
/// and draft steps, of which a token has 65,535 and what rounding its shares adds.
void check_overflow(const Study& study, const GridCell& cell, const RoutingTable& table, Walk walk, bool gate_mass) {
  const long double rounds = walk == Walk::enumerate || walk == Walk::replay
                                 ? static_cast<long double>(table.tokens)
                                 : static_cast<long double>(study.trajectories) * (study.rounds + study.warmup);
  const long double requests = rounds * cell.batch * table.layers;
  expect_no_overflow(requests * Tree{study.draft.width, 0}.columns(cell.depth) * table.top_k,
                     "columns x top-k x layers");
  if (gate_mass) {
    const std::uint32_t columns = Tree{study.draft.width, 0}.columns(cell.depth);
    expect_no_overflow(requests * (study.demand ? columns : cell.depth) * (65535.0L + table.top_k),
                       study.demand ? "columns x layers x (65,535 + top-k)" : "depth x layers x (65,535 + top-k)");
  }
}

}  // namespace

void check_limits(const Study& study, const Grid& grid, const RoutingTable& table, Walk walk, bool gate_mass) {
  if (grid.cells.size() > kMostCells) {
    fail(ErrorKind::usage,
         "study: the grid has too many cells (expected at most {} batches x depths, times capacities x bits or "
         "policies where those change what is accepted; found {})",
         kMostCells, grid.cells.size());
  }
  for (const GridCell& cell : grid.cells) {
    check_capacities(cell, table);
    check_draws(study, cell, table);
    check_overflow(study, cell, table, walk, gate_mass);
  }
}

}  // namespace moecarlo
