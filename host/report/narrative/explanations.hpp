#pragma once

#include <string>

#include "host/statistics/results.hpp"

namespace moecarlo {

/// A paragraph for each part of the report whose figures do not explain themselves; empty where the results hold
/// nothing to explain.

std::string oracle_explanation(const StudyResults& results);
/// Also says why there is nothing to compare with, for a study that drafts.
std::string break_even_explanation(const StudyResults& results);
/// What independence is, and where it is furthest from the truth.
std::string independence_explanation(const StudyResults& results);

}  // namespace moecarlo
