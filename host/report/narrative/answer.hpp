#pragma once

#include <string>
#include <vector>

#include "host/report/narrative/document.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

/// The study's answer in plain words, a paragraph each: what was simulated, what a verification pass asks of memory,
/// what a round yields, what it is worth, how sure that is. Sentences whose numbers are missing are left out.
std::vector<std::string> answer(const StudyResults& results);

/// The numbers a reader takes away.
std::vector<KeyFigure> key_figures(const StudyResults& results);

}  // namespace moecarlo
