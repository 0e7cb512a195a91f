#include "host/report/narrative/comparison_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/report/charts/chart.hpp"
#include "host/report/charts/palette.hpp"
#include "host/report/narrative/document.hpp"
#include "host/report/narrative/write_document.hpp"
#include "host/report/results/escape.hpp"
#include "host/report/results/number_text.hpp"
#include "host/support/atomic_file.hpp"
#include "host/support/json_file.hpp"

namespace moecarlo {
namespace {

using Json = nlohmann::ordered_json;

bool is_first(const std::string& metric, bool hardware) {
  return hardware ? metric == "tokens_per_second" : metric == "tokens_per_round" || metric == "hit_rate";
}

bool is_known(const Estimate& ratio) {
  return ratio.mc_half_width.has_value() && ratio.trace_half_width.has_value();
}

/// Whether the interval of simulation and trace together holds 1; what is not known may hold anything.
bool holds_one(const Estimate& ratio) {
  if (!is_known(ratio)) return true;
  return std::abs(ratio.value - 1) <= std::hypot(*ratio.mc_half_width, *ratio.trace_half_width);
}

double distance(const ComparedRow& row) {
  return std::isfinite(row.ratio.value) && row.ratio.value > 0 ? std::abs(std::log(row.ratio.value)) : 0;
}

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json margin(const Margin& margin) {
  const auto stated = margin.stated();
  return stated ? number(*stated) : Json(nullptr);
}

Json to_json(const Comparison& comparison, const ComparedRow& row) {
  const ComparedDesign& design = row.design;
  Json point;
  if (!design.scheme.empty()) {
    if (!design.system.empty()) point["system"] = design.system;
    point["scheme"] = design.scheme;
  }
  point["batch"] = design.batch;
  point["depth"] = design.depth;
  point["policy"] = design.policy;
  point["capacity"] = number(design.capacity);
  if (design.bits != 0) point["bits"] = design.bits;
  if (design.alpha) point["alpha"] = *design.alpha;
  if (design.demand != "all") point["demand"] = design.demand;
  return {{"point", point},
          {"metric", row.metric},
          {"against", comparison.b},
          {"a", number(row.a)},
          {"b", number(row.b)},
          {"ratio",
           {{"value", number(row.ratio.value)},
            {"mc_half_width", margin(row.ratio.mc_half_width)},
            {"trace_half_width", margin(row.ratio.trace_half_width)},
            {"paired", comparison.paired}}}};
}

std::string to_csv(const std::vector<Comparison>& comparisons) {
  std::string csv =
      "a,b,system,scheme,batch,depth,policy,capacity,bits,alpha,demand,metric,value_a,value_b,ratio,mc_half_width,"
      "trace_half_width,paired\n";
  const auto text = [](double value) { return std::isfinite(value) ? fmt::format("{}", value) : ""; };
  const auto half = [&](const Margin& margin) { return margin.has_value() ? text(*margin) : ""; };
  for (const Comparison& comparison : comparisons) {
    for (const ComparedRow& row : comparison.rows) {
      const ComparedDesign& design = row.design;
      csv += fmt::format(
          "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", escape_csv(comparison.a), escape_csv(comparison.b),
          escape_csv(design.system), escape_csv(design.scheme), design.batch, design.depth, escape_csv(design.policy),
          design.capacity, design.bits == 0 ? "" : fmt::format("{}", design.bits),
          design.alpha ? text(*design.alpha) : "", escape_csv(design.demand), row.metric, text(row.a), text(row.b),
          text(row.ratio.value), half(row.ratio.mc_half_width), half(row.ratio.trace_half_width), comparison.paired);
    }
  }
  return csv;
}

constexpr std::size_t kTableRows = 60, kBars = 30;

Table table_of(const Comparison& comparison) {
  Table table{fmt::format("{} over {}, {}: value ± simulation ± trace; those furthest from 1, all of them in "
                          "comparison.csv",
                          comparison.a, comparison.b, comparison.paired ? "paired" : "unpaired"),
              {"design", "figure", comparison.a, comparison.b, "ratio"},
              2,
              {}};
  for (const ComparedRow* row : shown_rows(comparison, kTableRows)) {
    table.rows.push_back(
        {design_text(row->design), row->metric, number_text(row->a), number_text(row->b), estimate_cell(row->ratio)});
  }
  return table;
}

Figure figure_of(const Comparison& comparison, std::size_t number_of) {
  BarChart chart;
  chart.reference = 1.0;
  chart.legend = {{"interval holds 1", colours::neutral}, {"differs", category_colour(0)}};
  BarGroup& group = chart.groups.emplace_back();
  for (const ComparedRow* row : shown_rows(comparison, kBars)) {
    if (!std::isfinite(row->ratio.value)) continue;
    const std::string colour = holds_one(row->ratio) ? colours::neutral : category_colour(0);
    group.bars.push_back({design_text(row->design),
                          {{row->ratio.value, colour, estimate_text(row->ratio)}},
                          row->ratio.mc_half_width.value_or(0),
                          row->ratio.trace_half_width.value_or(0),
                          fmt::format("{} {}", row->metric, number_text(row->ratio.value))});
  }
  chart.text = {fmt::format("{} over {}", comparison.a, comparison.b),
                "Error bars, 95 %: thick for the simulation, thin for the trace", "ratio", ""};
  return figure_of(fmt::format("ratio_{}", number_of),
                   "Ratio of each figure of the same design, furthest from 1; dotted: no difference.", chart);
}

}  // namespace

std::string design_text(const ComparedDesign& design) {
  std::string text = design.system;
  if (!design.scheme.empty()) text += (text.empty() ? "" : " ") + design.scheme;
  if (!text.empty()) text += ", ";
  text += fmt::format("batch {}, depth {}, {}, {} experts per layer", design.batch, design.depth, design.policy,
                      number_text(design.capacity));
  if (design.bits != 0 && design.bits != 8) text += fmt::format(", {} bits", design.bits);
  if (design.alpha) text += fmt::format(", alpha {}", *design.alpha);
  return design.demand == "all" ? text : text + fmt::format(", demand {}", design.demand);
}

std::vector<const ComparedRow*> shown_rows(const Comparison& comparison, std::size_t most) {
  const bool hardware = std::any_of(comparison.rows.begin(), comparison.rows.end(),
                                    [](const ComparedRow& row) { return is_first(row.metric, true); });
  std::vector<const ComparedRow*> rows;
  for (const ComparedRow& row : comparison.rows) {
    if (is_first(row.metric, hardware)) rows.push_back(&row);
  }
  if (rows.size() <= most) return rows;
  std::vector<double> distances;
  for (const ComparedRow* row : rows) distances.push_back(distance(*row));
  std::nth_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(most - 1), distances.end(),
                   std::greater<>());
  const double least = distances[most - 1];
  std::erase_if(rows, [&](const ComparedRow* row) { return distance(*row) < least; });
  rows.resize(std::min(rows.size(), most));
  return rows;
}

std::vector<std::string> comparison_answer(const Comparison& comparison) {
  const std::vector<const ComparedRow*> rows = shown_rows(comparison, comparison.rows.size());
  std::size_t same = 0, unknown = 0;
  const ComparedRow *least = nullptr, *most = nullptr;
  for (const ComparedRow* row : rows) {
    unknown += is_known(row->ratio) ? 0 : 1;
    same += is_known(row->ratio) && holds_one(row->ratio) ? 1 : 0;
    if (!std::isfinite(row->ratio.value)) continue;
    if (least == nullptr || row->ratio.value < least->ratio.value) least = row;
    if (most == nullptr || row->ratio.value > most->ratio.value) most = row;
  }
  std::vector<std::string> lines{fmt::format(
      "{} over {}: {} figures of designs that both have{}.", comparison.a, comparison.b, comparison.rows.size(),
      comparison.only_a + comparison.only_b == 0 ? ""
                                                 : fmt::format("; {} designs only in the first, {} only in the second",
                                                               comparison.only_a, comparison.only_b))};
  if (least != nullptr) {
    lines.push_back(fmt::format("{} is from {} ({}) to {} ({}).", most->metric, estimate_cell(least->ratio),
                                design_text(least->design), estimate_cell(most->ratio), design_text(most->design)));
  }
  lines.push_back(fmt::format("Of {} ratios {} cannot be told from 1{}.", rows.size(), same,
                              unknown == 0 ? "" : fmt::format(", of {} an interval is not known", unknown)));
  lines.push_back(comparison.paired
                      ? "Paired: both drew the same numbers from the same trace, and noise in common cancels."
                      : fmt::format("Unpaired, as {}: errors of both add up.", comparison.unpaired));
  return lines;
}

std::string comparison_json(const std::vector<Comparison>& comparisons) {
  Json json{{"a", comparisons.front().a}, {"against", Json::array()}, {"rows", Json::array()}};
  for (const Comparison& comparison : comparisons) {
    json["against"].push_back({{"b", comparison.b},
                               {"paired", comparison.paired},
                               {"unpaired", comparison.paired ? Json(nullptr) : Json(comparison.unpaired)},
                               {"only_a", comparison.only_a},
                               {"only_b", comparison.only_b}});
    for (const ComparedRow& row : comparison.rows) json["rows"].push_back(to_json(comparison, row));
  }
  return json_line(json, 1);
}

void write_comparison(const std::vector<Comparison>& comparisons, const std::filesystem::path& directory) {
  Document document;
  document.title = "Comparison with " + comparisons.front().a;
  std::vector<Figure> figures;
  for (const Comparison& comparison : comparisons) {
    document.blocks.emplace_back(Heading{fmt::format("{} over {}", comparison.a, comparison.b)});
    document.blocks.emplace_back(Answer{comparison_answer(comparison)});
    figures.push_back(figure_of(comparison, figures.size() + 1));
    document.blocks.emplace_back(figures.back());
    document.blocks.emplace_back(table_of(comparison));
  }
  write_document(std::move(document), figures, directory);
  write_atomically(directory / "comparison.json", comparison_json(comparisons) + "\n");
  write_atomically(directory / "comparison.csv", to_csv(comparisons));
}

}  // namespace moecarlo
