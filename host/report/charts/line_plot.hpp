#pragma once

#include <vector>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/chart_frame.hpp"

namespace moecarlo {

/// What charts that draw lines share.

/// The space that a plot and the labels at its left may take, in pixels.
struct PlotBox {
  double left = 0, top = 0, width = 0, height = 0;
};

/// The plot inside `box` whose axes hold every point with its intervals, and zero at the bottom or above it.
PlotArea line_plot_area(const LineChart& chart, const PlotBox& box);

/// Lines with their grounds, bands, whiskers and markers.
void draw_lines(Svg& svg, const PlotArea& area, const std::vector<LineSeries>& series);

/// The series that have a label.
std::vector<LegendEntry> legend_of(const std::vector<LineSeries>& series);

}  // namespace moecarlo
