#pragma once

#include "cuda/core/plan.hpp"

namespace moecarlo {

// The path probability of a column: how likely it is, as a drafter might know when it drafts, that verification comes
// to it. Where the trace tells what the drafter gave each token, that is it; else what is known here is the acceptance
// itself: an oracle for the drafter's own confidence. A study may list it instead.

/// The path probabilities of a request's columns: `set(column, of_one)` for each that is drafted. `threshold(i)`: of
/// draft position i.
///
/// Column i of the path has c_i = c_(i-1) T_i, and the siblings at its level share what the path leaves: each of them
/// c_(i-1) (1 - T_i) / (width - 1).
template <class ThresholdOf, class Set>
MOECARLO_HOST_DEVICE void find_confidences(const PlanView& plan, const Cell& cell, const ThresholdOf& threshold,
                                           const Set& set) {
  const bool listed = plan.confidences.size > 0;
  std::uint64_t before = kGateOne;
  set(0, listed ? plan.confidences[0] : kGateOne);
  for (std::uint32_t level = 1; level <= cell.depth; ++level) {
    const std::uint64_t accepted = listed ? 0 : threshold(level - 1);
    const std::uint64_t own = listed ? plan.confidences[level] : (before * accepted) >> 32;
    std::uint64_t sibling = own;
    if (!listed && cell.tree.width > 1) {
      sibling = before * ((std::uint64_t{1} << 32) - accepted) / (cell.tree.width - 1) >> 32;
    }
    set(level, own);
    for (std::uint32_t column = cell.depth + level; column < cell.columns(); column += cell.depth) set(column, sibling);
    before = own;
  }
}

/// What a path probability multiplies at a draft position: what the drafter gave its token, or the acceptance threshold
/// under a rule that is not by coverage. `token`: where the draft begins.
struct KnownThresholds {
  const PlanView& plan;
  const Cell& cell;
  std::uint32_t token;

  MOECARLO_HOST_DEVICE Threshold operator()(std::uint32_t position) const {
    if (plan.draft_thresholds.size > 0) return plan.draft_thresholds[token + 1 + position];
    const AcceptanceRule& rule = cell.acceptance;
    if (rule.kind == Acceptance::by_position) return plan.thresholds[cell.first_threshold + position];
    if (rule.kind != Acceptance::by_token) return 0;  // nobody knows, and no rule asks
    return plan.token_thresholds[std::size_t{rule.table} * plan.tokens + token + 1 + position];
  }
};

}  // namespace moecarlo
