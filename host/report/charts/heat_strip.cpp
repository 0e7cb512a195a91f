#include <algorithm>
#include <cmath>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/chart_frame.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr double row_height = 30, row_gap = 4, strip_footer = 96;
constexpr double cell_text_size = 10;

struct Range {
  double low = INFINITY, high = -INFINITY;
  double share(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

Range range_of(const HeatStrip& chart) {
  Range range;
  for (const HeatRow& row : chart.rows) {
    for (const double value : row.values) {
      if (!std::isfinite(value)) continue;
      range.low = std::min(range.low, value);
      range.high = std::max(range.high, value);
    }
  }
  return range;
}

PlotArea plot_area(const HeatStrip& chart, double top) {
  std::size_t columns = 0;
  double label_width = 0;
  for (const HeatRow& row : chart.rows) {
    columns = std::max(columns, row.values.size());
    label_width = std::max(label_width, text_width(row.label, label_size) + 12);
  }
  PlotArea area;
  area.x = category_axis(columns);
  area.left = chart_margin + label_width;
  area.width = chart_width - chart_margin - area.left;
  area.top = top;
  area.height = static_cast<double>(chart.rows.size()) * (row_height + row_gap);
  return area;
}

void draw_row(Svg& svg, const HeatStrip& chart, const PlotArea& area, const HeatRow& row, const Range& range,
              double top) {
  const double step = area.width / (area.x.high - area.x.low);
  svg.text({area.left - 10, top + row_height / 2 + 4}, row.label, {label_size, colours::muted, Anchor::end});
  for (std::size_t column = 0; column < row.values.size(); ++column) {
    const double value = row.values[column], share = range.share(value);
    if (!std::isfinite(value)) continue;
    const double left = area.left + step * static_cast<double>(column);
    const std::string text = number_text(value, 2);
    svg.rectangle({left + 0.5, top}, step - 1, row_height, scale_colour(share),
                  row.label + ", " + chart.text.x_title + " " + std::to_string(column) + ": " + number_text(value));
    if (text_width(text, cell_text_size) > step - 2) continue;
    svg.text({left + step / 2, top + row_height / 2 + 3.5}, text,
             {cell_text_size, readable_on_scale(share), Anchor::middle});
  }
}

void draw_colour_scale(Svg& svg, const HeatStrip& chart, const PlotArea& area, const Range& range) {
  constexpr double width = 180, height = 10;
  constexpr int steps = 36;
  const double left = area.right() - width - 60, top = area.bottom() + 62;
  for (int i = 0; i < steps; ++i) {
    svg.rectangle({left + width * i / steps, top}, width / steps + 0.6, height, scale_colour((i + 0.5) / steps));
  }
  const std::string low = number_text(range.low, 3);
  svg.text({left - 8, top + 9.5}, low, {label_size, colours::muted, Anchor::end});
  svg.text({left - 22 - text_width(low, label_size), top + 9.5}, chart.value_title,
           {label_size, colours::muted, Anchor::end});
  svg.text({left + width + 8, top + 9.5}, number_text(range.high, 3), {label_size, colours::muted});
}

}  // namespace

std::string draw(const HeatStrip& chart) {
  const Range range = range_of(chart);
  const PlotArea area = plot_area(chart, header_height(chart.text, {}));
  Svg svg(chart_width, area.bottom() + strip_footer, chart.text.title, described(chart.text));
  draw_header(svg, chart.text, {});
  draw_x_axis(svg, area, chart.text.x_title);
  svg.plot_area({area.left, area.top}, area.width, area.height);
  double top = area.top;
  for (const HeatRow& row : chart.rows) {
    draw_row(svg, chart, area, row, range, top);
    top += row_height + row_gap;
  }
  draw_colour_scale(svg, chart, area, range);
  return svg.finish();
}

}  // namespace moecarlo
