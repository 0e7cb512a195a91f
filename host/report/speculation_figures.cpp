#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "host/report/chart.hpp"
#include "host/report/figures.hpp"
#include "host/report/number_text.hpp"
#include "host/report/palette.hpp"
#include "host/report/selection.hpp"
#include "host/report/speculation.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

/// Needed acceptance by depth of one line.
using NeededByDepth = std::map<std::uint32_t, Estimate>;

struct NamedLine {
  std::string label;
  NeededByDepth needed;
};

NeededByDepth& line_of(std::vector<NamedLine>& lines, const std::string& label) {
  const auto known = std::find_if(lines.begin(), lines.end(), [&](const auto& line) { return line.label == label; });
  if (known != lines.end()) return known->needed;
  return lines.emplace_back(NamedLine{label, {}}).needed;
}

/// One line a system, each depth at the scheme and policy that need least.
std::vector<NamedLine> system_lines(const StudyResults& results, std::uint32_t batch) {
  std::vector<NamedLine> lines;
  for (const HardwareResult* row : shown_hardware_break_even(results, all)) {
    if (row->batch != batch) continue;
    const Estimate needed{*row->break_even_acceptance, std::nullopt, std::nullopt};
    const auto [place, is_new] = line_of(lines, row->system).try_emplace(row->depth, needed);
    if (!is_new && needed.value < place->second.value) place->second = needed;
  }
  return lines;
}

/// One line a policy, counted in experts fetched at the typical capacity. Acceptance is (tokens - 1) / depth, so its
/// intervals are those of the tokens / depth.
std::vector<NamedLine> policy_lines(const StudyResults& results, const PointResult& typical) {
  std::vector<NamedLine> lines;
  for (const BreakEvenResult* row : shown_break_even(results, "misses", all)) {
    const PointResult& point = results.points.at(row->point);
    if (point.batch != typical.batch || point.capacity != typical.capacity) continue;
    Estimate needed = scaled(row->needed_tokens, 1.0 / point.depth);
    needed.value = row->needed_acceptance;
    line_of(lines, point.policy)[point.depth] = needed;
  }
  return lines;
}

LineSeries reference_line(const StudyResults& results, std::uint32_t batch) {
  LineSeries series{"the study's acceptance", colours::ink, -1, true, {}};
  for (const std::uint32_t depth : depths_of(results)) {
    if (depth == 0) continue;
    series.points.push_back(
        line_point(depth, {study_acceptance(results, batch, depth).value, std::nullopt, std::nullopt}));
  }
  return series;
}

LineChart chart_of(const std::vector<NamedLine>& lines) {
  LineChart chart;
  chart.smallest_x_step = 1;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    LineSeries series{lines[i].label, category_colour(i), static_cast<int>(i), false, {}};
    for (const auto& [depth, needed] : lines[i].needed) series.points.push_back(line_point(depth, needed));
    chart.series.push_back(series);
  }
  return chart;
}

}  // namespace

std::vector<Figure> speculation_figures(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  std::vector<NamedLine> lines = system_lines(results, typical->batch);
  const bool in_time = !lines.empty();
  if (!in_time) lines = policy_lines(results, *typical);
  if (lines.empty()) return {};
  LineChart chart = chart_of(lines);
  chart.series.push_back(reference_line(results, typical->batch));
  const std::string conditions =
      in_time ? fmt::format("Batch {}, in time; each system at the scheme and policy that need least.", typical->batch)
              : fmt::format("Batch {}, {} experts per layer, counted in experts fetched. {}", typical->batch,
                            number_text(typical->capacity), intervals_note);
  chart.text = {"Acceptance that speculation needs to pay", conditions, "draft depth", "accepted length / depth"};
  return {{"break_even", chart.text.title,
           "Speculation pays where a solid line lies below the dashed one, which is what the study's drafts reach. A "
           "line above 1 asks for more than every draft token accepted.",
           draw(chart)}};
}

}  // namespace moecarlo
