#pragma once

#include <filesystem>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Writes the whole report into `directory`, which is made if it is not there: summary.json, points.csv, hardware.csv,
/// report.md, report.html and figures/ID.svg with PNG copies. Each file appears whole or not at all.
/// Throws Error(machine) where the disk fails.
void write_report(const StudyResults& results, const std::filesystem::path& directory);

}  // namespace moecarlo
