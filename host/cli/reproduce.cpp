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
#include "host/pipeline/trace_locality.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"
#include "host/support/shipped_folder.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "hw/reproduce/aggregates.hpp"
#include "hw/reproduce/energy_comparison.hpp"
#include "hw/reproduce/reproductions.hpp"

namespace moecarlo::cli {
namespace {

using hw::ReproducedCell;
using Json = nlohmann::ordered_json;

constexpr const char* kCellTable = "elmoe3d";
constexpr const char* kAllTables = "all";

struct ReproduceArguments {
  std::string table = kCellTable, published;
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
  return {{"quantity", row.quantity},   {"conditions", row.conditions}, {"unit", row.unit},
          {"published", row.published}, {"ours", number(row.ours)},     {"half_width", number(row.half_width)},
          {"tolerance", row.tolerance}, {"assumed", row.assumed},       {"verdict", hw::to_string(row.verdict)},
          {"reason", row.reason}};
}

void show_row(const hw::ReproducedRow& row) {
  say("{:<38} {:<74} {:>9.4g} {:>9}  {}{}{}\n", row.quantity, row.conditions, row.published,
      row.ours ? fmt::format("{:.4g}", *row.ours) : "-", hw::to_string(row.verdict), row.reason.empty() ? "" : ": ",
      row.reason);
}

void show_verdicts(const std::vector<hw::ReproducedRow>& rows) {
  std::vector<double> errors;
  std::size_t met = 0, missed = 0;
  for (const hw::ReproducedRow& row : rows) {
    met += row.verdict == hw::Verdict::met ? 1 : 0;
    missed += row.verdict == hw::Verdict::missed ? 1 : 0;
    if (row.tolerance > 0) errors.push_back(std::abs(*row.ours / row.published - 1));
  }
  say("{} figures, published then ours: {} met, {} missed, {} cannot be judged", rows.size(), met, missed,
      rows.size() - met - missed);
  if (!errors.empty()) {
    const hw::TableErrors all = hw::errors_of(errors);
    say("; errors of {}: median {:.1f} %, worst {:.1f} %", all.cells, 100 * all.median, 100 * all.worst);
  }
  say("\n");
}

/// Of the trace that a reproduction takes, where one is named.
std::optional<hw::RealLoads> loads_of_trace(const ReproduceArguments& arguments) {
  if (arguments.traces.empty()) return std::nullopt;
  const auto& all = hw::reproductions();
  const auto one =
      std::find_if(all.begin(), all.end(), [&](const auto& other) { return other.name == arguments.table; });
  if (one != all.end() && one->rows_of_locality != nullptr) return std::nullopt;
  if (one == all.end() || one->rows_with_trace == nullptr)
    fail(ErrorKind::usage, "reproduce {} counts on no trace (expected no --trace)", arguments.table);
  if (arguments.traces.size() > 1)
    fail(ErrorKind::usage, "reproduce {}: {} traces (expected one)", arguments.table, arguments.traces.size());
  const RoutingTable table = build_routing_table(arguments.traces.front(), {.calibration_share = std::nullopt});
  return hw::RealLoads{arguments.traces.front(), table.top_k, calibration_loads(table)};
}

/// Of one that looks at traces themselves: those that are named, else the one that ships.
std::vector<hw::LocalityOfTrace> localities(const hw::Reproduction& one, std::vector<std::string> traces) {
  if (one.rows_of_locality == nullptr) return {};
  if (traces.empty()) traces.push_back((shipped_folder("datasets", "datasets") / "reference.h5").string());
  return localities_of(traces, hw::segment_of_moe_lrc(hw::read_preset(hw::find_preset("reproductions", "moe-lrc"))));
}

/// One reproduction, or all of them one after the other.
void show_rows(const ReproduceArguments& arguments) {
  const std::optional<hw::RealLoads> real = loads_of_trace(arguments);
  const bool all = arguments.table == kAllTables;
  if (all && !arguments.published.empty())
    fail(ErrorKind::usage, "reproduce all: --published is for one of them (expected no --published)");
  Json list = Json::array();
  for (const hw::Reproduction& one : hw::reproductions()) {
    if (!all && one.name != arguments.table) continue;
    const std::vector<hw::ReproducedRow> rows =
        hw::reproduced_rows(one, arguments.published, real, localities(one, arguments.traces));
    if (arguments.json) {
      for (const hw::ReproducedRow& row : rows) {
        list.push_back(to_json(row));
        if (all) list.back()["reproduction"] = one.name;
      }
      continue;
    }
    if (all) say("{} ({})\n", one.name, one.of);
    for (const hw::ReproducedRow& row : rows) show_row(row);
    say("\n");
    show_verdicts(rows);
    if (all) say("\n");
  }
  if (arguments.json) say_json(Json{{"name", arguments.table}, {"rows", list}});
  if (!arguments.json && all) say("ELMoE-3D's table has cells of its own: moecarlo reproduce {}\n", kCellTable);
}

std::vector<std::string> table_names() {
  std::vector<std::string> names{kCellTable, kAllTables};
  for (const hw::Reproduction& one : hw::reproductions()) names.emplace_back(one.name);
  return names;
}

void reproduce(const ReproduceArguments& arguments, const Common& common) {
  if (arguments.table != kCellTable) return show_rows(arguments);
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
  CLI::App* command = app.add_subcommand("reproduce", "Published figures beside ours, row by row");
  const auto arguments = std::make_shared<ReproduceArguments>();
  command->add_option("TABLE", arguments->table, "Which one")->required()->check(CLI::IsMember(table_names()));
  command->add_option(
      "--published", arguments->published,
      "Published rows (CSV) in place of those that ship. elmoe3d ships none: without "
      "hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup there is no acceptance, hence no speculative "
      "cell");
  command->add_option("--trace", arguments->traces,
                      "elmoe3d: MODEL=FILE: count hits on this trace, other models get synthetic routing; wsc: FILE: "
                      "rows of its routing, too; moe-lrc: FILE FILE ..., in place of the trace that ships");
  command->add_option("--trajectories", arguments->trajectories, "Of each acceptance, for counted cells")
      ->check(CLI::Range(std::uint64_t{64}, std::uint64_t{1} << 32));
  command->add_flag("--law-only", arguments->law_only, "No counted cells, which take a minute");
  command->add_flag("--json", arguments->json, "JSON on stdout");
  command->footer("Example: moecarlo reproduce elmoe3d --published table3.csv --trace gpt-oss-20b=gptoss20b.h5");
  command->callback([arguments, &common] { reproduce(*arguments, common); });
}

}  // namespace moecarlo::cli
