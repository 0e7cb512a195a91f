#pragma once

#include "host/report/results/summary.hpp"
#include "host/statistics/results.hpp"

namespace moecarlo {

/// Results of no simulation: smooth invented numbers in the shape of a real study (24 layers, 32 experts, four batches,
/// six depths, two policies, five capacities, three systems). For tests of layout only; nothing may be concluded from
/// them.
StudyResults sample_results();

/// A study without points, hardware or anything else but its name.
StudyResults empty_results();

/// The whole of summary.json.
inline std::string summary_json(const StudyResults& results) {
  return collected([&](const TextSink& sink) { write_summary(results, sink); });
}

}  // namespace moecarlo
