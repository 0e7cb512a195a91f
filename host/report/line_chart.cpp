#include <algorithm>
#include <cmath>

#include "host/report/chart.hpp"
#include "host/report/chart_frame.hpp"
#include "host/report/number_text.hpp"
#include "host/report/palette.hpp"

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
      const double reach = std::max(point.whisker, point.band);
      limits.x_low = std::min(limits.x_low, point.x);
      limits.x_high = std::max(limits.x_high, point.x);
      limits.y_low = std::min(limits.y_low, point.y - reach);
      limits.y_high = std::max(limits.y_high, point.y + reach);
    }
  }
  return limits;
}

std::vector<LegendEntry> legend_of(const LineChart& chart) {
  std::vector<LegendEntry> legend;
  for (const LineSeries& series : chart.series) {
    if (!series.label.empty()) legend.push_back({series.label, series.colour, series.marker, true, series.dashed});
  }
  return legend;
}

PlotArea plot_area(const LineChart& chart, double top) {
  const Limits limits = limits_of(chart);
  PlotArea area;
  area.y = nice_axis(std::min(0.0, limits.y_low), limits.y_high, 7);
  area.x = tight_axis(limits.x_low, limits.x_high, 10, chart.smallest_x_step);
  area.left = chart_margin + y_label_width(area.y);
  area.width = chart_width - chart_margin - area.left - 8;
  area.top = top;
  area.height = plot_height;
  return area;
}

void draw_shades(Svg& svg, const PlotArea& area, const LineSeries& series, const std::vector<LinePoint>& points) {
  std::vector<Pixel> band, shade;
  const bool has_band = std::any_of(points.begin(), points.end(), [](const LinePoint& p) { return p.band > 0; });
  const bool has_floor =
      std::all_of(points.begin(), points.end(), [](const LinePoint& p) { return p.floor.has_value(); });
  for (const LinePoint& point : points) {
    band.push_back(area.at(point.x, point.y + point.band));
    shade.push_back(area.at(point.x, point.y));
  }
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    band.push_back(area.at(point->x, point->y - point->band));
    if (point->floor) shade.push_back(area.at(point->x, *point->floor));
  }
  if (has_floor) svg.polygon(shade, series.colour, 0.10);
  if (has_band) svg.polygon(band, series.colour, 0.16);
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
  if (point.band > 0) note += " ± " + number_text(point.band, 2) + " (trace)";
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

std::string draw(const LineChart& chart) {
  const std::vector<LegendEntry> legend = legend_of(chart);
  const PlotArea area = plot_area(chart, header_height(chart.text, legend));
  Svg svg(chart_width, area.bottom() + footer_height, chart.text.title);
  draw_header(svg, chart.text, legend);
  draw_y_axis(svg, area);
  draw_x_axis(svg, area, chart.text.x_title);
  svg.plot_area({area.left, area.top}, area.width, area.height);
  for (const LineSeries& series : chart.series) draw_shades(svg, area, series, finite_points(series));
  for (const LineSeries& series : chart.series) draw_line(svg, area, series, finite_points(series));
  return svg.finish();
}

}  // namespace moecarlo
