#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "host/statistics/estimate.hpp"

namespace moecarlo {

/// The kinds of chart of a report, as plain values, and their drawing as SVG. Values in the data's own units; the
/// axes choose nice limits that include every value with its intervals, and zero unless said otherwise. Values that are
/// not finite are left out.

struct ChartText {
  std::string title;     ///< what the chart is about
  std::string subtitle;  ///< under which conditions
  std::string x_title, y_title;
};

struct LinePoint {
  double x = 0, y = 0;
  double whisker = 0;           ///< half-width drawn as an error bar, 0 = none
  std::optional<double> band;   ///< half-width drawn as a shaded band, which breaks off where it is not known
  std::optional<double> floor;  ///< the ground between `floor` and `y` is shaded
};

struct LineSeries {
  std::string label;  ///< empty: not in the legend
  std::string colour;
  int marker = -1;  ///< shape, see Svg::marker; -1 = none
  bool dashed = false;
  std::vector<LinePoint> points;  ///< ascending in x
};

struct LineChart {
  ChartText text;
  std::vector<LineSeries> series;
  double smallest_x_step = 0;  ///< 1 where x counts something
};

/// Plots in two columns over the same conditions, with one legend: that of the first. The title of a plot is its text's
/// title.
struct PanelChart {
  ChartText text;
  std::vector<LineChart> panels;
};

/// What error bars and bands of line charts are.
inline constexpr const char* intervals_note = "Error bars: 95 % simulation interval; bands: 95 % trace interval.";

LinePoint line_point(double x, const Estimate& estimate);

struct LegendEntry {
  std::string label, colour;
  int marker = -1;    ///< as in LineSeries
  bool line = false;  ///< a line sample instead of a box
  bool dashed = false;
};

struct BarSegment {
  double value = 0;
  std::string colour;
  std::string note;  ///< shown by a browser
};

/// One horizontal bar: segments are stacked from zero (a single one may be negative).
struct Bar {
  std::string label;  ///< left of the bar, may be empty
  std::vector<BarSegment> segments;
  double whisker = 0, outer_whisker = 0;  ///< half-widths around the end: thick and thin, 0 = none
  std::string note;                       ///< written right of the bar
};

struct BarGroup {
  std::string label;
  std::vector<Bar> bars;
};

struct BarChart {
  ChartText text;
  std::vector<LegendEntry> legend;
  std::vector<BarGroup> groups;
  std::optional<double> reference;  ///< a vertical line at this value
};

struct ColumnSeries {
  std::string label, colour;
  std::vector<double> values;  ///< of category 0, 1, 2, ...
};

/// Vertical columns over whole numbers, the series stacked.
struct ColumnChart {
  ChartText text;
  std::vector<ColumnSeries> series;
};

struct HeatRow {
  std::string label;
  std::vector<double> values;
};

/// A strip of coloured cells a row; the scale runs from the smallest to the largest value.
struct HeatStrip {
  ChartText text;
  std::vector<HeatRow> rows;
  std::string value_title;  ///< of the colour scale
};

using Chart = std::variant<LineChart, PanelChart, BarChart, ColumnChart, HeatStrip>;

std::string draw(const LineChart& chart);
std::string draw(const PanelChart& chart);
std::string draw(const BarChart& chart);
std::string draw(const ColumnChart& chart);
std::string draw(const HeatStrip& chart);

}  // namespace moecarlo
