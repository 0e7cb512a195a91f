#pragma once

#include <filesystem>

#include "host/statistics/results.hpp"

namespace moecarlo::cli {

/// What a command that has results ends with, in at most five lines on stdout: the answer, how sure it is, what decides
/// it, where the report is, and the next command.
void say_answer(const StudyResults& results, const std::filesystem::path& folder);

}  // namespace moecarlo::cli
