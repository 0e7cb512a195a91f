#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/report/narrative/document.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

/// What a study is read for: of each batch the best design, whether its draft pays, by how much, how surely, and what
/// that rests on. With hardware rows the best is the fastest one, variants of systems left out; else the one that
/// yields the most tokens for what it fetches.
struct Decision {
  std::uint32_t batch = 1;
  const HardwareResult* row = nullptr;       ///< with hardware
  const BreakEvenResult* fetched = nullptr;  ///< without
  const LeadResult* lead = nullptr;          ///< of the row over the next best of its batch; null where it has none

  /// Whether speculation pays there. Of a fastest design that decodes without a draft: no, but undecided where it
  /// cannot be told apart from one with a draft.
  Verdict pays(const StudyResults& results) const;
  /// How many times as fast (or as frugal in fetches) as without a draft; NaN where the design has none.
  Estimate gain() const;
};

/// Batches ascending; empty where nothing can be compared.
std::vector<Decision> decisions(const StudyResults& results);

/// The verdict in one line: "Speculation pays at batch 1 (1.93 times ...) and does not pay at batch 8."
std::string verdict_line(const StudyResults& results);

/// A row for each batch: design, verdict, gain with its intervals, lead over the next, what holds it up, what it rests
/// on.
Table decision_table(const StudyResults& results);

/// For a terminal: verdict, how sure that is, what decides it; at most three lines.
std::vector<std::string> short_answer(const StudyResults& results);

/// The command that leads on, for results in `folder`.
std::string next_command(const StudyResults& results, const std::string& folder);

}  // namespace moecarlo
