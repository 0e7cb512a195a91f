#pragma once

#include <vector>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// The values of acceptance.alpha that the points have, ascending, each once; none where acceptance is no such number.
std::vector<double> alphas_of(const StudyResults& results);

/// What of the results is at this alpha, or without a draft. Alpha is a condition and no choice, so that one of these
/// is what the questions of a report are asked of.
StudyResults at_alpha(const StudyResults& results, double alpha);

/// The alpha whose evidence a report shows: the middle one.
double shown_alpha(const std::vector<double>& alphas);

}  // namespace moecarlo
