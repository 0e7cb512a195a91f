#pragma once

#include <cstddef>

#include "host/report/narrative/document.hpp"
#include "host/statistics/results.hpp"
#include "host/weights/weight_figures.hpp"

namespace moecarlo {

/// The tables of a report; one without rows has nothing to show.

Table acceptance_table(const StudyResults& results);  ///< by depth and draft position: marginal and conditional
Table workload_table(const StudyResults& results);    ///< by batch and depth, at the typical policy and capacity
Table hit_rate_table(const StudyResults& results);    ///< by policy, capacity and batch, at the typical depth
Table demand_table(const StudyResults& results);      ///< by demand, at the typical point; empty without demand rules
/// Lossy designs at the typical point on the curve that was measured; empty where the study names none.
Table loss_table(const StudyResults& results);
/// Experts that the demand rule `threshold` would load by theta, where a histogram of gate products tells it.
Table theta_table(const StudyResults& results);
/// What demand rules drop at the typical point, in words; empty where they drop nothing.
std::string what_is_dropped(const StudyResults& results);
Table depths_of_draft_table(
    const StudyResults& results);                   ///< by depth, at the typical point; empty where not asked for
Table prefetch_table(const StudyResults& results);  ///< by layers ahead, at the typical point; empty without [prefetch]
Table prefill_table(const StudyResults& results);   ///< by policy, capacity and demand; empty without [prefill]
Table difference_table(const StudyResults& results);  ///< paired differences, at most 40 of the typical batch and depth
Table fetching_break_even_table(const StudyResults& results);  ///< what a design needs to pay, in experts fetched
Table touching_break_even_table(const StudyResults& results);  ///< the same in experts touched
Table depth_table(const StudyResults& results);                ///< the best depth of a design and the first that pays
Table hardware_break_even_table(const StudyResults& results);  ///< what a system needs to pay, in time
Table control_table(const StudyResults& results,
                    std::size_t point);               ///< by metric: with independent drafts, and paired
Table hardware_table(const StudyResults& results);    ///< the best row of each system, scheme and batch
Table left_out_table(const StudyResults& results);    ///< combinations that cannot be, each with its reason
Table time_table(const StudyResults& results);        ///< where the time of those rows goes
Table bottleneck_table(const StudyResults& results);  ///< which resource holds up each part, on each system's fastest
Table pareto_table(const StudyResults& results);      ///< variants that no other beats; empty without variants
Table use_table(const StudyResults& results);         ///< energy by where its constants come from, what is busy
Table request_table(const StudyResults& results);     ///< time to the first and of an output token; a prompt's energy
Table band_table(const StudyResults& results);        ///< what assumed constants may change; empty where not asked for
Table energy_table(const StudyResults& results);      ///< where their energy goes
Table speed_sensitivity_table(const StudyResults& results);    ///< the largest elasticities of each row
Table energy_sensitivity_table(const StudyResults& results);   ///< the largest elasticities of each row
Table missing_sensitivity_table(const StudyResults& results);  ///< by reason
Table constants_table(const StudyResults& results);            ///< assumed ones first
Table slice_table(const WeightFigures& weights);               ///< by kept bits: what upper and lower slice hold
Table draft_error_table(const WeightFigures& weights);         ///< by kept bits and reading
Table plane_table(const WeightFigures& weights);               ///< by bit
Table measured_table(const StudyResults& results);             ///< nominal sizes and operations beside measured ones
Table trace_table(const StudyResults& results);
Table study_table(const StudyResults& results);  ///< every key of the study, defaults filled in
Table run_table(const StudyResults& results);

}  // namespace moecarlo
