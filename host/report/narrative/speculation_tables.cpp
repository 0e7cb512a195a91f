#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

constexpr std::size_t kMostShown = 40;

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
        three_digits(row.needed_acceptance), three_digits(acceptance_of(&point).value),
        std::string(to_text(is_above(row.utility, 1)))}) {
    cells.push_back(cell);
  }
}

void add_verdict_header(Table& table) {
  for (const char* title :
       {"utility", "needed tokens", "tokens per round", "needed acceptance", "acceptance", "verdict"}) {
    table.header.emplace_back(title);
  }
}

/// How the utility of one design changes with depth.
struct DepthChoice {
  const BreakEvenResult* best = nullptr;
  const BreakEvenResult* first = nullptr;  ///< of those that pay; null if there are none
  bool open = false;                       ///< at some depth it cannot be told apart
  std::vector<const BreakEvenResult*> all;
};

std::uint32_t depth_of(const BreakEvenResult& row, const StudyResults& results) {
  return results.points.at(row.point).depth;
}

void consider(DepthChoice& choice, const BreakEvenResult& row, const StudyResults& results) {
  const Verdict pays = is_above(row.utility, 1);
  choice.open |= pays == Verdict::undecided;
  choice.all.push_back(&row);
  if (!choice.best || row.utility.value > choice.best->utility.value) choice.best = &row;
  if (pays == Verdict::yes && (!choice.first || depth_of(row, results) < depth_of(*choice.first, results))) {
    choice.first = &row;
  }
}

double reach(const Estimate& estimate) {
  return estimate.mc_half_width.value_or(0) + estimate.trace_half_width.value_or(0);
}

/// "4", or "4 or 2" where the intervals overlap.
std::string best_depth(const DepthChoice& choice, const StudyResults& results) {
  std::string text = std::to_string(depth_of(*choice.best, results));
  for (const BreakEvenResult* other : choice.all) {
    const double lead = choice.best->utility.value - other->utility.value;
    if (other != choice.best && lead <= reach(choice.best->utility) + reach(other->utility)) {
      text += fmt::format(" or {}", depth_of(*other, results));
    }
  }
  return text;
}

std::string first_depth(const DepthChoice& choice, const StudyResults& results) {
  if (choice.first) return std::to_string(depth_of(*choice.first, results));
  return choice.open ? "cannot be told apart" : "none";
}

void add_depth_choices(Table& table, const StudyResults& results, const std::string& cost) {
  std::map<std::tuple<std::uint32_t, std::string, double>, DepthChoice> choices;
  for (const BreakEvenResult* row : shown_break_even(results, cost, kMostShown * depths_of(results).size())) {
    const PointResult& point = results.points.at(row->point);
    consider(choices[{point.batch, point.policy, point.capacity}], *row, results);
  }
  for (const auto& [design, choice] : choices) {
    const auto& [batch, policy, capacity] = design;
    table.rows.push_back({cost == "misses" ? "experts fetched" : "experts touched", policy, number_text(capacity),
                          std::to_string(batch), best_depth(choice, results), estimate_cell(choice.best->utility),
                          first_depth(choice, results)});
  }
}

/// The rows of one cost.
Table break_even_table(const StudyResults& results, const std::string& cost) {
  Table table{"", {"policy", "experts per layer", "batch", "depth"}, 1, {}};
  add_verdict_header(table);
  for (const BreakEvenResult* row : shown_break_even(results, cost, kMostShown)) {
    const PointResult& point = results.points.at(row->point);
    table.rows.push_back(
        {point.policy, number_text(point.capacity), std::to_string(point.batch), std::to_string(point.depth)});
    add_verdict(table.rows.back(), results, *row);
  }
  return table;
}

/// ", 4 bits" of the points that break-even is shown of.
std::string shown_bits(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  return typical ? bits_text(typical->bits) : "";
}

}  // namespace

Table fetching_break_even_table(const StudyResults& results) {
  Table table = break_even_table(results, "misses");
  table.caption = fmt::format("In experts fetched{}{}. Value ± simulation ± trace", shown_bits(results),
                              shown_text(table.rows.size(), count_of(results, "misses")));
  return table;
}

Table touching_break_even_table(const StudyResults& results) {
  Table table = break_even_table(results, "distinct_experts");
  table.caption = fmt::format("In experts touched{}. Value ± simulation ± trace", shown_bits(results));
  return table;
}

Table depth_table(const StudyResults& results) {
  Table table{fmt::format("Which depth{}: where the utility is largest, or the depths whose intervals overlap with it, "
                          "and the first that pays. Value ± simulation ± trace",
                          shown_bits(results)),
              {"cost", "policy", "experts per layer", "batch", "depth of largest utility", "that utility",
               "first depth that pays"},
              2,
              {}};
  for (const char* cost : {"misses", "distinct_experts"}) add_depth_choices(table, results, cost);
  return table;
}

Table hardware_break_even_table(const StudyResults& results) {
  const auto of = std::count_if(results.hardware.begin(), results.hardware.end(),
                                [](const auto& row) { return row.speedup_over_autoregressive.has_value(); });
  Table table{"",
              {"system", "scheme", "policy", "experts per layer", "bits", "batch", "depth",
               "times its autoregressive mode", "needed acceptance", "acceptance", "verdict"},
              3,
              {}};
  for (const HardwareResult* row : shown_hardware_break_even(results, kMostShown)) {
    table.rows.push_back({row->system, row->scheme, row->policy, number_text(row->capacity), std::to_string(row->bits),
                          std::to_string(row->batch), std::to_string(row->depth),
                          estimate_cell(*row->speedup_over_autoregressive),
                          row->break_even_acceptance ? three_digits(*row->break_even_acceptance) : "n/a",
                          estimate_cell(acceptance_of(point_of(results, *row))), to_text(verdict_of(*row))});
  }
  table.caption = fmt::format(
      "In time, against autoregressive decoding on the same system with the same scheme and policy{}. Value ± "
      "simulation ± trace",
      shown_text(table.rows.size(), static_cast<std::size_t>(of)));
  return table;
}

}  // namespace moecarlo
