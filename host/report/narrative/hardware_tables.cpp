#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/narrative/speculation.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/number_text.hpp"

namespace moecarlo {
namespace {

std::string thousandfold(const std::optional<double>& value) {
  return value ? three_digits(1e3 * *value) : "";
}

const std::vector<std::string> kDesignHeader{"system", "scheme", "policy", "batch", "depth", "experts per layer",
                                             "bits"};

std::vector<std::string> design_cells(const HardwareResult& row) {
  return {row.system,
          row.scheme,
          row.policy + demand_text(row.demand, row.lossy),
          std::to_string(row.batch),
          std::to_string(row.depth),
          number_text(row.capacity),
          std::to_string(row.bits)};
}

/// How the next best design of the same system, scheme and batch compares.
std::string next_best(const StudyResults& results, const HardwareResult& row) {
  const LeadResult* lead = lead_of(results, row, "scheme");
  if (!lead) return "";
  const bool decided = is_above(lead->ratio, 1) == Verdict::yes;
  return fmt::format("{}{}: {}", decided ? "" : "cannot be told apart from ",
                     choice_text(results.hardware.at(lead->second)), estimate_cell(lead->ratio));
}

using KeyAndTitle = std::pair<std::string, std::string>;

/// Breakdown values of the best rows times a thousand: seconds become ms, joules mJ.
Table breakdown_table(const StudyResults& results, const std::string& caption, const std::vector<KeyAndTitle>& parts) {
  Table table{caption, kDesignHeader, 3, {}};
  for (const auto& [key, title] : parts) table.header.push_back(title);
  for (const HardwareResult* row : best_hardware(results)) {
    if (row->breakdown.empty()) continue;
    std::vector<std::string> cells = design_cells(*row);
    for (const auto& [key, title] : parts) cells.push_back(thousandfold(row->breakdown.find(key)));
    table.rows.push_back(cells);
  }
  return table;
}

/// What follows `prefix` in the names of figures of these rows, in order of appearance.
std::vector<std::string> figures_behind(const std::vector<const HardwareResult*>& rows, const std::string& prefix) {
  std::vector<std::string> found;
  for (const HardwareResult* row : rows) {
    row->breakdown.for_each([&](std::string_view name, double) {
      if (name.substr(0, prefix.size()) != prefix) return;
      const std::string rest(name.substr(prefix.size()));
      if (std::find(found.begin(), found.end(), rest) == found.end()) found.push_back(rest);
    });
  }
  return found;
}

/// What each resource alone would need for a part, and the slowest of them.
std::vector<std::string> bottleneck_cells(const HardwareResult& row, RoundPart part, double seconds,
                                          const std::vector<std::string>& resources) {
  std::vector<std::string> cells = design_cells(row);
  cells.emplace_back(name_of(part));
  cells.push_back(three_digits(1e3 * seconds));
  std::string slowest;
  double most = 0;
  for (const std::string& resource : resources) {
    const auto own = row.breakdown.find(fmt::format("{}.{}", name_of(part), resource));
    cells.push_back(thousandfold(own));
    if (!own || *own <= most) continue;
    most = *own;
    slowest = resource;
  }
  cells.push_back(slowest);
  cells.push_back(slowest.empty() ? "" : fmt::format("{:.0f} %", 100 * most / seconds));
  return cells;
}

std::string vary_text(const HardwareResult& row) {
  std::vector<std::string> words;
  for (const auto& [constant, factor] : row.vary) words.push_back(fmt::format("{} x{}", constant, number_text(factor)));
  return words.empty() ? "as it is" : fmt::format("{}", fmt::join(words, ", "));
}

/// No constant of `a` is a larger multiple of the system's own than that of `b`.
bool no_larger(const HardwareResult& a, const HardwareResult& b) {
  const auto factor = [](const HardwareResult& row, const std::string& constant) {
    const auto found = row.vary.find(constant);
    return found == row.vary.end() ? 1 : found->second;
  };
  for (const HardwareResult* side : {&a, &b}) {
    for (const auto& [constant, value] : side->vary) {
      if (factor(a, constant) > factor(b, constant)) return false;
    }
  }
  return true;
}

}  // namespace

Table hardware_table(const StudyResults& results) {
  Table table{
      "Speed and energy, each system and scheme at the design of its best speed; depth 0 is the scheme's "
      "autoregressive "
      "mode. The fastest of many is an optimistic pick: last stands the next best and how many times faster than that "
      "the pick is. Value ± simulation ± trace",
      kDesignHeader,
      3,
      {}};
  for (const char* title : {"tokens per second", "speed-up", "mJ per token", "energy gain",
                            "times its autoregressive mode", "lead over the next best"}) {
    table.header.emplace_back(title);
  }
  for (const HardwareResult* row : best_hardware(results)) {
    std::vector<std::string> cells = design_cells(*row);
    for (const Estimate* estimate :
         {&row->tokens_per_second, &row->speedup, &row->energy_mj_per_token, &row->energy_gain}) {
      cells.push_back(estimate_cell(*estimate));
    }
    cells.push_back(row->speedup_over_autoregressive ? estimate_cell(*row->speedup_over_autoregressive) : "");
    cells.push_back(next_best(results, *row));
    table.rows.push_back(cells);
  }
  return table;
}

Table left_out_table(const StudyResults& results) {
  Table table{"What was left out", {"system", "scheme", "batch", "reason"}, 4, {}};
  for (const LeftOutResult& one : results.left_out) {
    table.rows.push_back({one.system, one.scheme, one.batch ? std::to_string(*one.batch) : "all", one.reason});
  }
  return table;
}

Table time_table(const StudyResults& results) {
  return breakdown_table(results, "Mean time (ms) of one round of those rows by part",
                         {{"draft.attention", "draft: attention"},
                          {"draft.experts", "draft: experts"},
                          {"draft.lm_head", "draft: LM head"},
                          {"draft.drafter", "draft: drafter"},
                          {"verify.attention", "verify: attention"},
                          {"verify.experts", "verify: experts"},
                          {"verify.lm_head", "verify: LM head"},
                          {"draft.link", "draft: link"},
                          {"draft.overhead", "draft: overhead"},
                          {"verify.link", "verify: link"},
                          {"verify.overhead", "verify: overhead"},
                          {"seconds", "round"},
                          {"seconds_at_means", "round at mean counts"}});
}

Table bottleneck_table(const StudyResults& results) {
  const PointResult* typical = typical_point(results);
  if (!typical) return {};
  Table table{
      fmt::format("What holds up each part of a round on each system's fastest row at batch {}: milliseconds that each "
                  "resource alone would need, hidden or not. A part lasts as long as its slowest resource in each "
                  "single layer and pass; the share says how busy that resource is while the part lasts",
                  typical->batch),
      kDesignHeader,
      3,
      {}};
  const std::vector<const HardwareResult*> rows = fastest_of_each_system(results, typical->batch);
  std::vector<std::string> resources;
  for (std::size_t i = 0; i < kRoundParts; ++i) {
    for (const std::string& one : figures_behind(rows, fmt::format("{}.", name_of(static_cast<RoundPart>(i))))) {
      if (std::find(resources.begin(), resources.end(), one) == resources.end()) resources.push_back(one);
    }
  }
  for (const char* title : {"part", "ms"}) table.header.emplace_back(title);
  table.header.insert(table.header.end(), resources.begin(), resources.end());
  for (const char* title : {"bottleneck", "busy"}) table.header.emplace_back(title);
  for (const HardwareResult* row : rows) {
    for (std::size_t i = 0; i < kRoundParts; ++i) {
      const auto part = static_cast<RoundPart>(i);
      const double seconds = row->breakdown.seconds_of(part).value_or(0);
      if (seconds != 0) table.rows.push_back(bottleneck_cells(*row, part, seconds, resources));
    }
  }
  return table;
}

Table pareto_table(const StudyResults& results) {
  Table table{
      "Pareto front of the variants: of each system with its variants those that no other is at the same batch as fast "
      "as, as frugal as and no larger in any varied constant at once. Factors are on the system's own constants; "
      "speed-up and energy gain are over " +
          reference_name(results),
      {"system", "scheme", "policy", "batch", "depth", "experts per layer", "bits", "varied", "speed-up",
       "energy gain"},
      3,
      {}};
  const auto& rows = results.hardware;
  const auto base = [](const HardwareResult& row) -> const std::string& {
    return row.is_variant() ? row.variant_of : row.system;
  };
  const auto beats = [](const HardwareResult& a, const HardwareResult& b) {
    const bool as_good = a.tokens_per_second.value >= b.tokens_per_second.value &&
                         a.energy_mj_per_token.value <= b.energy_mj_per_token.value && no_larger(a, b);
    const bool better = a.tokens_per_second.value > b.tokens_per_second.value ||
                        a.energy_mj_per_token.value < b.energy_mj_per_token.value || !no_larger(b, a);
    // Equal rows (a scheme's autoregressive mode is another's): the first stands for all.
    return as_good && (better || &a < &b);
  };
  std::set<std::string> varied;
  for (const HardwareResult& row : rows) {
    if (row.is_variant()) varied.insert(row.variant_of);
  }
  std::vector<const HardwareResult*> front;
  for (const HardwareResult& row : rows) {
    if (varied.count(base(row)) > 0 && std::none_of(rows.begin(), rows.end(), [&](const auto& other) {
          return base(other) == base(row) && other.batch == row.batch && &other != &row && beats(other, row);
        })) {
      front.push_back(&row);
    }
  }
  std::stable_sort(front.begin(), front.end(), [&](const auto* a, const auto* b) {
    return std::tie(base(*a), a->batch, a->vary) < std::tie(base(*b), b->batch, b->vary);
  });
  for (const HardwareResult* row : front) {
    std::vector<std::string> cells = design_cells(*row);
    cells.push_back(vary_text(*row));
    for (const double value : {row->speedup.value, row->energy_gain.value}) cells.push_back(number_text(value));
    table.rows.push_back(cells);
  }
  return table;
}

Table energy_table(const StudyResults& results) {
  std::vector<KeyAndTitle> categories;
  for (const std::string& name : figures_behind(best_hardware(results), "energy."))
    categories.emplace_back("energy." + name, name);
  return breakdown_table(results,
                         "Mean energy (mJ) of one round of those rows by category; what else is known of a round is in "
                         "hardware.csv",
                         categories);
}

Table use_table(const StudyResults& results) {
  Table table{
      "Energy of a token (mJ) from published constants alone, with derived ones, with assumed ones; operations for "
      "each byte read, and the share of the round that each unit and memory needs, hidden or not",
      kDesignHeader,
      3,
      {}};
  for (const char* title : {"published", "with derived", "with assumed", "operations per byte", "busy"})
    table.header.emplace_back(title);
  for (const HardwareResult* row : best_hardware(results)) {
    std::vector<std::string> cells = design_cells(*row);
    for (const double value :
         {row->energy_published, row->energy_derived, row->energy_assumed, row->operations_per_byte}) {
      cells.push_back(three_digits(value));
    }
    std::vector<std::string> busy;
    for (const auto& [resource, share] : row->busy) busy.push_back(fmt::format("{} {:.0f} %", resource, 100 * share));
    cells.push_back(fmt::format("{}", fmt::join(busy, ", ")));
    table.rows.push_back(cells);
  }
  return table;
}

Table request_table(const StudyResults& results) {
  Table table{
      "A request on those rows: seconds of an output token, seconds to the first token and energy (mJ) of the mean "
      "prompt, whose chunks run alone on the machine",
      kDesignHeader,
      3,
      {}};
  for (const char* title : {"s per output token", "s to first token", "mJ per prompt"})
    table.header.emplace_back(title);
  for (const HardwareResult* row : best_hardware(results)) {
    std::vector<std::string> cells = design_cells(*row);
    for (const auto& figure :
         {std::optional(row->time_per_output_token), row->time_to_first_token, row->energy_mj_per_prompt})
      cells.push_back(figure ? estimate_cell(*figure) : "");
    table.rows.push_back(std::move(cells));
  }
  return table;
}

Table band_table(const StudyResults& results) {
  Table table{
      "Assumption bands of those rows: from the least to the most while every assumed constant moves over its range "
      "(from half to twice where its preset states none), one at a time and all together; beside them the range one at "
      "a time, and the constant that alone moves the speed most",
      kDesignHeader,
      3,
      {}};
  for (const char* title :
       {"tokens per second", "speed-up", "mJ per token", "energy gain", "tokens per second, one at a time", "widest"})
    table.header.emplace_back(title);
  const auto text = [](const std::optional<ValueRange>& range) {
    return range ? fmt::format("{} to {}", three_digits(range->low), three_digits(range->high)) : "";
  };
  for (const HardwareResult* row : best_hardware(results)) {
    if (!row->band) continue;
    const AssumptionBand& band = *row->band;
    std::vector<std::string> cells = design_cells(*row);
    for (const std::optional<ValueRange>& range :
         {std::optional(band.tokens_per_second), band.speedup, std::optional(band.energy_mj_per_token),
          band.energy_gain, std::optional(band.alone)})
      cells.push_back(text(range));
    cells.push_back(band.widest);
    table.rows.push_back(std::move(cells));
  }
  return table;
}

namespace {

/// Two figures that elasticities are shown of, in a table or a row of them.
struct ElasticityColumns {
  Elasticity first, second;
};

std::string elasticity_text(const std::optional<double>& elasticity) {
  return elasticity ? fmt::format("{:+.3f}", *elasticity) : "";
}

void add_largest(Table& table, const StudyResults& results, const ElasticityColumns& columns) {
  constexpr std::size_t shown = 8;
  table.caption += fmt::format("; the {} largest of each row, all of them in sensitivity.csv", shown);
  std::set<std::string> done;
  for (const SensitivityResult& taken : results.sensitivity) {
    if (!done.insert(taken.row).second) continue;
    std::vector<SensitivityResult> ranked = ranked_sensitivity(results, taken.row, {columns.first, columns.second});
    ranked.resize(std::min(ranked.size(), shown));
    for (const SensitivityResult& row : ranked) {
      table.rows.push_back({row.row, row.constant, row.status, elasticity_text(row.*columns.first),
                            elasticity_text(row.*columns.second), row.method});
    }
  }
}

}  // namespace

Table speed_sensitivity_table(const StudyResults& results) {
  Table table{
      "Elasticities of speed-up and speed: per cent of change for one per cent more of a constant, one at a time",
      {"taken on", "constant", "status", "speed-up", "tokens/s", "how it was taken"},
      3,
      {}};
  add_largest(table, results, {&SensitivityResult::elasticity, &SensitivityResult::speed_elasticity});
  return table;
}

Table energy_sensitivity_table(const StudyResults& results) {
  Table table{"Elasticities of energy per token and of the energy gain over the reference",
              {"taken on", "constant", "status", "energy per token", "energy gain", "how it was taken"},
              3,
              {}};
  add_largest(table, results, {&SensitivityResult::energy_elasticity, &SensitivityResult::energy_gain_elasticity});
  return table;
}

Table missing_sensitivity_table(const StudyResults& results) {
  std::vector<std::pair<SensitivityResult, std::size_t>> missing;  // and on how many rows
  for (const SensitivityResult& row : results.sensitivity) {
    if (row.speed_elasticity) continue;
    const auto same = [&](const auto& known) {
      return known.first.constant == row.constant && known.first.method == row.method;
    };
    const auto known = std::find_if(missing.begin(), missing.end(), same);
    if (known == missing.end()) {
      missing.emplace_back(row, 1);
    } else {
      ++known->second;
    }
  }
  Table table{"Constants without an elasticity", {"constant", "status", "rows", "why"}, 2, {}};
  for (const auto& [row, count] : missing) {
    table.rows.push_back({row.constant, row.status, std::to_string(count), row.method});
  }
  return table;
}

Table constants_table(const StudyResults& results) {
  Table table{"Constants of the hardware model, assumed ones first", {"constant", "value", "status", "source"}, 4, {}};
  std::vector<AssumedConstant> ranked = results.constants;
  std::stable_partition(ranked.begin(), ranked.end(), [](const auto& constant) { return is_assumed(constant.status); });
  for (const AssumedConstant& row : ranked) table.rows.push_back({row.name, row.value, row.status, row.source});
  return table;
}

}  // namespace moecarlo
