#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/pipeline/expert_parallel.hpp"

namespace moecarlo {

/// All figures of all points, as `moecarlo parallel --json` prints them.
nlohmann::ordered_json parallel_json(const ParallelAnswer& answer, const ParallelQuestion& question);

/// "1.2 ±0.01 ±0.03": simulation, trace; exact ones have neither, "?" is not known.
std::string with_errors(const Estimate& estimate);

/// In at most five lines: how uneven devices are, what the busiest link carries, what holds a layer up, what serves
/// rejected tokens.
std::vector<std::string> parallel_answer(const ParallelAnswer& answer, const ParallelQuestion& question);

/// Writes report.html, report.md, figures (loads by layer and device, the tail of the maximum, links of a mesh, phases
/// of a layer) and parallel.json into a folder. `of_what`: the loads, in a sentence.
void write_parallel_report(const ParallelAnswer& answer, const ParallelQuestion& question, const std::string& of_what,
                           const std::filesystem::path& directory);

}  // namespace moecarlo
