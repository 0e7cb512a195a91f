#pragma once

#include "host/statistics/results.hpp"
#include "host/support/text_sink.hpp"

namespace moecarlo {

/// Tidy tables (one row per figure) with a header line. Numbers carry every digit; a half-width that is not available,
/// and a value that is not finite, is an empty field.

/// batch, depth, policy, capacity, bits, metric, value, mc_half_width, trace_half_width
void write_points_csv(const StudyResults& results, const TextSink& sink);
/// The same of prefills.
void write_prefill_csv(const StudyResults& results, const TextSink& sink);

/// system, scheme, batch, depth, policy, capacity, bits, metric, value, mc_half_width, trace_half_width.
/// The metrics of a row are its four estimates, break_even_acceptance where it has one, and each of its breakdown keys,
/// prefixed "breakdown."; all but the estimates are means without half-widths.
void write_hardware_csv(const StudyResults& results, const TextSink& sink);

/// row, constant, status, metric, elasticity, method: for each constant of each row that elasticities were taken on,
/// those of the row's four estimates; empty where there is none, and the method then says why.
void write_sensitivity_csv(const StudyResults& results, const TextSink& sink);

}  // namespace moecarlo
