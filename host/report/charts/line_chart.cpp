#include <algorithm>
#include <cmath>
#include <iterator>

#include "host/report/charts/line_plot.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr double plot_height = 300, footer_height = 58;

std::vector<LinePoint> finite_points(const LineSeries& series) {
  std::vector<LinePoint> points;
  for (const LinePoint& point : series.points) {
    if (std::isfinite(point.x) && std::isfinite(point.y)) points.push_back(point);
  }
  return points;
}

struct Limits {
  double x_low = INFINITY, x_high = -INFINITY, y_low = 0, y_high = 0;
};

Limits limits_of(const LineChart& chart) {
  Limits limits;
  for (const LineSeries& series : chart.series) {
    for (const LinePoint& point : finite_points(series)) {
      const double reach = std::max(point.whisker, point.band.value_or(0));
      limits.x_low = std::min(limits.x_low, point.x);
      limits.x_high = std::max(limits.x_high, point.x);
      limits.y_low = std::min(limits.y_low, point.y - reach);
      limits.y_high = std::max(limits.y_high, point.y + reach);
    }
  }
  return limits;
}

/// The ground between the line and its floor.
void draw_floor(Svg& svg, const PlotArea& area, const LineSeries& series, const std::vector<LinePoint>& points) {
  std::vector<Pixel> shade;
  for (const LinePoint& point : points) {
    if (!point.floor) return;
    shade.push_back(area.at(point.x, point.y));
  }
  std::transform(points.rbegin(), points.rend(), std::back_inserter(shade),
                 [&](const LinePoint& point) { return area.at(point.x, *point.floor); });
  svg.polygon(shade, series.colour, 0.10);
}

/// The band of each pair of neighbours that both have one; a point that stands alone gets a narrow one.
void draw_bands(Svg& svg, const PlotArea& area, const LineSeries& series, const std::vector<LinePoint>& points) {
  constexpr double half_width = 4, opacity = 0.18;
  const auto has_band = [&](std::size_t i) { return i < points.size() && points[i].band.has_value(); };
  const auto edge = [&](std::size_t i, double side) {
    return area.at(points[i].x, points[i].y + side * *points[i].band);
  };
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!has_band(i)) continue;
    const Pixel top = edge(i, 1), bottom = edge(i, -1);
    if (has_band(i + 1)) {
      svg.polygon({top, edge(i + 1, 1), edge(i + 1, -1), bottom}, series.colour, opacity);
    } else if (i == 0 || !has_band(i - 1)) {
      const double left = std::max(top.x - half_width, area.left), right = std::min(top.x + half_width, area.right());
      svg.polygon({{left, top.y}, {right, top.y}, {right, bottom.y}, {left, bottom.y}}, series.colour, opacity);
    }
  }
}

void draw_whisker(Svg& svg, const PlotArea& area, const LinePoint& point, const std::string& colour) {
  const Pixel high = area.at(point.x, point.y + point.whisker), low = area.at(point.x, point.y - point.whisker);
  const Stroke stroke{colour, 1.4, ""};
  svg.line(high, low, stroke);
  svg.line({high.x - 4, high.y}, {high.x + 4, high.y}, stroke);
  svg.line({low.x - 4, low.y}, {low.x + 4, low.y}, stroke);
}

std::string point_note(const LineSeries& series, const LinePoint& point) {
  std::string note = series.label + ": " + number_text(point.y);
  if (point.whisker > 0) note += " ± " + number_text(point.whisker, 2) + " (simulation)";
  if (point.band) note += " ± " + number_text(*point.band, 2) + " (trace)";
  return note;
}

void draw_line(Svg& svg, const PlotArea& area, const LineSeries& series, const std::vector<LinePoint>& points) {
  std::vector<Pixel> pixels;
  for (const LinePoint& point : points) pixels.push_back(area.at(point.x, point.y));
  svg.polyline(pixels, {series.colour, series.dashed ? 1.6 : 2.4, series.dashed ? "5 4" : ""}, "series");
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].whisker > 0) draw_whisker(svg, area, points[i], series.colour);
    if (series.marker >= 0) svg.marker(pixels[i], series.marker, series.colour, point_note(series, points[i]));
  }
}

}  // namespace

LinePoint line_point(double x, const Estimate& estimate) {
  return {x, estimate.value, estimate.mc_half_width.value_or(0), estimate.trace_half_width, std::nullopt};
}

PlotArea line_plot_area(const LineChart& chart, const PlotBox& box) {
  const Limits limits = limits_of(chart);
  PlotArea area;
  area.y = nice_axis(std::min(0.0, limits.y_low), limits.y_high, static_cast<int>(box.height / 40));
  area.x = tight_axis(limits.x_low, limits.x_high, 10, chart.smallest_x_step);
  area.left = box.left + y_label_width(area.y);
  area.width = box.left + box.width - area.left - 8;
  area.top = box.top;
  area.height = box.height;
  return area;
}

void draw_lines(Svg& svg, const PlotArea& area, const std::vector<LineSeries>& series) {
  svg.plot_area({area.left, area.top}, area.width, area.height);
  for (const LineSeries& one : series) draw_floor(svg, area, one, finite_points(one));
  for (const LineSeries& one : series) draw_bands(svg, area, one, finite_points(one));
  for (const LineSeries& one : series) draw_line(svg, area, one, finite_points(one));
}

std::vector<LegendEntry> legend_of(const std::vector<LineSeries>& series) {
  std::vector<LegendEntry> legend;
  for (const LineSeries& one : series) {
    if (!one.label.empty()) legend.push_back({one.label, one.colour, one.marker, true, one.dashed});
  }
  return legend;
}

std::string draw(const LineChart& chart) {
  const std::vector<LegendEntry> legend = legend_of(chart.series);
  const PlotArea area = line_plot_area(
      chart, {chart_margin, header_height(chart.text, legend), chart_width - 2 * chart_margin, plot_height});
  Svg svg(chart_width, area.bottom() + footer_height, chart.text.title, described(chart.text));
  draw_header(svg, chart.text, legend);
  draw_y_axis(svg, area);
  draw_x_axis(svg, area, chart.text.x_title);
  draw_lines(svg, area, chart.series);
  return svg.finish();
}

}  // namespace moecarlo
