#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
constexpr std::size_t most_lines = 8;

/// What speculation gains by depth, of one design.
struct NamedLine {
  std::string label;
  std::map<std::uint32_t, Estimate> gains;

  double best() const {
    double most = -std::numeric_limits<double>::infinity();
    for (const auto& [depth, gain] : gains) most = std::max(most, gain.value);
    return most;
  }
};

NamedLine& line_of(std::vector<NamedLine>& lines, const std::string& label) {
  const auto known = std::find_if(lines.begin(), lines.end(), [&](const auto& line) { return line.label == label; });
  return known != lines.end() ? *known : lines.emplace_back(NamedLine{label, {}});
}

/// One line a system, scheme and number of bits, under the typical policy. Of many those of the largest gains.
std::vector<NamedLine> system_lines(const StudyResults& results, const PointResult& typical) {
  std::vector<NamedLine> lines;
  for (const HardwareResult& row : results.hardware) {
    if (row.batch != typical.batch || row.policy != typical.policy || row.is_variant()) continue;
    if (!row.speedup_over_autoregressive || !std::isfinite(row.speedup_over_autoregressive->value)) continue;
    const std::string label =
        fmt::format("{} {}, {} experts{}", row.system, row.scheme, number_text(row.capacity), bits_text(row.bits));
    line_of(lines, label).gains[row.depth] = *row.speedup_over_autoregressive;
  }
  if (lines.size() <= most_lines) return lines;
  std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) { return a.best() > b.best(); });
  lines.resize(most_lines);
  return lines;
}

/// One line a policy, counted in experts fetched at the typical capacity.
std::vector<NamedLine> policy_lines(const StudyResults& results, const PointResult& typical) {
  std::vector<NamedLine> lines;
  for (const BreakEvenResult* row : shown_break_even(results, "misses", all)) {
    const PointResult& point = results.points.at(row->point);
    if (point.batch != typical.batch || point.capacity != typical.capacity || !std::isfinite(row->utility.value))
      continue;
    line_of(lines, point.policy).gains[point.depth] = row->utility;
  }
  return lines;
}

LineSeries break_even_line(const StudyResults& results) {
  LineSeries series{"neither gain nor loss", colours::ink, -1, true, {}};
  for (const std::uint32_t depth : depths_of(results)) {
    if (depth > 0) series.points.push_back(line_point(depth, {1, std::nullopt, std::nullopt}));
  }
  return series;
}

LineChart chart_of(const std::vector<NamedLine>& lines) {
  LineChart chart;
  chart.smallest_x_step = 1;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    LineSeries series{lines[i].label, category_colour(i), static_cast<int>(i), false, {}};
    for (const auto& [depth, gain] : lines[i].gains) series.points.push_back(line_point(depth, gain));
    chart.series.push_back(series);
  }
  return chart;
}

}  // namespace

std::vector<Figure> speculation_figures(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  std::vector<NamedLine> lines = system_lines(results, *typical);
  const bool in_time = !lines.empty();
  if (!in_time) lines = policy_lines(results, *typical);
  if (lines.empty()) return {};
  LineChart chart = chart_of(lines);
  chart.series.push_back(break_even_line(results));
  const std::string conditions =
      in_time
          ? fmt::format("Batch {}, policy {}, against the same system and scheme without a draft{}. {}", typical->batch,
                        typical->policy,
                        lines.size() == most_lines ? fmt::format("; at most {} lines", most_lines) : "", intervals_note)
          : fmt::format("Batch {}, {} experts per layer{}, counted in experts fetched. {}", typical->batch,
                        number_text(typical->capacity), bits_text(typical->bits), intervals_note);
  chart.text = {"What speculation gains", conditions, "draft depth",
                in_time ? "times as fast as without a draft" : "tokens for what is fetched, as a multiple"};
  return {figure_of("break_even",
                    "Speculation pays where a solid line lies above the dashed one by more than its interval.", chart)};
}

}  // namespace moecarlo
