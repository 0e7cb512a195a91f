#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Which of many results a reader is shown first. Nothing is computed here: results are only chosen.

/// Values that the points take, ascending, each once.
std::vector<std::uint32_t> batches_of(const StudyResults& results);
std::vector<std::uint32_t> depths_of(const StudyResults& results);

/// Policies in order of first appearance.
std::vector<std::string> policies_of(const StudyResults& results);

/// Capacities of the points with this batch, depth and policy, ascending, each once.
std::vector<double> capacities_of(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                                  const std::string& policy);

/// The first point of this batch and depth, for figures that neither policy nor capacity changes; null if there is
/// none.
const PointResult* find_point(const StudyResults& results, std::uint32_t batch, std::uint32_t depth);
const PointResult* find_point(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                              const std::string& policy, double capacity);

/// The metric of a point, null where it has none.
const MetricResult* find_metric(const PointResult* point, const std::string& name);

/// The point that stands for the study: the middle one of the ascending batches, of the depths above 0 and of the
/// capacities, under the first policy. Null if there are no points.
const PointResult* typical_point(const StudyResults& results);

/// Of each (system, scheme, batch) the row of highest speed-up, in order of first appearance; no variants of systems.
std::vector<const HardwareResult*> best_hardware(const StudyResults& results);

/// Of each system the row of highest speed-up, in order of first appearance; no variants.
std::vector<const HardwareResult*> fastest_of_each_system(const StudyResults& results);

/// The fastest row without drafting of the same system, scheme and batch; null where there is none.
const HardwareResult* fastest_without_drafting(const StudyResults& results, const HardwareResult& like);

/// The hardware row that the sensitivity figure shows: that of the fastest system and scheme, else the first. Empty if
/// none.
std::string sensitivity_row(const StudyResults& results);

/// Elasticities taken on `row` that two decimals show (size 0.005 and more), largest size first.
std::vector<SensitivityResult> ranked_sensitivity(const StudyResults& results, const std::string& row);

/// The distribution of the greatest depth, at each batch that has one there, batches ascending.
std::vector<const Distribution*> deepest_distributions(const StudyResults& results);

/// "batch 4, depth 4, static, 12 experts per layer".
std::string design_text(const PointResult& point);

}  // namespace moecarlo
