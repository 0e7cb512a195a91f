#pragma once

#include <string>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Whether speculation pays. Nothing is estimated here: results are chosen, compared with their intervals and put into
/// words.

enum class Verdict { yes, no, undecided };

/// "yes", "no", "not decided".
const char* to_text(Verdict verdict);

/// Whether the value lies above `threshold` by more than its half-widths together. One that is not available counts as
/// none; without either nothing is decided.
Verdict is_above(const Estimate& estimate, double threshold);

/// Accepted length / depth that the study has; NaN where it is not known.
Estimate study_acceptance(const StudyResults& results, std::uint32_t batch, std::uint32_t depth);

/// The break-even rows of one cost, "misses" or "distinct_experts", that a table of about `limit` rows shows: all, else
/// those of the typical capacity, else also of the typical policy, else also of the typical batch. Kept bits are the
/// typical point's; experts touched, which neither policy nor capacity changes, are shown of the typical ones only.
std::vector<const BreakEvenResult*> shown_break_even(const StudyResults& results, const std::string& cost,
                                                     std::size_t limit);

/// The hardware rows with a break-even acceptance: all, else the policy and bits of the largest margin of each system,
/// scheme, batch and depth, else also of the typical batch only.
std::vector<const HardwareResult*> shown_hardware_break_even(const StudyResults& results, std::size_t limit);

/// From which depth and at which batch it pays, what it needs and what the study has: a sentence or two for each
/// system, or for the experts fetched where there is no hardware. Empty where nothing is known.
std::string whether_speculation_pays(const StudyResults& results);

}  // namespace moecarlo
