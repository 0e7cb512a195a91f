#include <algorithm>
#include <cmath>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/chart_frame.hpp"
#include "host/report/charts/palette.hpp"

namespace moecarlo {
namespace {

constexpr double bar_height = 15, bar_gap = 4, group_gap = 16, bar_footer = 58;
constexpr double note_size = 11;

double end_of(const Bar& bar) {
  double end = 0;
  for (const BarSegment& segment : bar.segments) end += std::isfinite(segment.value) ? segment.value : 0;
  return end;
}

double reach_of(const Bar& bar) {
  return std::max(bar.whisker, bar.outer_whisker);
}

double plot_height(const BarChart& chart) {
  double height = 0;
  for (const BarGroup& group : chart.groups) {
    height += static_cast<double>(group.bars.size()) * (bar_height + bar_gap) + group_gap;
  }
  return height;
}

struct Widths {
  double group = 0, bar = 0, note = 0;
};

Widths widths_of(const BarChart& chart) {
  Widths widths;
  for (const BarGroup& group : chart.groups) {
    widths.group = std::max(widths.group, text_width(group.label, label_size, true) + 12);
    for (const Bar& bar : group.bars) {
      widths.bar = std::max(widths.bar, bar.label.empty() ? 0 : text_width(bar.label, label_size) + 10);
      widths.note = std::max(widths.note, bar.note.empty() ? 0 : text_width(bar.note, note_size) + 12);
    }
  }
  return widths;
}

PlotArea plot_area(const BarChart& chart, const Widths& widths, double top) {
  double low = 0, high = chart.reference.value_or(0);
  for (const BarGroup& group : chart.groups) {
    for (const Bar& bar : group.bars) {
      low = std::min(low, end_of(bar) - reach_of(bar));
      high = std::max(high, end_of(bar) + reach_of(bar));
    }
  }
  PlotArea area;
  area.x = nice_axis(low, high, 8);
  area.left = chart_margin + widths.group + widths.bar;
  area.width = chart_width - chart_margin - 8 - widths.note - area.left;
  area.top = top;
  area.height = plot_height(chart);
  return area;
}

void draw_grid(Svg& svg, const BarChart& chart, const PlotArea& area) {
  for (const double tick : area.x.ticks) {
    const double x = area.at(tick, 0).x;
    svg.line({x, area.top}, {x, area.bottom()}, {tick == 0 ? colours::axis : colours::grid, 1, ""});
  }
  if (!chart.reference) return;
  const double x = area.at(*chart.reference, 0).x;
  svg.line({x, area.top}, {x, area.bottom()}, {colours::ink, 1.2, "3 3"});
}

void draw_whisker(Svg& svg, const PlotArea& area, double centre, double half_width, double y, double width,
                  double cap) {
  if (half_width <= 0) return;
  const double from = area.at(centre - half_width, 0).x, to = area.at(centre + half_width, 0).x;
  const Stroke stroke{colours::ink, width, ""};
  svg.line({from, y}, {to, y}, stroke);
  svg.line({from, y - cap}, {from, y + cap}, stroke);
  svg.line({to, y - cap}, {to, y + cap}, stroke);
}

void draw_bar(Svg& svg, const PlotArea& area, const Bar& bar, double top) {
  double from = 0;
  for (const BarSegment& segment : bar.segments) {
    if (!std::isfinite(segment.value) || segment.value == 0) continue;
    const double to = from + segment.value;
    const double left = area.at(std::min(from, to), 0).x, right = area.at(std::max(from, to), 0).x;
    svg.rectangle({left, top}, right - left, bar_height, segment.colour, segment.note);
    from = to;
  }
  const double middle = top + bar_height / 2, end = end_of(bar);
  draw_whisker(svg, area, end, bar.outer_whisker, middle, 1, 4);
  draw_whisker(svg, area, end, bar.whisker, middle, 2.2, 2.5);
  const double rightmost = area.at(std::max(0.0, end + reach_of(bar)), 0).x;
  svg.text({rightmost + 7, middle + 4}, bar.note, {note_size, colours::muted});
  svg.text({area.left - 10, middle + 4}, bar.label, {label_size, colours::muted, Anchor::end});
}

}  // namespace

std::string draw(const BarChart& chart) {
  const Widths widths = widths_of(chart);
  const PlotArea area = plot_area(chart, widths, header_height(chart.text, chart.legend));
  Svg svg(chart_width, area.bottom() + bar_footer, chart.text.title, described(chart.text));
  draw_header(svg, chart.text, chart.legend);
  draw_grid(svg, chart, area);
  draw_x_axis(svg, area, chart.text.x_title);
  svg.plot_area({area.left, area.top}, area.width, area.height);
  double y = area.top;
  for (const BarGroup& group : chart.groups) {
    y += group_gap / 2;
    svg.text({chart_margin, y + bar_height / 2 + 4}, group.label, {label_size, colours::ink, Anchor::start, true});
    for (const Bar& bar : group.bars) {
      draw_bar(svg, area, bar, y);
      y += bar_height + bar_gap;
    }
    y += group_gap / 2;
  }
  return svg.finish();
}

}  // namespace moecarlo
