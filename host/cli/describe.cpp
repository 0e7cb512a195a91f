#include <nlohmann/json.hpp>

#include "host/cli/command_tree.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/version.hpp"
#include "host/statistics/figure_table.hpp"
#include "host/statistics/metric_table.hpp"
#include "host/study/study_keys.hpp"
#include "hw/presets/preset.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

Json to_json(const std::vector<OptionText>& options) {
  Json list = Json::array();
  for (const OptionText& option : options) {
    list.push_back({{"names", option.names},
                    {"positional", option.positional},
                    {"takes_value", option.takes_value},
                    {"several", option.several},
                    {"required", option.required},
                    {"type", option.type},
                    {"choices", option.choices},
                    {"default", option.initial},
                    {"description", option.description}});
  }
  return list;
}

Json description(const CLI::App& app) {
  Json json{{"version", program_version()}, {"options", to_json(option_texts(app))}};
  for (const CommandText& command : command_texts(app)) {
    json["commands"].push_back({{"name", command.name},
                                {"description", command.description},
                                {"example", command.example},
                                {"options", to_json(command.options)}});
  }
  for (const StudyKey& key : study_keys()) {
    json["study_keys"].push_back({{"table", key.table},
                                  {"key", key.key},
                                  {"type", key.type},
                                  {"default", key.initial},
                                  {"unit", key.unit},
                                  {"meaning", key.meaning}});
  }
  const auto add = [](Json& list, const char* name, const FigureText& text, bool per_layer) {
    list.push_back({{"name", name},
                    {"unit", text.unit},
                    {"definition", text.definition},
                    {"denominator", text.denominator},
                    {"per_layer", per_layer}});
  };
  for (const Metric& metric : metric_table()) add(json["metrics"], metric.name, metric.text, metric.per_layer);
  for (const NamedFigure& figure : further_metrics()) add(json["metrics"], figure.name, figure.text, figure.per_layer);
  for (const NamedFigure& figure : hardware_figure_table())
    add(json["hardware_figures"], figure.name, figure.text, false);
  for (const char* kind : {"systems", "models", "schemes", "reproductions"}) {
    json["presets"][kind] = hw::preset_names(kind);
  }
  for (const ExitStatus& one : exit_statuses()) {
    json["exit_statuses"].push_back({{"status", one.status}, {"meaning", one.meaning}});
  }
  return json;
}

}  // namespace

void add_describe(CLI::App& app, const Common& /*common*/) {
  CLI::App* command = app.add_subcommand(
      "describe", "Print as JSON what the program knows of itself: commands, study keys, metrics, presets, statuses");
  command->footer("Example: moecarlo describe > moecarlo.json");
  command->callback([&app] { say_json(description(app)); });
}

}  // namespace moecarlo::cli
