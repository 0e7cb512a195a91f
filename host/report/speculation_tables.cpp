#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "host/report/number_text.hpp"
#include "host/report/selection.hpp"
#include "host/report/speculation.hpp"
#include "host/report/tables.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t shown = 40;

std::string shown_text(std::size_t rows, std::size_t of) {
  return rows == of ? "" : fmt::format(" ({} of {} rows; all are in summary.json)", rows, of);
}

std::size_t count_of(const StudyResults& results, const std::string& cost) {
  return static_cast<std::size_t>(std::count_if(results.break_even.begin(), results.break_even.end(),
                                                [&](const auto& row) { return row.cost == cost; }));
}

/// What a break-even row says, after the cells that name its design.
void add_verdict(std::vector<std::string>& cells, const StudyResults& results, const BreakEvenResult& row) {
  const PointResult& point = results.points.at(row.point);
  const MetricResult* tokens = find_metric(&point, "tokens_per_round");
  for (const std::string& cell :
       {estimate_cell(row.utility), estimate_cell(row.needed_tokens), tokens ? estimate_cell(tokens->estimate) : "n/a",
        three_digits(row.needed_acceptance), three_digits(study_acceptance(results, point.batch, point.depth).value),
        std::string(to_text(is_above(row.utility, 1)))}) {
    cells.push_back(cell);
  }
}

void add_verdict_header(Table& table) {
  for (const char* title :
       {"utility", "needed tokens", "tokens per round", "needed acceptance", "study's acceptance", "pays"}) {
    table.header.emplace_back(title);
  }
}

/// How the utility of one design changes with depth.
struct DepthChoice {
  const BreakEvenResult* best = nullptr;
  const BreakEvenResult* first = nullptr;  ///< of those that pay; null if there are none
  bool open = false;                       ///< at some depth it is not decided
};

void consider(DepthChoice& choice, const BreakEvenResult& row, const StudyResults& results) {
  const Verdict pays = is_above(row.utility, 1);
  choice.open |= pays == Verdict::undecided;
  if (!choice.best || row.utility.value > choice.best->utility.value) choice.best = &row;
  const auto depth = [&](const BreakEvenResult* other) { return results.points.at(other->point).depth; };
  if (pays == Verdict::yes && (!choice.first || depth(&row) < depth(choice.first))) choice.first = &row;
}

std::string first_depth(const DepthChoice& choice, const StudyResults& results) {
  if (choice.first) return std::to_string(results.points.at(choice.first->point).depth);
  return choice.open ? "not decided" : "none";
}

void add_depth_choices(Table& table, const StudyResults& results, const std::string& cost) {
  const bool touched = cost == "distinct_experts";
  std::map<std::tuple<std::uint32_t, std::string, double>, DepthChoice> choices;
  for (const BreakEvenResult* row : shown_break_even(results, cost, shown * depths_of(results).size())) {
    const PointResult& point = results.points.at(row->point);
    consider(choices[{point.batch, point.policy, point.capacity}], *row, results);
  }
  for (const auto& [design, choice] : choices) {
    const auto& [batch, policy, capacity] = design;
    table.rows.push_back({touched ? "experts touched" : "experts fetched", touched ? "any" : policy,
                          touched ? "any" : number_text(capacity), std::to_string(batch),
                          std::to_string(results.points.at(choice.best->point).depth),
                          estimate_cell(choice.best->utility), first_depth(choice, results)});
  }
}

}  // namespace

Table fetching_break_even_table(const StudyResults& results) {
  Table table{"", {"policy", "experts per layer", "batch", "depth"}, 1, {}};
  add_verdict_header(table);
  for (const BreakEvenResult* row : shown_break_even(results, "misses", shown)) {
    const PointResult& point = results.points.at(row->point);
    table.rows.push_back(
        {point.policy, number_text(point.capacity), std::to_string(point.batch), std::to_string(point.depth)});
    add_verdict(table.rows.back(), results, *row);
  }
  table.caption = fmt::format("In experts fetched{}. Value ± simulation ± trace",
                              shown_text(table.rows.size(), count_of(results, "misses")));
  return table;
}

Table touching_break_even_table(const StudyResults& results) {
  Table table{"In experts touched, which no cache changes. Value ± simulation ± trace", {"batch", "depth"}, 0, {}};
  add_verdict_header(table);
  for (const BreakEvenResult* row : shown_break_even(results, "distinct_experts", shown)) {
    const PointResult& point = results.points.at(row->point);
    table.rows.push_back({std::to_string(point.batch), std::to_string(point.depth)});
    add_verdict(table.rows.back(), results, *row);
  }
  return table;
}

Table depth_table(const StudyResults& results) {
  Table table{"Which depth: where the utility is largest, and the first that pays. Value ± simulation ± trace",
              {"cost", "policy", "experts per layer", "batch", "depth of largest utility", "that utility",
               "first depth that pays"},
              2,
              {}};
  for (const char* cost : {"misses", "distinct_experts"}) add_depth_choices(table, results, cost);
  return table;
}

Table hardware_break_even_table(const StudyResults& results) {
  const auto of = std::count_if(results.hardware.begin(), results.hardware.end(),
                                [](const auto& row) { return row.break_even_acceptance.has_value(); });
  Table table{
      "", {"system", "scheme", "policy", "batch", "depth", "needed acceptance", "study's acceptance", "pays"}, 3, {}};
  for (const HardwareResult* row : shown_hardware_break_even(results, shown)) {
    const Estimate acceptance = study_acceptance(results, row->batch, row->depth);
    table.rows.push_back({row->system, row->scheme, row->policy, std::to_string(row->batch), std::to_string(row->depth),
                          three_digits(*row->break_even_acceptance), estimate_cell(acceptance),
                          to_text(is_above(acceptance, *row->break_even_acceptance))});
  }
  table.caption = fmt::format(
      "In time, against autoregressive decoding on the same system with the same policy{}. Value ± simulation ± trace",
      shown_text(table.rows.size(), static_cast<std::size_t>(of)));
  return table;
}

}  // namespace moecarlo
