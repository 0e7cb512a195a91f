#pragma once

#include <string>

#include "host/pipeline/stored_study.hpp"
#include "host/statistics/comparison.hpp"

namespace moecarlo {

/// Every figure that both studies have of the same design: metrics by batch, depth, policy and capacity, hardware rows
/// by system, scheme, batch, depth, policy and bits; by alpha too where one of them has several. Paired where trace,
/// seed, mode and walk are the same: then the interval is that of the ratio of both in each group of trajectories.
Comparison compare_studies(const std::string& name_a, const StoredStudy& a, const std::string& name_b,
                           const StoredStudy& b);

/// The hardware rows of two systems of one study, which are always paired. Throws usage where it has no row of one.
Comparison compare_systems(const StoredStudy& study, const std::string& system_a, const std::string& system_b);

}  // namespace moecarlo
