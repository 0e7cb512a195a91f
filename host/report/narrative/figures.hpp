#pragma once

#include <optional>
#include <string>
#include <vector>

#include "host/report/charts/chart.hpp"
#include "host/statistics/results.hpp"
#include "host/weights/weight_figures.hpp"

namespace moecarlo {

/// One picture of the report.
struct Figure {
  std::string id;     ///< file name without extension, e.g. "tokens_per_round"
  std::string title;  ///< what it is about
  std::string caption;
  std::string svg;
  Chart chart;  ///< what is drawn
};

/// The figure of a chart, which also gives it its title.
template <class Kind>
Figure figure_of(const std::string& id, const std::string& caption, const Kind& chart) {
  return {id, chart.text.title, caption, draw(chart), chart};
}

/// What was simulated: tokens per round, distinct experts, hit rates, distributions, layers. A figure whose data are
/// not in the results is left out.
std::vector<Figure> simulation_figures(const StudyResults& results);

/// What acceptance speculation needs to pay: by system where there is hardware, else by policy.
std::vector<Figure> speculation_figures(const StudyResults& results);

/// What it is worth: speed-up, energy, time by part, sensitivity. Empty without hardware rows.
std::vector<Figure> hardware_figures(const StudyResults& results);

/// Operations per byte beside the ridge of each unit, and how busy units and memories are, by batch.
std::optional<Figure> use_figure(const StudyResults& results);

/// What rules that drop experts cost a model, and where the study's designs stand; where it names such a curve.
std::optional<Figure> loss_figure(const StudyResults& results);

/// What the bits of weights hold: values, slices, planes, and how well a draft of the upper bits stands for them.
std::vector<Figure> bit_slice_figures(const WeightFigures& weights);

/// Some constants stand on assumptions: they and only they are drawn and listed apart.
bool is_assumed(const std::string& status);

}  // namespace moecarlo
