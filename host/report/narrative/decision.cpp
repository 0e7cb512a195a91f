#include "host/report/narrative/decision.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "host/report/narrative/one_alpha.hpp"
#include "host/report/narrative/selection.hpp"
#include "host/report/results/number_text.hpp"
#include "host/statistics/loss.hpp"

namespace moecarlo {
namespace {

const Estimate kNone{std::numeric_limits<double>::quiet_NaN(), std::nullopt, std::nullopt};

const HardwareResult* fastest_row(const StudyResults& results, std::uint32_t batch) {
  const HardwareResult* best = nullptr;
  for (const HardwareResult& row : results.hardware) {
    if (row.batch != batch || row.is_variant() || !std::isfinite(row.tokens_per_second.value)) continue;
    if (!may_win(results, row.demand)) continue;
    if (best == nullptr || row.tokens_per_second.value > best->tokens_per_second.value) best = &row;
  }
  return best;
}

const BreakEvenResult* most_frugal(const StudyResults& results, std::uint32_t batch) {
  const BreakEvenResult* best = nullptr;
  for (const BreakEvenResult& row : results.break_even) {
    if (row.cost != "misses" || results.points.at(row.point).batch != batch || !std::isfinite(row.utility.value))
      continue;
    if (!may_win(results, results.points.at(row.point).demand)) continue;
    if (best == nullptr || row.utility.value > best->utility.value) best = &row;
  }
  return best;
}

/// "batch 1, 4 and 8"
std::string batches_text(const std::vector<std::string>& batches) {
  if (batches.size() == 1) return "batch " + batches.front();
  return fmt::format("batch {} and {}", fmt::join(batches.begin(), batches.end() - 1, ", "), batches.back());
}

std::string acceptance_model(const StudyResults& results) {
  if (results.study_json.empty()) return {};
  const auto study = nlohmann::json::parse(results.study_json);
  return study.value(nlohmann::json::json_pointer("/acceptance/model"), std::string());
}

/// The part of a round that takes longest, and the resource that it waits for: "verify: experts (waits for ext)".
std::string bottleneck(const HardwareResult& row) {
  std::string part, resource;
  double longest = 0, most = 0;
  for (std::size_t i = 0; i < kRoundParts; ++i) {
    const auto seconds = row.breakdown.seconds_of(static_cast<RoundPart>(i));
    if (!seconds || *seconds <= longest) continue;
    longest = *seconds;
    part = name_of(static_cast<RoundPart>(i));
  }
  row.breakdown.for_each([&](std::string_view name, double seconds) {
    if (name.size() <= part.size() || name.substr(0, part.size()) != part || name[part.size()] != '.') return;
    if (seconds <= most) return;
    most = seconds;
    resource = name.substr(part.size() + 1);
  });
  if (part.empty()) return {};
  part.replace(part.find('.'), 1, ": ");
  const double round = row.breakdown.find("seconds").value_or(longest);
  return fmt::format("{}, {:.0f} % of a round{}", part, 100 * longest / round,
                     resource.empty() ? "" : ", waits for " + resource);
}

/// The elasticities that were taken on this row, the largest first.
std::vector<SensitivityResult> elasticities_on(const StudyResults& results, const HardwareResult& row) {
  const std::string start = fmt::format("{} {}, batch {}, depth {}, {}, {:.4g} experts per layer, {} bits", row.system,
                                        row.scheme, row.batch, row.depth, row.policy, row.capacity, row.bits);
  const std::string demand = row.demand == "all" ? "" : ", demand " + row.demand;
  std::vector<SensitivityResult> found =
      ranked_sensitivity(results, start + demand, {&SensitivityResult::speed_elasticity});
  if (!found.empty() || !row.alpha) return found;
  return ranked_sensitivity(results, fmt::format("{}, alpha {}{}", start, *row.alpha, demand),
                            {&SensitivityResult::speed_elasticity});
}

std::string what_it_rests_on(const StudyResults& results, const HardwareResult& row) {
  std::vector<std::string> parts;
  if (row.depth > 0) {
    const std::string model = acceptance_model(results);
    parts.push_back(fmt::format("acceptance {}{}", three_digits(acceptance_of(point_of(results, row)).value),
                                model.empty() ? "" : fmt::format(" ({})", model)));
  }
  for (const SensitivityResult& one : elasticities_on(results, row)) {
    if (parts.size() > 2) break;
    if (one.constant.find(':') != std::string::npos) continue;  // of the model or the scheme, not of the machine
    parts.push_back(fmt::format("{} ({}) {:+.2f}", one.constant, one.status, one.speed_elasticity.value_or(0)));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string lead_text(const StudyResults& results, const Decision& decision) {
  if (decision.lead == nullptr) return "no other design";
  const HardwareResult& second = results.hardware.at(decision.lead->second);
  return fmt::format("{}{}: {}", is_above(decision.lead->ratio, 1) == Verdict::yes ? "" : "cannot be told apart from ",
                     design_text(second), estimate_cell(decision.lead->ratio));
}

double relative(const Margin& margin, const Estimate& of) {
  return margin.has_value() && of.value != 0 ? *margin / std::abs(of.value) : 0;
}

}  // namespace

Verdict Decision::pays(const StudyResults& results) const {
  if (fetched != nullptr) return is_above(fetched->utility, 1);
  if (row->depth > 0) return verdict_of(*row);
  const bool beside_draft = lead != nullptr && results.hardware.at(lead->second).depth > 0;
  return beside_draft && is_above(lead->ratio, 1) != Verdict::yes ? Verdict::undecided : Verdict::no;
}

Estimate Decision::gain() const {
  if (fetched != nullptr) return fetched->utility;
  return row->speedup_over_autoregressive.value_or(kNone);
}

std::vector<Decision> decisions(const StudyResults& results) {
  std::vector<Decision> all;
  for (const std::uint32_t batch : batches_of(results)) {
    Decision one{batch, fastest_row(results, batch), nullptr, nullptr};
    if (one.row == nullptr) one.fetched = most_frugal(results, batch);
    if (one.row != nullptr) one.lead = lead_of(results, *one.row, "batch");
    if (one.row != nullptr || one.fetched != nullptr) all.push_back(one);
  }
  return all;
}

namespace {

std::string verdict_at_one_alpha(const StudyResults& results) {
  const std::vector<Decision> all = decisions(results);
  if (all.empty()) return "This study cannot say whether speculation pays: it has no depth 0 beside one above it.";
  std::array<std::vector<std::string>, 3> batches;  // by verdict
  for (const Decision& one : all) {
    const Estimate gain = one.gain();
    const char* times =
        one.row != nullptr ? "times as fast as without a draft" : "times the tokens for what is fetched";
    const PointResult* const point = one.row != nullptr ? nullptr : &results.points.at(one.fetched->point);
    const std::optional<Loss> loss = point != nullptr ? loss_of(*point) : one.row->lossy;
    const std::string& demand = point != nullptr ? point->demand : one.row->demand;
    const std::string at_most = loss ? fmt::format(", at most, {}", loss_text(loss, demand)) : "";
    const std::string by =
        std::isfinite(gain.value) ? fmt::format(" ({} {}{})", number_text(gain.value, 3), times, at_most) : "";
    batches.at(static_cast<std::size_t>(one.pays(results))).push_back(std::to_string(one.batch) + by);
  }
  std::vector<std::string> parts;
  const std::array<const char*, 3> says{"pays at ", "does not pay at ", "cannot be told from none at "};
  for (const Verdict verdict : {Verdict::yes, Verdict::no, Verdict::undecided}) {
    const auto& there = batches.at(static_cast<std::size_t>(verdict));
    if (!there.empty()) parts.push_back(says.at(static_cast<std::size_t>(verdict)) + batches_text(there));
  }
  return fmt::format("Speculation {}.", fmt::join(parts, "; it "));
}

}  // namespace

std::string verdict_line(const StudyResults& results) {
  const std::vector<double> alphas = alphas_of(results);
  if (alphas.size() < 2) return verdict_at_one_alpha(results);
  std::vector<std::string> lines;
  for (const double alpha : alphas) {
    lines.push_back(fmt::format("At alpha {}: {}", alpha, verdict_at_one_alpha(at_alpha(results, alpha))));
  }
  return fmt::format("{}", fmt::join(lines, " "));
}

namespace {

Table table_at_one_alpha(const StudyResults& results) {
  Table table{
      "The best design of each batch. Times: as fast as the same system and scheme at the same batch without a draft. "
      "The best of many is an optimistic pick: the lead says how far the next one is, and where the two cannot be told "
      "apart. Value ± simulation ± trace",
      {"batch", "best design", "speculation", "tokens per second", "times", "lead over the next", "held up by",
       "rests on (elasticity of speed)"},
      3,
      {},
      true};
  for (const Decision& one : decisions(results)) {
    if (one.row == nullptr) continue;
    table.rows.push_back({std::to_string(one.batch), design_text(*one.row), to_text(one.pays(results)),
                          estimate_cell(one.row->tokens_per_second),
                          one.row->speedup_over_autoregressive ? estimate_cell(one.gain()) : "no draft",
                          lead_text(results, one), bottleneck(*one.row), what_it_rests_on(results, *one.row)});
  }
  if (!table.rows.empty()) return table;
  table.caption =
      "Of each batch the design that yields the most for what it fetches. Times: tokens of a round over the experts "
      "that it "
      "fetches, as a multiple of both without a draft; above 1 speculation pays. Value ± simulation ± trace";
  table.header = {"batch", "best design", "speculation", "times", "needed acceptance", "acceptance"};
  for (const Decision& one : decisions(results)) {
    const PointResult& point = results.points.at(one.fetched->point);
    table.rows.push_back({std::to_string(one.batch), design_text(point), to_text(one.pays(results)),
                          estimate_cell(one.gain()), three_digits(one.fetched->needed_acceptance),
                          three_digits(acceptance_of(&point).value)});
  }
  return table;
}

}  // namespace

Table decision_table(const StudyResults& results) {
  const std::vector<double> alphas = alphas_of(results);
  if (alphas.size() < 2) return table_at_one_alpha(results);
  Table table;
  for (const double alpha : alphas) {
    Table one = table_at_one_alpha(at_alpha(results, alpha));
    for (auto& row : one.rows) {
      row.insert(row.begin(), number_text(alpha));
      table.rows.push_back(std::move(row));
    }
    one.rows = std::move(table.rows);
    table = std::move(one);
  }
  table.header.insert(table.header.begin(), "alpha");
  ++table.text_columns;
  return table;
}

std::vector<std::string> short_answer(const StudyResults& all_results) {
  const std::vector<double> alphas = alphas_of(all_results);
  const StudyResults& results = alphas.size() < 2 ? all_results : at_alpha(all_results, shown_alpha(alphas));
  std::vector<std::string> lines{verdict_line(all_results)};
  const std::vector<Decision> all = decisions(results);
  if (all.empty()) return lines;
  const Decision& first = all.front();
  const std::string at = alphas.size() < 2 ? "" : fmt::format("alpha {}, ", shown_alpha(alphas));
  const Estimate gain = std::isfinite(first.gain().value) ? first.gain()
                        : first.row != nullptr            ? first.row->tokens_per_second
                                                          : kNone;
  if (first.row != nullptr) {
    const bool close = first.lead != nullptr && is_above(first.lead->ratio, 1) != Verdict::yes;
    lines.push_back(fmt::format("{}batch {}: {}, {} tokens/s{}", at, first.batch, design_text(*first.row),
                                estimate_text(first.row->tokens_per_second),
                                close ? "; cannot be told apart from the next" : ""));
    lines.push_back(
        fmt::format("held up by {}; rests on {}", bottleneck(*first.row), what_it_rests_on(results, *first.row)));
  } else {
    lines.push_back(fmt::format("{}{}: {} times the tokens for what is fetched", at,
                                design_text(results.points.at(first.fetched->point)), estimate_text(gain)));
  }
  return lines;
}

std::string next_command(const StudyResults& results, const std::string& folder) {
  if (const auto alphas = alphas_of(results); alphas.size() > 1) {
    return next_command(at_alpha(results, shown_alpha(alphas)), folder);
  }
  const std::vector<Decision> all = decisions(results);
  for (const Decision& one : all) {
    const Estimate gain = one.row != nullptr && one.lead != nullptr ? one.lead->ratio : one.gain();
    const double simulation = relative(gain.mc_half_width, gain), trace = relative(gain.trace_half_width, gain);
    if (one.pays(results) == Verdict::undecided && simulation > trace && results.trajectories > 0) {
      return fmt::format("moecarlo simulate STUDY.toml -o {}-longer --trajectories {}  (narrower intervals)", folder,
                         4 * results.trajectories);
    }
  }
  if (results.hardware.empty()) return "moecarlo systems  (a table [hardware] in the study adds time and energy)";
  // Another capacity caches other experts, which were not counted.
  const auto can_be_set = [](const SensitivityResult& constant) {
    return constant.constant.find(':') == std::string::npos && !constant.constant.ends_with(".capacity");
  };
  for (const bool assumed : {true, false}) {
    for (const Decision& one : all) {
      if (one.row == nullptr) continue;
      for (const SensitivityResult& constant : elasticities_on(results, *one.row)) {
        if (!can_be_set(constant) || (assumed && constant.status != "assumed")) continue;
        return fmt::format("moecarlo evaluate {} --set {}=VALUE  (the {}constant that matters most)", folder,
                           constant.constant, assumed ? "assumed " : "");
      }
    }
  }
  return "moecarlo systems  (others that a table [hardware] can name)";
}

}  // namespace moecarlo
