#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/pipeline/size.hpp"
#include "host/report/results/number_text.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

struct SizeOptions {
  SizeQuestion question;
  std::string trace, memory, context, policy = "lru";
  bool json = false;
};

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json to_json(const SizeAnswer& answer) {
  const auto half = [](const std::optional<Estimate>& estimate, const Margin Estimate::*margin) {
    return estimate ? or_null(((*estimate).*margin).stated()) : Json(nullptr);
  };
  const auto value = [](const std::optional<Estimate>& estimate) {
    return estimate ? Json(estimate->value) : Json(nullptr);
  };
  Json json{{"capacity", or_null(answer.capacity)},
            {"low", or_null(answer.low)},
            {"high", or_null(answer.high)},
            {"bytes", or_null(answer.bytes)},
            {"hit_rate", value(answer.hit_rate)},
            {"token_cycles", or_null(answer.token_cycles)},
            {"per_layer", answer.per_layer.empty() ? Json(nullptr) : Json(answer.per_layer)},
            {"context", or_null(answer.context)},
            {"formats", Json::array()},
            {"trajectories", or_null(answer.trajectories)},
            {"sequences", or_null(answer.sequences)},
            {"tokens_per_second", answer.metric == "tokens_per_second" ? value(answer.value) : Json(nullptr)},
            {"mc_half_width", half(answer.value, &Estimate::mc_half_width)},
            {"trace_half_width", half(answer.value, &Estimate::trace_half_width)}};
  for (const FormatContext& one : answer.formats)
    json["formats"].push_back({{"format", one.format}, {"bits", one.bits}, {"context", one.context}});
  return json;
}

void print_context(const SizeQuestion& question, const SizeAnswer& answer) {
  say("{} tokens of context a request fit ({}, {}, batch {}, {}).\n", count_text(*answer.context), question.model,
      question.hardware, question.batch, question.scheme);
  for (const FormatContext& one : answer.formats) {
    const double times = static_cast<double>(one.context) / static_cast<double>(*answer.context);
    say("Weights as {}, {} bits each: {} tokens, {} times as many.\n", one.format, number_text(one.bits),
        count_text(one.context), number_text(times));
  }
}

std::string at_most(const std::optional<std::uint32_t>& capacity) {
  return capacity ? std::to_string(*capacity) : "none";
}

void print_capacity(const SizeQuestion& question, const SizeAnswer& answer) {
  const std::string design =
      fmt::format("{}, batch {}, depth {}{}", to_string(question.policy), question.batch, question.depth,
                  question.depth > 0 ? fmt::format(", acceptance {}", question.alpha) : "");
  const std::string value = fmt::format("{} {}", answer.metric, estimate_text(*answer.value));
  if (!answer.capacity) {
    say("No capacity up to all {} experts a layer will do ({}): {} at most.\n", answer.experts, design, value);
    return;
  }
  say("{} experts a layer ({}): {}.\n", *answer.capacity, design, value);
  if (!question.capacity)
    say("The interval reaches the target from {} on, as a whole from {} on.\n", at_most(answer.low),
        at_most(answer.high));
  const std::string bytes = answer.bytes ? fmt::format(", {} GB of experts", number_text(*answer.bytes / 1e9)) : "";
  say("That is {} of {} experts, {} token cycles{}.\n", *answer.capacity, answer.experts,
      number_text(*answer.token_cycles), bytes);
  if (!answer.per_layer.empty()) {
    const auto [least, most] = std::minmax_element(answer.per_layer.begin(), answer.per_layer.end());
    say("Layers by themselves need from {} to {}.\n", *least, *most);
  }
  if (answer.trajectories || answer.sequences)
    say("A half-width of {} % takes {} trajectories and {} sequences.\n",
        number_text(100 * question.relative_half_width),
        answer.trajectories ? count_text(*answer.trajectories) : "an unknown number of",
        answer.sequences ? count_text(*answer.sequences) : "an unknown number of");
}

void size(SizeOptions& options) {
  SizeQuestion& question = options.question;
  question.trace = options.trace;
  const auto& policies = policy_names();
  question.policy = std::find_if(policies.begin(), policies.end(), [&](const auto& one) {
                      return one.first == options.policy;
                    })->second;
  if (!options.memory.empty()) question.memory_bytes = parse_bytes(options.memory);
  question.longest_context = options.context == "max";
  if (!question.longest_context && !options.context.empty()) {
    question.context = static_cast<std::uint32_t>(std::stoul(options.context));
  }
  const SizeAnswer found = answer(question);
  if (options.json) {
    say_json(to_json(found));
    return;
  }
  if (found.value) print_capacity(question, found);
  if (found.context) print_context(question, found);
}

std::vector<std::string> words_of_policies() {
  std::vector<std::string> words;
  for (const auto& [word, policy] : policy_names()) {
    if (has_capacity(policy)) words.emplace_back(word);
  }
  return words;
}

std::string check_context(const std::string& text) {
  const bool digits = !text.empty() && text.size() <= 8 && text.find_first_not_of("0123456789") == std::string::npos;
  return text == "max" || (digits && std::stoul(text) > 0 && std::stoul(text) <= kLongestContext)
             ? ""
             : "expected max, or tokens from 1 to 16777216";
}

}  // namespace

void add_size(CLI::App& app, const Common&) {
  auto options = std::make_shared<SizeOptions>();
  SizeQuestion& question = options->question;
  CLI::App* command = app.add_subcommand("size", "The smallest cache, the longest context, the samples that will do");
  command->add_option("TRACE", options->trace, "Router trace");
  auto* rate = command->add_option("--hit-rate", question.hit_rate, "Hits per distinct expert of a pass, at least")
                   ->check(CLI::Range(0.0, 1.0));
  auto* speed = command
                    ->add_option("--tokens-per-second", question.tokens_per_second,
                                 "Speed of all requests together on --hardware, at least")
                    ->check(CLI::PositiveNumber)
                    ->excludes(rate);
  command->add_option("--capacity", question.capacity, "Experts a layer that are given")
      ->excludes(rate)
      ->excludes(speed);
  command->add_option("--policy", options->policy, "Cache policy")->check(CLI::IsMember(words_of_policies()));
  command->add_option("--batch", question.batch, "Requests at a time")->check(CLI::Range(1U, 1024U));
  command->add_option("--depth", question.depth, "Draft tokens a round; 0 = autoregressive")
      ->check(CLI::Range(0U, 64U));
  command->add_option("--alpha", question.alpha, "Accepted length / depth, in the mean")->check(CLI::Range(0.0, 1.0));
  command->add_option("--hardware", question.hardware, "System preset, or a file");
  command->add_option("--model", question.model, "Model preset, or a config.json: bytes of an expert");
  command->add_option("--scheme", question.scheme, "Way of decoding on the hardware");
  command->add_option("--context", options->context, "Cached tokens of a request, or max: the longest that fits")
      ->check(check_context);
  command->add_option("--memory", options->memory,
                      "Size of the nearest memory of each device in place of the preset's, e.g. 80GB");
  command
      ->add_option("--half-width", question.relative_half_width,
                   "Relative, that trajectories and sequences are wanted for")
      ->check(CLI::Range(1e-6, 1.0));
  command->add_option("--trajectories", question.trajectories, "Simulated to answer")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  command->add_option("--seed", question.seed, "Seed, 32 bits");
  command->add_option("--threads", question.threads, "0 = all cores");
  command->add_flag("--json", options->json, "Print JSON on stdout");
  command->footer(
      "Example: moecarlo size trace.h5 --hit-rate 0.8 --policy lru --batch 8 --depth 4\n"
      "Example: moecarlo size --memory 80GB --context max --hardware h100-pcie --model gpt-oss-20b");
  command->callback([options] { size(*options); });
}

}  // namespace moecarlo::cli
