#pragma once

#include <string>
#include <vector>

#include "host/report/charts/axis.hpp"
#include "host/report/charts/chart.hpp"
#include "host/report/charts/svg.hpp"

namespace moecarlo {

inline constexpr double chart_width = 760;
inline constexpr double chart_margin = 24;
inline constexpr double label_size = 12;

/// The rectangle that data are drawn in, in pixels, with the two axes where they are numeric.
struct PlotArea {
  double left = 0, top = 0, width = 0, height = 0;
  Axis x, y;

  double right() const { return left + width; }
  double bottom() const { return top + height; }
  Pixel at(double x_value, double y_value) const {
    return {left + width * x.fraction(x_value), bottom() - height * y.fraction(y_value)};
  }
};

/// The conditions and the axes of a chart, in a sentence.
std::string described(const ChartText& text);

/// Height that title, subtitle, legend and the title of the vertical axis take above the plot.
double header_height(const ChartText& text, const std::vector<LegendEntry>& legend);

/// Draws them.
void draw_header(Svg& svg, const ChartText& text, const std::vector<LegendEntry>& legend);

/// Horizontal grid lines with labels at the left; the zero line is darker.
void draw_y_axis(Svg& svg, const PlotArea& area);

/// Labels below the plot and the axis title; labels that would touch are left out.
void draw_x_axis(Svg& svg, const PlotArea& area, const std::string& title);

/// The space that the labels of a vertical axis need at its left.
double y_label_width(const Axis& axis);

}  // namespace moecarlo
