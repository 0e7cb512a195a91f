#include "host/report/narrative/controls.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {

Table control_table(const StudyResults& results, std::size_t point) {
  Table table{"At " + design_text(results.points.at(point)) + ". Value ± simulation ± trace",
              {"metric", "independent", "paired", "error", "error, %"},
              1,
              {}};
  for (const ControlResult& control : results.controls) {
    if (control.point != point) continue;
    const MetricResult* paired = find_metric(&results.points[point], control.metric);
    table.rows.push_back({in_words(control.metric), estimate_cell(control.independent),
                          paired ? estimate_cell(paired->estimate) : "n/a", estimate_cell(control.error),
                          estimate_cell(relative_error(results, control))});
  }
  return table;
}

}  // namespace moecarlo
