#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/reproduce_text.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/counted_table.hpp"
#include "host/pipeline/expert_parallel.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/reproduce/aggregates.hpp"
#include "hw/reproduce/energy_comparison.hpp"
#include "hw/reproduce/llep.hpp"
#include "hw/reproduce/wsc.hpp"

namespace moecarlo::cli {
namespace {

using hw::ReproducedCell;
using Json = nlohmann::ordered_json;

struct ReproduceArguments {
  std::string table = "elmoe3d", published;
  std::vector<std::string> traces;  ///< MODEL=FILE
  std::uint64_t trajectories = 256;
  bool law_only = false, json = false;
};

Json number(std::optional<double> value) {
  return value ? Json(*value) : Json();
}

Json to_json(const hw::EnergyGain& gain) {
  return {{"cells", gain.cells},
          {"mean", gain.mean},
          {"without_assumed_own", gain.without_assumed_own},
          {"published_only", gain.published_only}};
}

Json to_json(const hw::MeanGain& ours, std::optional<double> speed, std::optional<double> energy) {
  return {{"cells", ours.cells},
          {"speed", {{"ours", ours.speed}, {"published", number(speed)}}},
          {"energy", {{"ours", ours.energy}, {"published", number(energy)}}}};
}

Json aggregates_json(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells,
                     const std::vector<hw::BaselineCell>& baselines) {
  const hw::TableAggregates sums = hw::aggregates_of(cells, baselines);
  const hw::PublishedAggregates& given = laws.published;
  return {{"best_mode_mean",
           {{"4", sums.best_mode_4gb},
            {"8", sums.best_mode_8gb},
            {"published", {{"4", given.best_mode_4gb}, {"8", given.best_mode_8gb}}}}},
          {"elastic_over_eagle",
           {{"mean", sums.elastic_over_eagle},
            {"max", sums.elastic_over_eagle_max},
            {"published", {{"mean", given.elastic_over_eagle}, {"max", given.elastic_over_eagle_max}}}}},
          {"over_reference", to_json(sums.over_reference, given.speed_gain, given.energy_gain)},
          {"over_best_prior", to_json(sums.over_prior, given.speed_over_prior, given.energy_over_prior)},
          {"over_best_prior_without_near_memory",
           to_json(sums.over_far_memory_only, given.speed_over_prior, given.energy_over_prior)},
          {"datasets", {{"ours", Json::array({"MT-Bench"})}, {"missing", kMissingDatasets}}}};
}

Json to_json(const std::vector<hw::BaselineCell>& baselines) {
  Json rows = Json::array();
  for (const hw::BaselineCell& one : baselines) {
    rows.push_back({{"system", one.system},
                    {"scheme", one.scheme},
                    {"model", one.model},
                    {"batch", one.batch},
                    {"drafting", one.drafting},
                    {"speedup", one.speedup},
                    {"energy_gain", one.energy_gain}});
  }
  return rows;
}

Json to_json(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  Json json{{"table", laws.preset.name}, {"cells", Json::array()}};
  for (const ReproducedCell& cell : cells) {
    json["cells"].push_back({{"hb_gb", cell.key.hb_gb},
                             {"model", cell.key.model},
                             {"scheme", cell.key.scheme},
                             {"batch", cell.key.batch},
                             {"alpha", number(cell.alpha())},
                             {"slots", cell.slots},
                             {"distinct", cell.distinct},
                             {"ar",
                              {{"ours", cell.ar},
                               {"counted", number(cell.ar_counted)},
                               {"roof", cell.ar_roof},
                               {"uncached", cell.ar_uncached},
                               {"published", number(published_ar(cell))},
                               {"error", number(kColumns[0].error(cell))},
                               {"counted_error", number(kColumns[1].error(cell))},
                               {"hit_share_published", number(cell.ar_hit_share_published)},
                               {"hit_share_counted", number(cell.ar_hit_share_counted)}}},
                             {"sd",
                              {{"ours", number(cell.sd)},
                               {"counted", number(cell.sd_counted)},
                               {"published", number(published_sd(cell))},
                               {"error", number(kColumns[2].error(cell))},
                               {"counted_error", number(kColumns[3].error(cell))}}}});
  }
  for (const std::string& scheme : schemes_of(cells)) {
    for (const Column& column : kColumns) {
      const hw::TableErrors errors = errors_of(cells, column, scheme);
      if (errors.cells == 0) continue;
      json["errors"][scheme][column.name] = {
          {"cells", errors.cells}, {"median", errors.median}, {"worst", errors.worst}};
    }
  }
  const std::vector<hw::BaselineCell> baselines = hw::evaluate_baselines(laws, cells);
  json["baselines"] = to_json(baselines);
  json["aggregates"] = aggregates_json(laws, cells, baselines);
  if (const hw::EnergyComparison energy = hw::compare_energy(laws, cells); energy.all.cells > 0) {
    json["energy_gain"] = to_json(energy.all);
    json["energy_gain"]["published"] = laws.published.energy_gain;
    json["energy_gain"]["missing_watts"] = energy.missing_watts;
    for (const auto& [model, gain] : energy.by_model) json["energy_gain"]["by_model"][model] = to_json(gain);
  }
  json["fitted"] = Json::array();
  for (const hw::Constant& constant : laws.preset.constants) {
    if (constant.status == "published") continue;
    json["fitted"].push_back({{"constant", constant.key},
                              {"value", constant.value},
                              {"status", constant.status},
                              {"source", constant.source}});
  }
  return json;
}

CountedOptions counted_options(const ReproduceArguments& arguments, const hw::TableLaws& laws) {
  CountedOptions options;
  options.trajectories = arguments.trajectories;
  for (const std::string& pair : arguments.traces) {
    const std::size_t sign = pair.find('=');
    const std::string model = pair.substr(0, sign);
    const bool known =
        std::any_of(laws.routing.begin(), laws.routing.end(), [&](const auto& one) { return one.first == model; });
    if (sign == std::string::npos || !known) {
      fail(ErrorKind::usage, "reproduce: --trace: expected MODEL=FILE with a model of the table, found {}", pair);
    }
    options.traces[model] = pair.substr(sign + 1);
  }
  return options;
}

Json to_json(const hw::ReproducedRow& row) {
  return {{"quantity", row.quantity},
          {"conditions", row.conditions},
          {"unit", row.unit},
          {"published", row.published},
          {"ours", std::isfinite(row.ours) ? Json(row.ours) : Json()},
          {"half_width", number(row.half_width)},
          {"tolerance", row.tolerance},
          {"assumed", row.assumed},
          {"verdict", hw::to_string(row.verdict)},
          {"reason", row.reason}};
}

void show_rows(const ReproduceArguments& arguments, const std::vector<hw::ReproducedRow>& rows) {
  if (arguments.json) {
    Json list = Json::array();
    for (const hw::ReproducedRow& row : rows) list.push_back(to_json(row));
    say_json(Json{{"name", arguments.table}, {"rows", list}});
    return;
  }
  std::vector<double> errors;
  for (const hw::ReproducedRow& row : rows) {
    if (row.tolerance > 0) errors.push_back(std::abs(row.ours / row.published - 1));
    const std::string ours = std::isfinite(row.ours) ? fmt::format("{:.4g}", row.ours) : "-";
    say("{:<34} {:<76} {:>9.4g} {:>9}  {}{}{}\n", row.quantity, row.conditions, row.published, ours,
        hw::to_string(row.verdict), row.reason.empty() ? "" : ": ", row.reason);
  }
  const hw::TableErrors all = hw::errors_of(errors);
  say("\npublished, then ours; errors of {} figures: median {:.1f} %, worst {:.1f} %\n", all.cells, 100 * all.median,
      100 * all.worst);
}

/// The table that ships beside a reproduction's constants, or the one that was given.
std::filesystem::path published_table(const ReproduceArguments& arguments, const hw::Preset& constants) {
  if (!arguments.published.empty()) return arguments.published;
  return std::filesystem::path(constants.file).replace_extension(".csv");
}

void reproduce_llep(const ReproduceArguments& arguments) {
  if (!arguments.traces.empty()) fail(ErrorKind::usage, "reproduce llep counts on no trace (expected no --trace)");
  const hw::Preset constants = hw::read_preset(hw::find_preset("reproductions", arguments.table));
  const std::vector<hw::LlepCase> cases = hw::read_llep_cases(published_table(arguments, constants));
  std::vector<hw::ReproducedRow> rows = hw::reproduce_llep(constants, cases);
  for (hw::ReproducedRow& row : hw::reproduce_llep_claims(constants, cases)) rows.push_back(std::move(row));
  show_rows(arguments, rows);
}

void reproduce_wsc(const ReproduceArguments& arguments) {
  const hw::Preset constants = hw::read_preset(hw::find_preset("reproductions", arguments.table));
  std::optional<hw::RealLoads> real;
  if (arguments.traces.size() > 1)
    fail(ErrorKind::usage, "reproduce wsc: {} traces (expected one)", arguments.traces.size());
  for (const std::string& trace : arguments.traces) {
    const RoutingTable table = build_routing_table(trace, {.calibration_share = std::nullopt});
    real = hw::RealLoads{trace, table.top_k, calibration_loads(table)};
  }
  show_rows(arguments, hw::reproduce_wsc(constants, hw::read_wsc_claims(published_table(arguments, constants)), real));
}

void reproduce(const ReproduceArguments& arguments, const Common& common) {
  if (arguments.table == "llep") return reproduce_llep(arguments);
  if (arguments.table == "wsc") return reproduce_wsc(arguments);
  if (arguments.law_only && !arguments.traces.empty()) {
    fail(ErrorKind::usage, "reproduce: --trace is for counted cells (expected no --law-only beside it)");
  }
  const hw::TableLaws laws = hw::make_table_laws(hw::read_preset(hw::find_preset("reproductions", arguments.table)));
  const CountedOptions options = counted_options(arguments, laws);
  std::vector<hw::PublishedCell> published;
  if (!arguments.published.empty()) published = hw::read_published_table(arguments.published);
  std::vector<ReproducedCell> cells = hw::reproduce_table(laws, published);
  if (!arguments.law_only) {
    std::unique_ptr<Progress> progress;
    count_table(
        laws, options,
        [&](std::uint64_t done, std::uint64_t total) {
          if (!progress) progress = std::make_unique<Progress>("simulating", total, progress_style(common.quiet));
          progress->update(done);
        },
        cells);
  }
  if (arguments.json) {
    say_json(to_json(laws, cells));
    return;
  }
  std::vector<std::string> traced;
  for (const auto& [model, trace] : options.traces) traced.push_back(model);
  print_reproduction(laws, cells, traced);
}

}  // namespace

void add_reproduce(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("reproduce", "A published table beside ours, cell by cell");
  const auto arguments = std::make_shared<ReproduceArguments>();
  command->add_option("TABLE", arguments->table, "Which one")
      ->required()
      ->check(CLI::IsMember(hw::preset_names("reproductions")));
  command->add_option(
      "--published", arguments->published,
      "Published rows (CSV) in place of those that ship. elmoe3d ships none: without "
      "hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup there is no acceptance, hence no speculative "
      "cell");
  command->add_option("--trace", arguments->traces,
                      "elmoe3d: MODEL=FILE: count hits on this trace, other models get synthetic routing; wsc: FILE: "
                      "rows of its routing, too");
  command->add_option("--trajectories", arguments->trajectories, "Of each acceptance, for counted cells")
      ->check(CLI::Range(std::uint64_t{64}, std::uint64_t{1} << 32));
  command->add_flag("--law-only", arguments->law_only, "No counted cells, which take a minute");
  command->add_flag("--json", arguments->json, "JSON on stdout");
  command->footer("Example: moecarlo reproduce elmoe3d --published table3.csv --trace gpt-oss-20b=gptoss20b.h5");
  command->callback([arguments, &common] { reproduce(*arguments, common); });
}

}  // namespace moecarlo::cli
