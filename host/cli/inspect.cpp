#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/inspect_others.hpp"
#include "host/cli/terminal.hpp"
#include "host/support/progress.hpp"
#include "host/trace/survey.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  std::string trace;
  bool json = false;
  unsigned threads = 0;
};

const char* form(const TraceSurvey& survey) {
  return survey.info.full_logits ? "router_logits" : "expert_ids";
}

Json to_json(const TraceSurvey& survey) {
  const TraceInfo& info = survey.info;
  const TraceExtras& extras = survey.extras;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); };
  Json json;
  json["path"] = info.path;
  json["model"] = info.model;
  for (const auto& [key, text] : {std::pair{"source", &info.source}, std::pair{"licence", &info.licence},
                                  std::pair{"created_by", &info.created_by}}) {
    json[key] = text_or_null(*text);
  }
  json["form"] = form(survey);
  json["tokens"] = info.tokens;
  json["layers"] = info.layers;
  json["experts"] = info.experts;
  json["top_k"] = info.top_k;
  json["shared_experts"] = info.shared_experts;
  json["zero_computation_experts"] = info.zero_experts;
  json["zero_computation_choices"] = survey.zero_choices;
  json["sequences"] = info.sequences;
  json["sequence_length"] = {
      {"shortest", survey.shortest_sequence}, {"median", survey.median_sequence}, {"longest", survey.longest_sequence}};
  json["scoring"] = {{"rule", to_string(survey.scoring.scoring)},
                     {"renormalize", survey.scoring.renormalize},
                     {"num_groups", survey.scoring.num_groups},
                     {"top_k_groups", survey.scoring.top_k_groups},
                     {"selection_bias", extras.selection_bias}};
  json["phase"] = survey.phases ? Json{{"prefill", survey.prefill_tokens}, {"decode", survey.decode_tokens}} : Json();
  json["expert_weights"] = extras.expert_weights;
  json["token_ids"] = extras.token_ids;
  json["contexts"] = extras.contexts;
  json["acceptance_configurations"] = extras.acceptance_configurations;
  json["draft_probability"] = extras.draft_probability;
  json["drafter"] = text_or_null(extras.drafter);
  json["channels"] = extras.channels;
  json["rounds"] = extras.rounds;
  json["round_columns"] = extras.round_columns;
  json["lookups"] = extras.lookups;
  json["labels"] = extras.labels.empty() ? Json() : Json(extras.labels);
  json["duplicate_sequences"] = survey.duplicate_sequences;
  json["shared_prefix_tokens"] = survey.shared_prefix_tokens;
  json["not_read"] = extras.not_read;
  json["warnings"] = survey.warnings;
  return json;
}

void print_field(const char* name, const std::string& text) {
  say("{:<12} {}\n", name, text);
}

std::string list_extras(const TraceExtras& extras) {
  std::string list;
  const auto add = [&](const std::string& item) { list += (list.empty() ? "" : ", ") + item; };
  if (extras.expert_weights) add("expert weights");
  if (extras.token_ids) add("token ids");
  if (extras.contexts) add("contexts");
  if (extras.acceptance_configurations != 0) {
    add(fmt::format("acceptance in {} configurations{}", extras.acceptance_configurations,
                    extras.drafter.empty() ? "" : fmt::format(" (drafter {})", extras.drafter)));
  }
  if (extras.draft_probability) add("the drafter's own probabilities");
  if (extras.channels != 0) add(fmt::format("magnitudes of {} channels", extras.channels));
  if (extras.rounds != 0) add(fmt::format("{} recorded rounds of {} columns", extras.rounds, extras.round_columns));
  if (extras.lookups != 0) add(fmt::format("{} recorded cache look-ups", extras.lookups));
  return list.empty() ? "nothing" : list;
}

/// The most frequent labels with their numbers of sequences.
std::string list_labels(const TraceExtras& extras) {
  constexpr std::size_t most = 8;
  std::vector<std::pair<std::uint64_t, std::string>> labels;
  for (const auto& [label, count] : extras.labels) labels.emplace_back(count, label.empty() ? "(none)" : label);
  std::stable_sort(labels.begin(), labels.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string list;
  for (std::size_t i = 0; i < std::min(most, labels.size()); ++i) {
    list += fmt::format("{}{} {}", i == 0 ? "" : ", ", labels[i].second, labels[i].first);
  }
  return labels.size() > most ? fmt::format("{}, {} more", list, labels.size() - most) : list;
}

void print_text(const TraceSurvey& survey) {
  const TraceInfo& info = survey.info;
  const ScoringRule& rule = survey.scoring;
  const auto text_or_unknown = [](const std::string& text) { return text.empty() ? "not stated" : text; };
  print_field("trace", info.path);
  print_field("model", info.model);
  print_field("source", text_or_unknown(info.source));
  print_field("licence", text_or_unknown(info.licence));
  print_field("created by", text_or_unknown(info.created_by));
  print_field("routing", fmt::format("{}: {} tokens x {} layers, top {} of {} experts, {} shared", form(survey),
                                     info.tokens, info.layers, info.top_k, info.experts, info.shared_experts));
  if (info.zero_experts > 0) {
    print_field("zero experts", fmt::format("{} that compute nothing: {} of {} choices", info.zero_experts,
                                            survey.zero_choices, info.tokens * info.layers * info.top_k));
  }
  print_field("scoring", fmt::format("{}{}{}{}", to_string(rule.scoring), rule.renormalize ? ", renormalized" : "",
                                     survey.extras.selection_bias ? ", selection bias" : "",
                                     rule.num_groups == 1
                                         ? ""
                                         : fmt::format(", best {} of {} groups", rule.top_k_groups, rule.num_groups)));
  print_field("sequences", fmt::format("{}, of {} to {} tokens (median {})", info.sequences, survey.shortest_sequence,
                                       survey.longest_sequence, survey.median_sequence));
  if (!survey.extras.labels.empty()) print_field("labels", list_labels(survey.extras));
  print_field("phase", survey.phases
                           ? fmt::format("{} prefill, {} decode tokens", survey.prefill_tokens, survey.decode_tokens)
                           : "not marked");
  print_field("also holds", list_extras(survey.extras));
  if (const auto& names = survey.extras.not_read; !names.empty())
    print_field("not read", fmt::format("{}", fmt::join(names, ", ")));
  for (const std::string& warning : survey.warnings) print_field("warning", warning);
  print_field("checked", "every rule of the trace format holds");
}

void print_other(const Json& contents) {
  for (const auto& [name, value] : contents.items()) {
    print_field(name.c_str(), value.is_string() ? value.get<std::string>() : value.dump());
  }
  print_field("checked", "every rule of the format holds");
}

void inspect(const InspectOptions& options, const Common& common) {
  if (const auto contents = inspect_other(options.trace)) {
    if (options.json) {
      say_json(*contents);
    } else {
      print_other(*contents);
    }
    return;
  }
  std::optional<Progress> progress;
  const auto show = [&](std::uint64_t done, std::uint64_t total) {
    if (!progress) progress.emplace("checking trace (tokens)", total, progress_style(common.quiet));
    progress->update(done);
  };
  const TraceSurvey survey = survey_trace(options.trace, options.threads, show);
  progress.reset();
  if (options.json) {
    say_json(to_json(survey));
  } else {
    print_text(survey);
  }
}

}  // namespace

void add_inspect(CLI::App& app, const Common& common) {
  auto* command =
      app.add_subcommand("inspect", "What is in a trace, weights or tallies file; checks every rule of its format");
  const auto options = std::make_shared<InspectOptions>();
  command->add_option("TRACE", options->trace, "Trace, weights or tallies file (HDF5)")->required();
  command->add_flag("--json", options->json, "Print JSON");
  command->add_option("--threads", options->threads, "Threads; 0 = all cores")->capture_default_str();
  command->footer("Example: moecarlo inspect gptoss20b.h5 --json");
  command->callback([options, &common] { inspect(*options, common); });
}

}  // namespace moecarlo::cli
