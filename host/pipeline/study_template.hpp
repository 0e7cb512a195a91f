#pragma once

#include <string>

#include "host/trace/trace_reader.hpp"

namespace moecarlo {

/// A commented study file that fits a trace and runs as it is: what the trace says of acceptance, or a guess that is
/// called one; capacities of 1, 2, 4 and 8 tokens' choices; a depth and a share of calibration that its sequences leave
/// room for. `trace`: its path as the study names it. `study`: the study file's own name, for the comments.
std::string study_for(const TraceReader& reader, const std::string& trace, const std::string& study);

}  // namespace moecarlo
