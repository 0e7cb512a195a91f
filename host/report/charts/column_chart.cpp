#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/chart_frame.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr double column_height = 280, column_footer = 58, total_size = 11;

std::size_t categories_of(const ColumnChart& chart) {
  std::size_t count = 0;
  for (const ColumnSeries& series : chart.series) count = std::max(count, series.values.size());
  return count;
}

double value_of(const ColumnSeries& series, std::size_t category) {
  const bool known = category < series.values.size() && std::isfinite(series.values[category]);
  return known ? series.values[category] : 0;
}

PlotArea plot_area(const ColumnChart& chart, double top) {
  double high = 0;
  for (std::size_t category = 0; category < categories_of(chart); ++category) {
    double stack = 0;
    for (const ColumnSeries& series : chart.series) stack += value_of(series, category);
    high = std::max(high, stack);
  }
  PlotArea area;
  area.y = nice_axis(0, 1.06 * high, 7);
  area.x = category_axis(categories_of(chart));
  area.left = chart_margin + y_label_width(area.y);
  area.width = chart_width - chart_margin - area.left - 8;
  area.top = top;
  area.height = column_height;
  return area;
}

void draw_column(Svg& svg, const ColumnChart& chart, const PlotArea& area, std::size_t category) {
  const auto x = static_cast<double>(category);
  const double step = area.width / (area.x.high - area.x.low);
  const double width = std::min(0.78 * step, 56.0);
  double from = 0;
  for (const ColumnSeries& series : chart.series) {
    const double value = value_of(series, category);
    const Pixel top = area.at(x, from + value), bottom = area.at(x, from);
    const std::string name = series.label.empty() ? chart.text.y_title : series.label;
    if (value > 0) {
      svg.rectangle({top.x - width / 2, top.y}, width, bottom.y - top.y, series.colour,
                    name + ": " + number_text(value));
    }
    from += value;
  }
  const std::string total = fmt::format("{:.1f}", from);
  if (chart.series.size() > 1 || text_width(total, total_size) > width) return;
  svg.text({area.at(x, from).x, area.at(x, from).y - 6}, total, {total_size, colours::muted, Anchor::middle});
}

}  // namespace

std::string draw(const ColumnChart& chart) {
  std::vector<LegendEntry> legend;
  for (const ColumnSeries& series : chart.series) {
    if (!series.label.empty()) legend.push_back({series.label, series.colour});
  }
  const PlotArea area = plot_area(chart, header_height(chart.text, legend));
  Svg svg(chart_width, area.bottom() + column_footer, chart.text.title, described(chart.text));
  draw_header(svg, chart.text, legend);
  draw_y_axis(svg, area);
  draw_x_axis(svg, area, chart.text.x_title);
  svg.plot_area({area.left, area.top}, area.width, area.height);
  for (std::size_t category = 0; category < categories_of(chart); ++category) draw_column(svg, chart, area, category);
  return svg.finish();
}

}  // namespace moecarlo
