#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/figures.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t kMostSystems = 6;  // in one figure

/// The fastest row of a system at each batch, of those with a draft or of those without.
std::map<std::uint32_t, const HardwareResult*> fastest_by_batch(const StudyResults& results, const std::string& system,
                                                                bool drafting) {
  std::map<std::uint32_t, const HardwareResult*> fastest;
  for (const HardwareResult& row : results.hardware) {
    if (row.system != system || (row.depth > 0) != drafting) continue;
    const HardwareResult*& known = fastest[row.batch];
    if (known == nullptr || row.tokens_per_second.value > known->tokens_per_second.value) known = &row;
  }
  return fastest;
}

/// Two lines a system in its colour: solid with a draft, dashed without. `value` is none where a row has no such thing.
template <class Value>
void add_lines(LineChart& chart, const StudyResults& results, const std::vector<std::string>& systems,
               const Value& value) {
  for (std::size_t s = 0; s < systems.size(); ++s) {
    for (const bool drafting : {true, false}) {
      LineSeries line{systems[s] + (drafting ? ", with a draft" : ", without"),
                      category_colour(s),
                      drafting ? static_cast<int>(s) : -1,
                      !drafting,
                      {}};
      for (const auto& [batch, row] : fastest_by_batch(results, systems[s], drafting)) {
        if (const std::optional<double> y = value(*row)) line.points.push_back({double{1} * batch, *y, 0, {}, {}});
      }
      if (!line.points.empty()) chart.series.push_back(std::move(line));
    }
  }
}

LineChart intensity_panel(const StudyResults& results, const std::vector<std::string>& systems) {
  LineChart chart;
  chart.text = {"Operations per byte read, log10, and ridges", "", "batch", "log10 of operations per byte"};
  add_lines(chart, results, systems, [](const HardwareResult& row) -> std::optional<double> {
    if (!(row.operations_per_byte > 0)) return std::nullopt;
    return std::log10(row.operations_per_byte);
  });
  std::set<double> batches;
  for (const HardwareResult& row : results.hardware) batches.insert(row.batch);
  for (std::size_t s = 0; s < systems.size(); ++s) {
    const auto ridges = results.ridges.find(systems[s]);
    if (ridges == results.ridges.end()) continue;
    for (const auto& [unit, ridge] : ridges->second) {
      LineSeries line{"", category_colour(s), -1, true, {}};
      for (const double batch : batches) line.points.push_back({batch, std::log10(ridge), 0, {}, {}});
      chart.series.push_back(std::move(line));
    }
  }
  return chart;
}

}  // namespace

std::optional<Figure> use_figure(const StudyResults& results) {
  std::vector<std::string> systems;
  std::set<std::string> resources;
  for (const HardwareResult& row : results.hardware) {
    if (row.is_variant()) continue;
    if (std::find(systems.begin(), systems.end(), row.system) == systems.end()) systems.push_back(row.system);
    for (const auto& [resource, share] : row.busy) resources.insert(resource);
  }
  if (systems.empty()) return std::nullopt;
  std::string ridges;
  for (const std::string& system : systems) {
    const auto found = results.ridges.find(system);
    if (found == results.ridges.end()) continue;
    for (const auto& [unit, ridge] : found->second)
      ridges += fmt::format("{}{} {} {:.3g}", ridges.empty() ? "" : ", ", system, unit, ridge);
  }
  const bool cut = systems.size() > kMostSystems;
  if (cut) systems.resize(kMostSystems);
  PanelChart chart;
  chart.text = {"What speculation fills of the machine, and what it wastes",
                fmt::format("Fastest row of each system at each batch with a draft (solid) and without (dashed){}",
                            cut ? fmt::format("; the first {} systems", kMostSystems) : ""),
                "", ""};
  chart.panels.push_back(intensity_panel(results, systems));
  for (const std::string& resource : resources) {
    LineChart panel;
    panel.text = {fmt::format("Busy: {}", resource), "", "batch", "share of the round"};
    add_lines(panel, results, systems, [&](const HardwareResult& row) -> std::optional<double> {
      const auto found = row.busy.find(resource);
      return found == row.busy.end() ? std::nullopt : std::optional(found->second);
    });
    if (!panel.series.empty()) chart.panels.push_back(std::move(panel));
  }
  return figure_of(
      "use",
      fmt::format("Above its ridge (a level line in the system's colour; operations per byte: {}) a unit's "
                  "operations take longer than reading its nearest memory. A verification that brings more "
                  "operations for each byte fills a unit that would idle; what a draft reads and what "
                  "rejected tokens fetch keeps memories busy for nothing.",
                  ridges),
      chart);
}

}  // namespace moecarlo
