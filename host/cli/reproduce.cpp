#include "hw/reproduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "host/cli/commands.hpp"
#include "host/cli/counted_table.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"

namespace moecarlo::cli {
namespace {

using hw::ReproducedCell;
using Json = nlohmann::ordered_json;

struct Arguments {
  std::string table = "elmoe3d", published;
  std::vector<std::string> traces;  ///< MODEL=FILE
  std::uint64_t trajectories = 256;
  bool law_only = false, json = false;
};

/// A speed-up cell of either mode: how far ours is from what was published.
struct Column {
  const char* name;
  std::optional<double> (*ours)(const ReproducedCell&);
  std::optional<double> (*published)(const ReproducedCell&);

  std::optional<double> error(const ReproducedCell& cell) const {
    const auto own = ours(cell), given = published(cell);
    return own && given ? std::optional(*own / *given - 1) : std::nullopt;
  }
};

std::optional<double> published_ar(const ReproducedCell& cell) {
  return cell.published ? std::optional(cell.published->ar) : std::nullopt;
}
std::optional<double> published_sd(const ReproducedCell& cell) {
  return cell.published ? cell.published->sd : std::nullopt;
}

constexpr Column kColumns[] = {
    {"ar, law", [](const ReproducedCell& cell) { return std::optional(cell.ar); }, published_ar},
    {"ar, counted", [](const ReproducedCell& cell) { return cell.ar_counted; }, published_ar},
    {"sd, law", [](const ReproducedCell& cell) { return cell.sd; }, published_sd},
    {"sd, counted", [](const ReproducedCell& cell) { return cell.sd_counted; }, published_sd}};

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

const char* remark(const ReproducedCell& cell) {
  return hw::above_roof(cell) ? "  above the roof" : hw::seems_uncached(cell) ? "  as without a cache" : "";
}

Json number(std::optional<double> value) {
  return value ? Json(*value) : Json();
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
                               {"published", number(published_ar(cell))}}},
                             {"sd",
                              {{"ours", number(cell.sd)},
                               {"counted", number(cell.sd_counted)},
                               {"published", number(published_sd(cell))}}}});
  }
  for (const std::string& scheme : schemes_of(cells)) {
    for (const Column& column : kColumns) {
      const hw::TableErrors errors = errors_of(cells, column, scheme);
      if (errors.cells == 0) continue;
      json["errors"][scheme][column.name] = {
          {"cells", errors.cells}, {"median", errors.median}, {"worst", errors.worst}};
    }
  }
  const hw::TableAggregates sums = hw::aggregates_of(cells);
  json["aggregates"] = {
      {"best_mode_mean", {{"4", sums.best_mode_4gb}, {"8", sums.best_mode_8gb}}},
      {"elastic_over_eagle", {{"mean", sums.elastic_over_eagle}, {"max", sums.elastic_over_eagle_max}}}};
  json["fitted"] = Json::array();
  for (const hw::Constant& constant : laws.preset.constants) {
    json["fitted"].push_back({{"constant", constant.key},
                              {"value", constant.value},
                              {"status", constant.status},
                              {"source", constant.source}});
  }
  return json;
}

std::string text(std::optional<double> value) {
  return value ? fmt::format("{:.2f}", *value) : "-";
}

std::string percent(std::optional<double> error) {
  return error ? fmt::format("{:+.1f}%", 100 * *error) : "";
}

void print_cells(const std::vector<ReproducedCell>& cells) {
  fmt::print("{:>2} {:<17} {:<8} {:>5} {:>6} | {:>6} {:>6} {:>7} {:>7} {:>6} | {:>6} {:>6} {:>7} {:>7}\n", "GB",
             "model", "scheme", "batch", "slots", "AR", "law", "", "counted", "roof", "SD", "law", "", "counted");
  for (const ReproducedCell& cell : cells) {
    fmt::print("{:>2} {:<17} {:<8} {:>5} {:>6.2f} | {:>6} {:>6} {:>7} {:>7} {:>6} | {:>6} {:>6} {:>7} {:>7}{}\n",
               cell.key.hb_gb, cell.key.model, cell.key.scheme, cell.key.batch, cell.slots, text(published_ar(cell)),
               text(cell.ar), percent(kColumns[0].error(cell)), text(cell.ar_counted), text(cell.ar_roof),
               text(published_sd(cell)), text(cell.sd), percent(kColumns[2].error(cell)), text(cell.sd_counted),
               remark(cell));
  }
}

void print_summary(const hw::TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  fmt::print("\nErrors against the published cells (median, worst)\n{:<10}", "");
  for (const Column& column : kColumns) fmt::print("{:>22}", column.name);
  for (const std::string& scheme : schemes_of(cells)) {
    fmt::print("\n{:<10}", scheme);
    for (const Column& column : kColumns) {
      const hw::TableErrors errors = errors_of(cells, column, scheme);
      fmt::print("{:>22}", errors.cells == 0 ? "-"
                                             : fmt::format("{:.1f}%, {:.1f}% of {}", 100 * errors.median,
                                                           100 * errors.worst, errors.cells));
    }
  }
  const hw::TableAggregates sums = hw::aggregates_of(cells);
  if (sums.best_mode_4gb > 0) {
    fmt::print(
        "\n\nElastic, faster mode, mean over models and batches: {:.2f} (4 GB), {:.2f} (8 GB)\n"
        "Elastic over EAGLE, both drafting, batch 4 and more: mean {:.2f}, largest {:.2f}\n",
        sums.best_mode_4gb, sums.best_mode_8gb, sums.elastic_over_eagle, sums.elastic_over_eagle_max);
  }
  fmt::print(
      "{} published cells without drafting lie above their roof: no cache of that size can hold so many of a step's "
      "experts.\n{} are as without a cache though there is room for one.\n\nFitted or assumed of the table itself\n",
      std::count_if(cells.begin(), cells.end(), hw::above_roof),
      std::count_if(cells.begin(), cells.end(), hw::seems_uncached));
  for (const hw::Constant& constant : laws.preset.constants) {
    fmt::print("{:<28} {:>7}  {:<8} {}\n", constant.key, constant.value, constant.status, constant.source);
  }
}

CountedOptions counted_options(const Arguments& arguments, const hw::TableLaws& laws) {
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

void reproduce(const Arguments& arguments, const Common& common) {
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
    fmt::print("{}\n", to_json(laws, cells).dump(2));
    return;
  }
  print_cells(cells);
  print_summary(laws, cells);
}

}  // namespace

void add_reproduce(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("reproduce", "A published table beside ours, cell by cell");
  const auto arguments = std::make_shared<Arguments>();
  command->add_option("TABLE", arguments->table, "Which one")->required()->check(CLI::IsMember({"elmoe3d"}));
  command->add_option("--published", arguments->published,
                      "The published cells (CSV: hb_gb,model,scheme,batch,alpha,ar_speedup,sd_speedup); without them "
                      "there is no acceptance, hence no speculative cell");
  command->add_option("--trace", arguments->traces,
                      "MODEL=FILE: count hits on this trace; other models get synthetic routing");
  command->add_option("--trajectories", arguments->trajectories, "Of each acceptance, for counted cells")
      ->check(CLI::Range(std::uint64_t{64}, std::uint64_t{1} << 32));
  command->add_flag("--law-only", arguments->law_only, "No counted cells, which take a minute");
  command->add_flag("--json", arguments->json, "JSON on stdout");
  command->footer("Example: moecarlo reproduce elmoe3d --published table3.csv --trace gpt-oss-20b=gptoss20b.h5");
  command->callback([arguments, &common] { reproduce(*arguments, common); });
}

}  // namespace moecarlo::cli
