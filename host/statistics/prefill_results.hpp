#pragma once

#include <vector>

#include "host/simulate/tallies.hpp"
#include "host/statistics/metrics.hpp"
#include "host/statistics/results.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// The design points of a study's prefills: one for each policy, capacity and demand, of one request without a draft,
/// with the metrics of passes, which are chunks. See MetricReader for `resample`.
std::vector<PointResult> prefill_results(const Tallies& prefill, const Study& study, const Resample& resample);

}  // namespace moecarlo
