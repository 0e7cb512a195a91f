#pragma once

#include <nlohmann/json_fwd.hpp>

namespace moecarlo::cli {

/// Name of the workload, for `bench --only`.
constexpr const char* kProjectionName = "hardware rows";

/// Rates of projecting a counted study onto hardware, on one core. A row is a design point (batch, depth, policy) on a
/// system with a scheme, with all its intervals and its breakdown.
struct ProjectionRate {
  std::size_t rows = 0, constants = 0;
  double rows_per_second = 0;       ///< of rows, leads and comparisons, without sensitivities
  double constants_per_second = 0;  ///< of elasticities, whose constants move either way
  double seconds_per_10000 = 0;     ///< of evaluating 10,000 rows, sensitivities included
};

ProjectionRate measure_projection(double seconds);

nlohmann::ordered_json to_json(const ProjectionRate& rate);
void print(const ProjectionRate& rate);

}  // namespace moecarlo::cli
