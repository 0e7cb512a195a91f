#include "host/simulate/replay_path.hpp"

#include <algorithm>

#include "cuda/core/path.hpp"
#include "host/study/acceptance.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

std::uint32_t group_of(const Plan& plan, std::uint32_t evaluation_index) {
  return evaluation_index % plan.shape.groups.groups;
}

/// Adds one pass of one request: `row(column)` of the drafted columns, the empty row for the rest.
template <class RowOf>
void add_pass(Plan& plan, Cell& cell, const Draft& draft, std::uint32_t group, const RowOf& row) {
  for (std::uint32_t column = 0; column < cell.columns(); ++column) {
    plan.replay_rows.push_back(column <= draft.drafted ? row(column) : plan.tokens);
  }
  plan.replay_accepted.push_back(static_cast<std::uint8_t>(draft.accepted));
  plan.replay_drafted.push_back(static_cast<std::uint8_t>(draft.drafted));
  plan.replay_group.push_back(group);
  ++cell.passes;
}

/// Adds the tokens of every sequence, `cell.batch` of them a pass; the empty row behind the last.
void add_chunks(Plan& plan, Cell& cell, const RoutingTable& table) {
  for (std::uint32_t i = 0; i < table.split.evaluation.size(); ++i) {
    const Sequence sequence = table.sequences[table.split.evaluation[i]];
    for (std::uint32_t position = 0; position < sequence.length; position += cell.batch) {
      for (std::uint32_t place = position; place < position + cell.batch; ++place) {
        plan.replay_rows.push_back(place < sequence.length ? sequence.first + place : plan.tokens);
      }
      plan.replay_accepted.resize(plan.replay_accepted.size() + cell.batch, 0);
      plan.replay_drafted.resize(plan.replay_drafted.size() + cell.batch, 0);
      plan.replay_group.push_back(group_of(plan, i));
      ++cell.passes;
    }
  }
}

void add_sequences(Plan& plan, Cell& cell, const RoutingTable& table) {
  const PlanView view = plan.view();
  for (std::uint32_t i = 0; i < table.split.evaluation.size(); ++i) {
    const Sequence sequence = table.sequences[table.split.evaluation[i]];
    for (std::uint32_t position = 0; position + cell.depth < sequence.length;) {
      const std::uint32_t token = sequence.first + position;
      const Draft draft = draft_at(view, cell, {}, token, NoCoverage{});
      add_pass(plan, cell, draft, group_of(plan, i), [&](std::uint32_t column) { return token + column; });
      position += draft.accepted + 1;
    }
  }
}

/// `rows`: of each round so many columns at most, as if no more had been drafted.
void add_recorded(Plan& plan, Cell& cell, const RoutingTable& table, bool captured, std::uint32_t rows) {
  for (const RecordedRound& round : plan.sources.rounds) {
    const Draft draft{std::min(round.drafted, rows - 1), std::min(round.accepted, rows - 1)};
    if (draft.drafted > cell.depth) {
      fail(
          ErrorKind::usage,
          "study: grid.depth {} cuts recorded rounds short (expected 0 or at least the {} tokens that were drafted, or "
          "study.rounds_rows)",
          cell.depth, draft.drafted);
    }
    const auto found = std::find(table.split.evaluation.begin(), table.split.evaluation.end(), round.sequence);
    if (found == table.split.evaluation.end()) continue;  // it calibrates
    const Sequence sequence = table.sequences[round.sequence];
    const auto group = group_of(plan, static_cast<std::uint32_t>(found - table.split.evaluation.begin()));
    add_pass(plan, cell, draft, group, [&](std::uint32_t column) {
      // A column that the trace's own tokens do not reach is known from the recording only.
      const bool inside = round.token + column < sequence.first + sequence.length;
      return captured || !inside ? round.first_row + column : round.token + column;
    });
  }
}

}  // namespace

void lay_out_replay(Plan& plan, const Study& study, const RoutingTable& table) {
  const bool recorded = traits_of(study.acceptance.model).recorded;
  const bool captured = study.acceptance.rejected_routing == RejectedRouting::captured;
  for (Cell& cell : plan.layout.cells) {
    cell.first_slot = plan.replay_rows.size();
    cell.first_pass = plan.replay_group.size();
    cell.passes = 0;
    if (cell.depth == 0) {
      add_chunks(plan, cell, table);
    } else if (recorded) {
      add_recorded(plan, cell, table, captured, study.rounds_rows.value_or(UINT32_MAX));
    } else {
      add_sequences(plan, cell, table);
    }
    if (cell.passes == 0) {
      fail(ErrorKind::usage, "study: nothing to replay at depth {} (expected a sequence of more than {} tokens)",
           cell.depth, cell.depth);
    }
  }
}

}  // namespace moecarlo
