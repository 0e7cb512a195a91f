#pragma once

#include <string>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Whether speculation pays. Nothing is estimated here: results are chosen, compared with their intervals and put into
/// words.

enum class Verdict { yes, no, undecided };

/// "pays", "does not pay", "cannot be told apart".
const char* to_text(Verdict verdict);

/// Whether the value lies above `threshold` by more than its half-widths together. One that is not available counts as
/// none; without either nothing is decided.
Verdict is_above(const Estimate& estimate, double threshold);

/// Whether speculation pays on a row with a draft: its tokens per second over those of its own autoregressive mode.
Verdict verdict_of(const HardwareResult& row);

/// Accepted length / depth of a point with a draft; NaN where it is not known.
Estimate acceptance_of(const PointResult* point);

/// The break-even rows of one cost, "misses" or "distinct_experts", that a table of about `limit` rows shows: all, else
/// those of the typical capacity, else also of the typical policy, else also of the typical batch. Kept bits are the
/// typical point's; experts touched are shown at its policy and capacity only.
std::vector<const BreakEvenResult*> shown_break_even(const StudyResults& results, const std::string& cost,
                                                     std::size_t limit);

/// The hardware rows that are compared with their autoregressive mode: all, else the policy and bits of the largest
/// speed-up over it of each system, scheme, batch and depth, else also of the typical batch only.
std::vector<const HardwareResult*> shown_hardware_break_even(const StudyResults& results, std::size_t limit);

/// At which batch, depth and design it pays, how fast that is, what it needs and what it has: a sentence or two for
/// each system, one for all variants together, or for the experts fetched where there is no hardware. Empty where
/// nothing is known.
std::string whether_speculation_pays(const StudyResults& results);

}  // namespace moecarlo
