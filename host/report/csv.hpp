#pragma once

#include <string>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Tidy tables (one row per figure) with a header line. Numbers carry every digit; a half-width that is not available,
/// and a value that is not finite, is an empty field.

/// batch, depth, policy, capacity, bits, metric, value, mc_half_width, trace_half_width
std::string points_csv(const StudyResults& results);

/// system, scheme, batch, depth, policy, capacity, bits, metric, value, mc_half_width, trace_half_width.
/// The metrics of a row are its four estimates, break_even_acceptance where it has one, and each of its breakdown keys,
/// prefixed "breakdown."; all but the estimates are means without half-widths.
std::string hardware_csv(const StudyResults& results);

}  // namespace moecarlo
