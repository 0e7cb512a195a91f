#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/statistics/metrics.hpp"
#include "host/statistics/results.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// All points of the study's own grid, then those that only hardware asked for, with every metric and, as
/// oracle_hit_rate, the best that any cache of that size could do: Belady's with bypass where rounds follow each other,
/// else the cache that foresees the next pass. Where bits change nothing that is counted, each value repeats the point.
std::vector<PointResult> point_results(const MetricReader& reader, const Tallies& tallies, const Study& study);

/// How the policies differ at equal batch, depth and capacity: hit_rate and misses of each against the study's first.
std::vector<DifferenceResult> policy_differences(const MetricReader& reader, const Tallies& tallies,
                                                 const Study& study);

/// What each point would look like if drafts were independent of the routing.
std::vector<ControlResult> independence_controls(const MetricReader& reader, const Tallies& tallies,
                                                 const Study& study);

/// Where speculation starts to pay at each point with a draft, against depth 0 of the same batch, policy and capacity.
std::vector<BreakEvenResult> break_even(const MetricReader& reader, const Tallies& tallies, const Study& study);

/// The largest half-width of the simulation over its value, of these metrics at the study's points; none where none is
/// known.
std::optional<double> worst_half_width(const std::vector<std::string>& metrics, const Tallies& tallies,
                                       const Study& study);

/// Whether every metric's Monte Carlo interval is within `relative_half_width` of its value at the worst point of the
/// grid.
bool is_satisfied(const StopSpec& stop, const Tallies& tallies, const Study& study);

}  // namespace moecarlo
