#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Which of many results a reader is shown first. Nothing is computed here: results are only chosen.

/// Values that the points of the study's own grid take, ascending, each once.
std::vector<std::uint32_t> batches_of(const StudyResults& results);
std::vector<std::uint32_t> depths_of(const StudyResults& results);

/// Policies in order of first appearance.
std::vector<std::string> policies_of(const StudyResults& results);

/// Capacities of the grid's points with this batch, depth and policy, ascending, each once.
std::vector<double> capacities_of(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                                  const std::string& policy);

/// The one point of this design; null where it was not counted.
const PointResult* find_point(const StudyResults& results, std::uint32_t batch, std::uint32_t depth,
                              const std::string& policy, double capacity, std::uint32_t bits,
                              const std::string& demand);

/// The point that a hardware row was projected from; null where the results hold none.
const PointResult* point_of(const StudyResults& results, const HardwareResult& row);

/// Whether a point differs from the typical one in its demand alone, if at all.
bool is_beside(const PointResult& point, const PointResult& typical);

/// The same policy, capacity, bits and demand at another batch and depth; null where it was not counted.
const PointResult* find_beside(const StudyResults& results, const PointResult& point, std::uint32_t batch,
                               std::uint32_t depth);

/// The metric of a point, null where it has none.
const MetricResult* find_metric(const PointResult* point, const std::string& name);

/// What speed-ups are over, in a sentence.
std::string reference_name(const StudyResults& results);

/// The point that stands for the study: the middle one of the ascending batches, of the depths above 0 and of the
/// capacities, under the first policy. Null if there are no points.
const PointResult* typical_point(const StudyResults& results);

/// Of each (system, scheme, batch) the fastest row, in order of first appearance; no variants of systems.
std::vector<const HardwareResult*> best_hardware(const StudyResults& results);

/// Of each system the fastest row at this batch, in order of first appearance; no variants.
std::vector<const HardwareResult*> fastest_of_each_system(const StudyResults& results, std::uint32_t batch);

/// How far the row leads, if it is the fastest among "batch" or "scheme" (LeadResult); null else.
const LeadResult* lead_of(const StudyResults& results, const HardwareResult& row, const std::string& among);

/// The hardware row that the sensitivity figure shows: that of the fastest system and scheme, else the first. Empty if
/// none.
std::string sensitivity_row(const StudyResults& results);

/// One of the elasticities of a constant.
using Elasticity = std::optional<double> SensitivityResult::*;

/// The constants of `row` of whose elasticities `of` one is shown by two decimals (size 0.005 and more), the largest
/// size first.
std::vector<SensitivityResult> ranked_sensitivity(const StudyResults& results, const std::string& row,
                                                  std::initializer_list<Elasticity> of);

/// The distributions that hold for a point's policy, capacity, bits and demand, at every batch and depth.
std::vector<const Distribution*> distributions_at(const StudyResults& results, const PointResult& point);

/// Of those the ones of the greatest depth, batches ascending.
std::vector<const Distribution*> deepest_distributions(const StudyResults& results, const PointResult& point);

/// "batch 4, depth 4, static, 12 experts per layer"; the number of bits follows where weights are sliced.
std::string design_text(const PointResult& point);

/// ", 4 bits"; empty at 8, which are whole weights.
std::string bits_text(std::uint32_t bits);

/// ", demand threshold(0.05) (lossy: drops 13.3 % of the gate mass)"; empty where columns ask for all that the router
/// chose.
std::string demand_text(const std::string& demand, const std::optional<Loss>& loss);

/// What of a design is not its batch or depth: "policy static, 12 experts per layer, 4 bits".
std::string cache_text(const PointResult& point);

/// "elmoe3d-8gb with scheme elastic (depth 4, policy lru, 11.4 experts per layer, 4 bits)".
std::string design_text(const HardwareResult& row);

/// What stands between its brackets.
std::string choice_text(const HardwareResult& row);

}  // namespace moecarlo
