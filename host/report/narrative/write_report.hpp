#pragma once

#include <filesystem>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// Writes the whole report into `directory`, which is there: points.csv, hardware.csv, sensitivity.csv, report.md,
/// report.html, figures/ID.svg with PNG copies and, last, summary.json. Each file appears whole or not at all.
/// Throws Error(machine) where the disk fails.
void write_report(const StudyResults& results, const std::filesystem::path& directory);

}  // namespace moecarlo
