#pragma once

#include <string>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// The error of a control in per cent of the paired value; NaN where that is not known or 0.
Estimate relative_error(const StudyResults& results, const ControlResult& control);

/// The control of the largest relative error, of those beyond their intervals if there are any. Null without controls
/// that have one.
const ControlResult* largest_error(const StudyResults& results);

/// "rejected_only" -> "rejected only".
std::string in_words(std::string metric);

}  // namespace moecarlo
