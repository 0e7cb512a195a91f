#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

struct Part {
  std::string key, label, colour;
};

/// Drafting in warm colours, verification in cool ones, darker for experts.
const std::vector<Part>& time_parts() {
  static const std::vector<Part> parts{{"draft.attention", "draft attention", "#f2c577"},
                                       {"draft.experts", "draft experts", "#d55e00"},
                                       {"draft.lm_head", "draft LM head", "#8c3d00"},
                                       {"draft.drafter", "drafter", "#e69f00"},
                                       {"draft.link", "draft link", "#c9a66b"},
                                       {"draft.overhead", "draft overhead", "#b0b9c4"},
                                       {"verify.attention", "verify attention", "#8fc6e8"},
                                       {"verify.experts", "verify experts", "#0072b2"},
                                       {"verify.lm_head", "verify LM head", "#123a66"},
                                       {"verify.link", "verify link", "#5f8aa8"},
                                       {"verify.overhead", "verify overhead", "#52606d"}};
  return parts;
}

/// The categories of energy of all rows: memories by their names, then what all systems have.
std::vector<Part> energy_parts(const StudyResults& results) {
  const std::vector<Part> common{{"energy.compute", "compute", "#009e73"},
                                 {"energy.communication", "communication", "#b5599b"},
                                 {"energy.static", "static", "#b0b9c4"}};
  std::vector<Part> stores;
  const auto is_known = [](const std::vector<Part>& parts, std::string_view name) {
    return std::any_of(parts.begin(), parts.end(), [&](const Part& part) { return part.key == name; });
  };
  constexpr std::array<const char*, 5> store_colours{"#d55e00", "#0072b2", "#e69f00", "#56b4e9", "#8c6d1f"};
  for (const HardwareResult& row : results.hardware) {
    row.breakdown.for_each([&](std::string_view name, double) {
      constexpr std::string_view energy = "energy.";
      if (name.substr(0, energy.size()) != energy || is_known(common, name) || is_known(stores, name)) return;
      stores.push_back({std::string(name), std::string(name.substr(energy.size())),
                        store_colours[stores.size() % store_colours.size()]});
    });
  }
  stores.insert(stores.end(), common.begin(), common.end());
  return stores;
}

std::vector<LegendEntry> legend_of(const std::vector<Part>& parts) {
  std::vector<LegendEntry> legend;
  for (const Part& part : parts) legend.push_back({part.label, part.colour});
  return legend;
}

std::vector<BarSegment> segments_of(const HardwareResult& row, const std::vector<Part>& parts) {
  std::vector<BarSegment> segments;
  for (const Part& part : parts) {
    if (const auto found = row.breakdown.find(part.key)) segments.push_back({*found, part.colour, part.label});
  }
  return segments;
}

double sum_of(const std::vector<BarSegment>& segments) {
  double sum = 0;
  for (const BarSegment& segment : segments) sum += segment.value;
  return sum;
}

void scale(std::vector<BarSegment>& segments, double factor, const char* unit) {
  for (BarSegment& segment : segments) {
    segment.value *= factor;
    segment.note += fmt::format(": {} {}", number_text(segment.value), unit);
  }
}

std::string design_name(const HardwareResult& row) {
  return row.system + " " + row.scheme;
}

/// A bar has little room for its design.
std::string short_choice(const HardwareResult& row) {
  return fmt::format("depth {}, {}, {} experts{}{}", row.depth, row.policy, number_text(row.capacity),
                     bits_text(row.bits), demand_text(row.demand, row.lossy));
}

/// Autoregressive decoding on the reference is what speed-ups are measured against.
bool is_baseline(const StudyResults& results, const HardwareResult& row) {
  return row.system == results.reference && row.scheme == "ar";
}

/// One group a batch, ascending, holding a bar for each best row of that batch that `bar_of` makes one for.
template <class BarOf>
std::vector<BarGroup> groups_by_batch(const StudyResults& results, BarOf bar_of) {
  std::vector<const HardwareResult*> rows = best_hardware(results);
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return a->batch < b->batch; });
  std::vector<BarGroup> groups;
  for (const HardwareResult* row : rows) {
    const Bar bar = bar_of(*row);
    if (bar.segments.empty()) continue;
    const std::string label = fmt::format("batch {}", row->batch);
    if (groups.empty() || groups.back().label != label) groups.push_back({label, {}});
    groups.back().bars.push_back(bar);
  }
  return groups;
}

/// Many designs at many batches make a picture that no page holds: then the smallest and the largest batch stand for
/// all.
void thin(BarChart& chart) {
  constexpr std::size_t most_bars = 48;
  std::size_t bars = 0;
  for (const BarGroup& group : chart.groups) bars += group.bars.size();
  if (bars <= most_bars || chart.groups.size() < 3) return;
  chart.groups = {chart.groups.front(), chart.groups.back()};
  chart.text.subtitle += ". Smallest and largest batch only.";
}

void add(std::vector<Figure>& figures, const std::string& id, BarChart chart, const std::string& caption) {
  if (chart.groups.empty()) return;
  thin(chart);
  figures.push_back(figure_of(id, caption, chart));
}

/// Designs in order of appearance: a scheme has a colour.
std::vector<LegendEntry> scheme_legend(const StudyResults& results) {
  std::vector<LegendEntry> legend;
  for (const HardwareResult& row : results.hardware) {
    const bool known =
        std::any_of(legend.begin(), legend.end(), [&](const auto& entry) { return entry.label == row.scheme; });
    if (!known && !is_baseline(results, row)) {
      const std::string colour = row.scheme == "ar" ? colours::neutral : category_colour(legend.size());
      legend.push_back({row.scheme, colour});
    }
  }
  return legend;
}

void add_speedup(std::vector<Figure>& figures, const StudyResults& results) {
  BarChart chart;
  chart.legend = scheme_legend(results);
  chart.reference = 1.0;
  chart.groups = groups_by_batch(results, [&](const HardwareResult& row) {
    Bar bar;
    if (is_baseline(results, row) || !std::isfinite(row.speedup.value)) return bar;
    const auto scheme = std::find_if(chart.legend.begin(), chart.legend.end(),
                                     [&](const auto& entry) { return entry.label == row.scheme; });
    bar.label = design_name(row);
    bar.segments = {{row.speedup.value, scheme->colour, design_name(row) + ": " + estimate_text(row.speedup)}};
    bar.whisker = row.speedup.mc_half_width.value_or(0);
    bar.outer_whisker = row.speedup.trace_half_width.value_or(0);
    bar.note = fmt::format("{:.2f}× · {}", row.speedup.value, short_choice(row));
    return bar;
  });
  const std::string reference = reference_name(results);
  chart.text = {
      "Speed-up over autoregressive decoding on " + reference,
      fmt::format("Each bar at the design of its best speed, named beside it; dotted: as fast as {}. Error bars, 95 %: "
                  "thick for the simulation, thin for the trace",
                  reference),
      fmt::format("times as fast as {} at the same batch", reference), ""};
  add(figures, "speedup", chart,
      fmt::format("Speed of all requests together over autoregressive decoding on {} at the same batch. Below the "
                  "dotted line the design is slower.",
                  reference));
}

void add_energy(std::vector<Figure>& figures, const StudyResults& results) {
  BarChart chart;
  const std::vector<Part> parts = energy_parts(results);
  chart.legend = legend_of(parts);
  chart.groups = groups_by_batch(results, [&](const HardwareResult& row) {
    Bar bar{design_name(row), segments_of(row, parts), 0, 0, ""};
    const double joules_per_round = sum_of(bar.segments);
    if (!(joules_per_round > 0) || !std::isfinite(row.energy_mj_per_token.value)) return Bar{};
    scale(bar.segments, row.energy_mj_per_token.value / joules_per_round, "mJ");
    bar.note = fmt::format("{} mJ · {}", three_digits(row.energy_mj_per_token.value), short_choice(row));
    return bar;
  });
  chart.text = {"Energy per token by where it is spent", "Each bar at the design of its best speed, named beside it",
                "mJ per token", ""};
  add(figures, "energy", chart, "Energy of one emitted token, divided as the energy of a round is.");
}

void add_time(std::vector<Figure>& figures, const StudyResults& results) {
  BarChart chart;
  chart.legend = legend_of(time_parts());
  chart.groups = groups_by_batch(results, [](const HardwareResult& row) {
    Bar bar{design_name(row), segments_of(row, time_parts()), 0, 0, ""};
    scale(bar.segments, 1e3, "ms");
    bar.note = fmt::format("{} ms · {}", three_digits(sum_of(bar.segments)), short_choice(row));
    return bar;
  });
  chart.text = {"Time of one round by part",
                "Each bar at the design of its best speed, named beside it; a speculative round emits several tokens",
                "ms per round", ""};
  add(figures, "round_time", chart, "Mean time of one round: drafting in warm colours, verification in cool ones.");
}

/// Bars of one elasticity on the fastest design.
void add_sensitivity(std::vector<Figure>& figures, const StudyResults& results, Elasticity of, const char* id,
                     const std::string& figure) {
  constexpr std::size_t shown = 20;
  const std::vector<SensitivityResult> rows = ranked_sensitivity(results, sensitivity_row(results), {of});
  if (rows.empty()) return;
  BarChart chart;
  chart.legend = {{"assumed constant", category_colour(1)}, {"published or derived", category_colour(0)}};
  chart.groups.emplace_back();
  for (std::size_t i = 0; i < std::min(rows.size(), shown); ++i) {
    const double elasticity = (rows[i].*of).value();
    const std::string colour = category_colour(is_assumed(rows[i].status) ? 1 : 0);
    chart.groups.front().bars.push_back({rows[i].constant,
                                         {{elasticity, colour, rows[i].status}},
                                         0,
                                         0,
                                         fmt::format("{:+.2f} ({})", elasticity, rows[i].status)});
  }
  chart.text = {fmt::format("Which constants {} depends on", figure), "Taken on " + rows.front().row,
                fmt::format("elasticity: % change of {} for 1 % more of the constant", figure), ""};
  add(figures, id, chart,
      fmt::format("A constant with elasticity 0.5 moves {} by half a per cent when it moves by one. Long orange bars "
                  "are assumptions that matter; constants below 0.005 are left out.",
                  figure));
}

}  // namespace

bool is_assumed(const std::string& status) {
  return status == "assumed";
}

std::vector<Figure> hardware_figures(const StudyResults& results) {
  std::vector<Figure> figures;
  add_speedup(figures, results);
  add_time(figures, results);
  add_energy(figures, results);
  if (auto use = use_figure(results)) figures.push_back(*std::move(use));
  if (results.reference.empty()) {
    add_sensitivity(figures, results, &SensitivityResult::speed_elasticity, "sensitivity", "the speed");
  } else {
    add_sensitivity(figures, results, &SensitivityResult::elasticity, "sensitivity", "the speed-up");
  }
  add_sensitivity(figures, results, &SensitivityResult::energy_elasticity, "sensitivity_energy",
                  "the energy of a token");
  return figures;
}

}  // namespace moecarlo
