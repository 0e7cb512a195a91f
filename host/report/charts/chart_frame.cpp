#include "host/report/charts/chart_frame.hpp"

#include <algorithm>

#include "host/report/charts/palette.hpp"

namespace moecarlo {
namespace {

constexpr double title_size = 17, subtitle_size = 12.5;
constexpr double title_line = 23, subtitle_line = 17, legend_line = 21;

/// Width of the line or box before a legend text.
double sample_width(const LegendEntry& entry) {
  return entry.line ? 26 : 12;
}

double legend_entry_width(const LegendEntry& entry) {
  return sample_width(entry) + 7 + text_width(entry.label, label_size) + 14;
}

/// The legend's entries cut into rows that fit the chart.
std::vector<std::vector<LegendEntry>> legend_rows(const std::vector<LegendEntry>& legend) {
  std::vector<std::vector<LegendEntry>> rows;
  double used = 0;
  for (const LegendEntry& entry : legend) {
    const double width = legend_entry_width(entry);
    if (rows.empty() || used + width > chart_width - 2 * chart_margin) {
      rows.emplace_back();
      used = 0;
    }
    rows.back().push_back(entry);
    used += width;
  }
  return rows;
}

void draw_legend_entry(Svg& svg, const LegendEntry& entry, double x, double y) {
  const double width = sample_width(entry);
  if (entry.line) {
    svg.line({x, y - 4}, {x + width, y - 4}, {entry.colour, 2.4, entry.dashed ? "5 4" : ""});
    if (entry.marker >= 0) svg.marker({x + width / 2, y - 4}, entry.marker, entry.colour);
  } else {
    svg.rectangle({x, y - 10}, width, width, entry.colour);
  }
  svg.text({x + width + 7, y}, entry.label, {label_size, colours::ink});
}

std::vector<std::string> title_lines(const ChartText& text) {
  return wrapped(text.title, title_size * 1.1, chart_width - 2 * chart_margin);
}

std::vector<std::string> subtitle_lines(const ChartText& text) {
  return wrapped(text.subtitle, subtitle_size, chart_width - 2 * chart_margin);
}

}  // namespace

std::string described(const ChartText& text) {
  const std::string axes = text.y_title.empty() ? text.x_title : text.y_title + " by " + text.x_title;
  return text.subtitle.empty() ? axes : text.subtitle + ". " + axes;
}

double header_height(const ChartText& text, const std::vector<LegendEntry>& legend) {
  return 16 + title_line * static_cast<double>(title_lines(text).size()) +
         subtitle_line * static_cast<double>(subtitle_lines(text).size()) +
         legend_line * static_cast<double>(legend_rows(legend).size()) + (legend.empty() ? 0 : 10) +
         (text.y_title.empty() ? 6 : 34);
}

void draw_header(Svg& svg, const ChartText& text, const std::vector<LegendEntry>& legend) {
  double y = 10;
  for (const std::string& line : title_lines(text)) {
    y += title_line;
    svg.text({chart_margin, y}, line, {title_size, colours::ink, Anchor::start, true});
  }
  for (const std::string& line : subtitle_lines(text)) {
    y += subtitle_line;
    svg.text({chart_margin, y + 3}, line, {subtitle_size, colours::muted});
  }
  y += legend.empty() ? 0 : 10;
  for (const auto& row : legend_rows(legend)) {
    y += legend_line;
    double x = chart_margin;
    for (const LegendEntry& entry : row) {
      draw_legend_entry(svg, entry, x, y);
      x += legend_entry_width(entry);
    }
  }
  if (!text.y_title.empty()) svg.text({chart_margin, y + 26}, text.y_title, {label_size, colours::muted});
}

double y_label_width(const Axis& axis) {
  double widest = 0;
  for (const double tick : axis.ticks) widest = std::max(widest, text_width(axis.label(tick), label_size));
  return widest + 10;
}

void draw_y_axis(Svg& svg, const PlotArea& area) {
  for (const double tick : area.y.ticks) {
    const double y = area.at(area.x.low, tick).y;
    svg.line({area.left, y}, {area.right(), y}, {tick == 0 ? colours::axis : colours::grid, 1, ""});
    svg.text({area.left - 10, y + 4}, area.y.label(tick), {label_size, colours::muted, Anchor::end});
  }
}

void draw_x_axis(Svg& svg, const PlotArea& area, const std::string& title) {
  double free_from = 0;
  for (const double tick : area.x.ticks) {
    const double x = area.at(tick, area.y.low).x;
    const std::string label = area.x.label(tick);
    const double half = text_width(label, label_size) / 2;
    svg.line({x, area.bottom()}, {x, area.bottom() + 5}, {colours::axis, 1, ""});
    if (x - half < free_from) continue;
    svg.text({x, area.bottom() + 20}, label, {label_size, colours::muted, Anchor::middle});
    free_from = x + half + 6;
  }
  svg.text({area.left + area.width / 2, area.bottom() + 42}, title, {label_size, colours::muted, Anchor::middle});
}

}  // namespace moecarlo
