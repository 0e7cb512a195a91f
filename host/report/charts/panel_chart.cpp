#include "host/report/charts/line_plot.hpp"
#include "host/report/charts/palette.hpp"

namespace moecarlo {
namespace {

constexpr double gap = 28, title_height = 30, panel_height = 160, panel_footer = 54;
constexpr std::size_t columns = 2;

void draw_panel(Svg& svg, const LineChart& panel, const PlotBox& box) {
  svg.text({box.left, box.top + 16}, panel.text.title, {12.5, colours::ink, Anchor::start, true});
  const PlotArea area = line_plot_area(panel, {box.left, box.top + title_height, box.width, panel_height});
  draw_y_axis(svg, area);
  draw_x_axis(svg, area, panel.text.x_title);
  draw_lines(svg, area, panel.series);
}

}  // namespace

std::string draw(const PanelChart& chart) {
  const std::vector<LegendEntry> legend = legend_of(chart.panels.front().series);
  const double top = header_height(chart.text, legend) + 6, height = title_height + panel_height + panel_footer;
  const double width = (chart_width - 2 * chart_margin - gap) / columns;
  const std::size_t rows = (chart.panels.size() + columns - 1) / columns;
  Svg svg(chart_width, top + static_cast<double>(rows) * height, chart.text.title, described(chart.text));
  draw_header(svg, chart.text, legend);
  for (std::size_t i = 0; i < chart.panels.size(); ++i) {
    const std::size_t above = i / columns;
    const auto column = static_cast<double>(i % columns), row = static_cast<double>(above);
    draw_panel(svg, chart.panels[i], {chart_margin + column * (width + gap), top + row * height, width, panel_height});
  }
  return svg.finish();
}

}  // namespace moecarlo
