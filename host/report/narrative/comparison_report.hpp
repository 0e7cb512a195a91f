#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/statistics/comparison.hpp"

namespace moecarlo {

/// The rows that a reader is shown first: speeds where there is hardware, else tokens per round and hit rates; those
/// furthest from 1 where there are more than `most`, in the order of the comparison.
std::vector<const ComparedRow*> shown_rows(const Comparison& comparison, std::size_t most);

/// In at most five lines: what was compared, how the ratios spread, how many intervals hold 1, whether paired.
std::vector<std::string> comparison_answer(const Comparison& comparison);

/// "xpu eagle, batch 4, depth 2, lru, 8 experts per layer"
std::string design_text(const ComparedDesign& design);

/// All of the first against each other: report.html, report.md, their figure, comparison.csv and comparison.json.
void write_comparison(const std::vector<Comparison>& comparisons, const std::filesystem::path& directory);

/// Rows of all comparisons and what each is paired by, as `--json` prints it.
std::string comparison_json(const std::vector<Comparison>& comparisons);

}  // namespace moecarlo
