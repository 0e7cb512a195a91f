#include "host/cli/reproduce_text.hpp"
#include "host/cli/terminal.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "hw/reproduce/aggregates.hpp"
#include "hw/reproduce/energy_comparison.hpp"

namespace moecarlo::cli {
namespace {

using hw::ReproducedCell;

}  // namespace

std::optional<double> Column::error(const ReproducedCell& cell) const {
  const auto own = ours(cell), given = published(cell);
  return own && given ? std::optional(*own / *given - 1) : std::nullopt;
}

std::optional<double> published_ar(const ReproducedCell& cell) {
  return cell.published ? std::optional(cell.published->ar) : std::nullopt;
}
std::optional<double> published_sd(const ReproducedCell& cell) {
  return cell.published ? cell.published->sd : std::nullopt;
}

const std::array<Column, 4> kColumns = {
    {{"ar, law", [](const ReproducedCell& cell) { return std::optional(cell.ar); }, published_ar},
     {"ar, counted", [](const ReproducedCell& cell) { return cell.ar_counted; }, published_ar},
     {"sd, law", [](const ReproducedCell& cell) { return cell.sd; }, published_sd},
     {"sd, counted", [](const ReproducedCell& cell) { return cell.sd_counted; }, published_sd}}};

hw::TableErrors errors_of(const std::vector<ReproducedCell>& cells, const Column& column, const std::string& scheme) {
  std::vector<double> errors;
  for (const ReproducedCell& cell : cells) {
    const auto error = column.error(cell);
    if (cell.key.scheme == scheme && error) errors.push_back(std::abs(*error));
  }
  return hw::errors_of(errors);
}

std::vector<std::string> schemes_of(const std::vector<ReproducedCell>& cells) {
  std::vector<std::string> names;
  for (const ReproducedCell& cell : cells) {
    if (std::find(names.begin(), names.end(), cell.key.scheme) == names.end()) names.push_back(cell.key.scheme);
  }
  return names;
}

namespace {

const char* remark_on(const ReproducedCell& cell) {
  return hw::above_roof(cell) ? "  above the roof" : hw::seems_uncached(cell) ? "  as without a cache" : "";
}

std::string text(std::optional<double> value) {
  return value ? fmt::format("{:.2f}", *value) : "-";
}

std::string percent(std::optional<double> error) {
  return error ? fmt::format("{:+.1f}%", 100 * *error) : "";
}

void print_cells(const std::vector<ReproducedCell>& cells) {
  say("{:>2} {:<17} {:<8} {:>5} {:>6} | {:>6} {:>6} {:>7} {:>7} {:>7} {:>6} | {:>6} {:>6} {:>7} {:>7} {:>7}\n", "GB",
      "model", "scheme", "batch", "slots", "AR", "law", "", "counted", "", "roof", "SD", "law", "", "counted", "");
  for (const ReproducedCell& cell : cells) {
    say("{:>2} {:<17} {:<8} {:>5} {:>6.2f} | {:>6} {:>6} {:>7} {:>7} {:>7} {:>6} | {:>6} {:>6} {:>7} {:>7} {:>7}{}\n",
        cell.key.hb_gb, cell.key.model, cell.key.scheme, cell.key.batch, cell.slots, text(published_ar(cell)),
        text(cell.ar), percent(kColumns[0].error(cell)), text(cell.ar_counted), percent(kColumns[1].error(cell)),
        text(cell.ar_roof), text(published_sd(cell)), text(cell.sd), percent(kColumns[2].error(cell)),
        text(cell.sd_counted), percent(kColumns[3].error(cell)), remark_on(cell));
  }
}

void print_energy_gain(const std::string& name, const hw::EnergyGain& gain) {
  say("{:<18}{:>6}{:>8.2f}{:>22.2f}{:>17.2f}\n", name, gain.cells, gain.mean, gain.without_assumed_own,
      gain.published_only);
}

/// The assumed constants that energy depends on.
void print_assumed_energies(const hw::System& system) {
  for (const hw::Constant& constant : system.preset.constants) {
    const bool of_energy = constant.unit.starts_with("pJ") || constant.unit == "W";
    if (!of_energy || constant.status != "assumed") continue;
    say("{:<12} {:<18} {:>6} {:<7} {}\n", system.name, constant.key, constant.value, constant.unit, constant.source);
  }
}

void print_energy(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  const hw::EnergyComparison energy = hw::compare_energy(laws, cells);
  if (energy.all.cells == 0) return;
  say("\nEnergy per token on the xPU over that of Elastic's faster mode, 8 GB, by law, cache writes left out\n"
      "{:<18}{:>6}{:>8}{:>22}{:>17}\n",
      "", "cells", "mean", "without own assumed", "published only");
  for (const auto& [model, gain] : energy.by_model) print_energy_gain(model, gain);
  print_energy_gain("all", energy.all);
  say("Published: {:.1f}, over more datasets than the table has. The second figure leaves out what is assumed of the "
      "accelerator\n(compute, links, static power), the third also what is assumed of the xPU. The published mean "
      "would "
      "need {:.1f} W more on\nthe xPU's side, a power that its table does not state. Assumed energies\n",
      laws.published.energy_gain, energy.missing_watts);
  for (const hw::System& system : {laws.reference, laws.systems.back()}) print_assumed_energies(system);
}

/// Counted cells of a model against the published ones, and why they differ.
void print_counted(const std::string& model, const std::vector<ReproducedCell>& cells) {
  const auto share = [](std::optional<double> value) { return value ? fmt::format("{:.0f}%", 100 * *value) : "-"; };
  say("\nCounted on the trace of {}: errors, and the share of a step's experts that hits without drafting\n"
      "{:>2} {:<8} {:>5} {:>9} {:>9} | {:>9} {:>8} {:>8}\n",
      model, "GB", "scheme", "batch", "AR", "SD", "published", "counted", "at most");
  for (const ReproducedCell& cell : cells) {
    if (cell.key.model != model || !cell.published) continue;
    say("{:>2} {:<8} {:>5} {:>9} {:>9} | {:>9} {:>8} {:>8}\n", cell.key.hb_gb, cell.key.scheme, cell.key.batch,
        percent(kColumns[1].error(cell)), percent(kColumns[3].error(cell)), share(cell.ar_hit_share_published),
        share(cell.ar_hit_share_counted), share(std::min(1.0, cell.slots / cell.distinct)));
  }
  say("Without drafting: the published cells need the hit share that stands under `published`. It hardly falls as "
      "more\n"
      "requests share the cache, though a step then touches more experts than the cache has slots (`at most`); a "
      "counted\n"
      "cache cannot follow, and the error grows with the batch. Drafting: a verification counts the experts of the "
      "tree's\ndeepest path alone, fewer than the whole tree touches, and comes out too fast where little else takes "
      "time.\n");
}

void print_mean(const char* name, double ours, double published) {
  say("{:<62}{:>8.2f}{:>11.2f}\n", name, ours, published);
}

void print_aggregates(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  const std::vector<hw::BaselineCell> baselines = hw::evaluate_baselines(laws, cells);
  say("\nBaseline machines over the {} at batch 1, 4, 8, 16 (speed; energy per token)\n", laws.reference.name);
  for (std::size_t at = 0; at < baselines.size(); at += hw::kTableBatches.size()) {
    say("{:<14}{:<8}{:<18}", baselines[at].system, baselines[at].scheme, baselines[at].model);
    for (std::size_t b = 0; b < hw::kTableBatches.size(); ++b)
      say("{:>7.2f}{}", baselines[at + b].speedup, baselines[at + b].drafting ? "*" : " ");
    say("  ");
    for (std::size_t b = 0; b < hw::kTableBatches.size(); ++b) say("{:>7.2f}", baselines[at + b].energy_gain);
    say("\n");
  }
  const hw::TableAggregates sums = hw::aggregates_of(cells, baselines);
  if (sums.over_reference.cells == 0) return;
  const hw::PublishedAggregates& given = laws.published;
  say("* drafting is faster there.\n\n{:<62}{:>8}{:>11}\n", "Means", "ours", "published");
  print_mean("Elastic's faster mode, 4 GB, over the xPU", sums.best_mode_4gb, given.best_mode_4gb);
  print_mean("Elastic's faster mode, 8 GB, over the xPU", sums.best_mode_8gb, given.best_mode_8gb);
  print_mean("the same, all datasets published", sums.over_reference.speed, given.speed_gain);
  print_mean("its energy per token, all datasets published", sums.over_reference.energy, given.energy_gain);
  print_mean("speed over the best prior machine of each cell", sums.over_prior.speed, given.speed_over_prior);
  print_mean("  without machines with a near memory", sums.over_far_memory_only.speed, given.speed_over_prior);
  print_mean("energy over the best prior machine of each cell", sums.over_prior.energy, given.energy_over_prior);
  print_mean("  without machines with a near memory", sums.over_far_memory_only.energy, given.energy_over_prior);
  print_mean("Elastic over EAGLE, both drafting, from batch 4", sums.elastic_over_eagle, given.elastic_over_eagle);
  print_mean("  the largest", sums.elastic_over_eagle_max, given.elastic_over_eagle_max);
  say("Ours: {} cells of MT-Bench at 8 GB. Missing: {}.\n", sums.over_reference.cells, kMissingDatasets);
}

void print_summary(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  say("\nErrors against the published cells (median, worst)\n{:<10}", "");
  for (const Column& column : kColumns) say("{:>22}", column.name);
  for (const std::string& scheme : schemes_of(cells)) {
    say("\n{:<10}", scheme);
    for (const Column& column : kColumns) {
      const hw::TableErrors errors = errors_of(cells, column, scheme);
      say("{:>22}", errors.cells == 0
                        ? "-"
                        : fmt::format("{:.1f}%, {:.1f}% of {}", 100 * errors.median, 100 * errors.worst, errors.cells));
    }
  }
  say("\n\n");
  say("{} published cells without drafting lie above their roof: no cache of that size can hold so many of a step's "
      "experts.\n{} are as without a cache though there is room for one.\n\nFitted or assumed of the table itself\n",
      std::count_if(cells.begin(), cells.end(), hw::above_roof),
      std::count_if(cells.begin(), cells.end(), hw::seems_uncached));
  for (const hw::Constant& constant : laws.preset.constants) {
    if (constant.status == "published") continue;
    say("{:<28} {:>7}  {:<8} {}\n", constant.key, constant.value, constant.status, constant.source);
  }
}

}  // namespace

void print_reproduction(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells,
                        const std::vector<std::string>& traced_models) {
  print_cells(cells);
  print_summary(laws, cells);
  print_aggregates(laws, cells);
  print_energy(laws, cells);
  for (const std::string& model : traced_models) print_counted(model, cells);
}

}  // namespace moecarlo::cli
