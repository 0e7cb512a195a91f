#pragma once

#include <string>
#include <vector>

#include "host/simulate/tallies.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

/// Where results lack an interval: one sentence for each kind, with the reason and, where more would help, how many
/// trajectories would do.
std::vector<std::string> interval_notes(const Tallies& tallies, const StudyResults& results);

}  // namespace moecarlo
