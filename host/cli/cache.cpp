#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "host/cache/cache_events.hpp"
#include "host/cache/replay.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"
#include "host/support/progress.hpp"

namespace moecarlo::cli {
namespace {

using Json = nlohmann::ordered_json;

const std::map<std::string, Policy>& policies() {
  static const std::map<std::string, Policy> by_name(policy_names().begin(), policy_names().end());
  return by_name;
}

/// The policies of which `holds` is true, by their words.
std::string names_of(bool (*holds)(Policy)) {
  std::vector<const char*> names;
  for (const auto& [name, policy] : policy_names()) {
    if (holds(policy)) names.push_back(name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

struct CacheArguments {
  std::string trace, policy, scope = "layer", lookups = "trace";
  std::uint32_t capacity = 0;
  std::optional<std::uint32_t> protected_capacity, seed;  // empty where not given
  std::optional<std::string> order, start;
  bool json = false;
};

/// What was replayed and what came out.
struct Outcome {
  CacheEvents events;
  ReplayOptions options;
  HitCounts hits, bound;
  std::optional<std::uint64_t> matching;  ///< look-ups that the recorded cache found alike
};

/// Options that would change nothing are refused: somebody who gives one expects that it does.
void refuse_idle_options(const CacheArguments& arguments) {
  const auto refuse = [&](const char* option, const char* expected, const std::string& found) {
    fail(ErrorKind::usage, "cache: {} would change nothing (expected it with {}, found {})", option, expected, found);
  };
  const std::string given = "--policy " + arguments.policy;
  const Policy policy = policies().at(arguments.policy);
  if (needs_rounds(policy)) {
    fail(ErrorKind::usage, "cache: {} needs rounds, which look-ups have not (expected one of {}, found it)", given,
         names_of([](Policy other) { return !needs_rounds(other); }));
  }
  if (arguments.protected_capacity && !has_protected(policy)) {
    refuse("--protected", ("--policy " + names_of(has_protected)).c_str(), given);
  }
  if (arguments.seed && !draws(policy)) refuse("--seed", ("--policy " + names_of(draws)).c_str(), given);
  if (arguments.start && never_changes(policy)) refuse("--start", "a policy that admits", given);
  if (arguments.lookups == "recorded" && arguments.order.value_or("sequential") == "event") {
    fail(ErrorKind::usage,
         "cache: --order event is not for a recorded log, whose look-ups were judged one by one (expected sequential, "
         "found event)");
  }
}

ReplayOptions replay_options(const CacheArguments& arguments, const CacheEvents& events) {
  if (arguments.capacity < 1 || arguments.capacity > events.objects) {
    fail(ErrorKind::usage, "cache: --capacity is out of range (expected 1 .. {} objects of a {} cache, found {})",
         events.objects, arguments.scope, arguments.capacity);
  }
  ReplayOptions options;
  options.policy = policies().at(arguments.policy);
  options.capacity = arguments.capacity;
  options.warm = never_changes(options.policy) || arguments.start.value_or("cold") == "warm";
  options.seed = arguments.seed.value_or(options.seed);
  if (has_protected(options.policy)) {
    options.protected_capacity =
        arguments.protected_capacity.value_or(static_cast<std::uint32_t>(std::lround(0.8 * arguments.capacity)));
  }
  if (options.protected_capacity > options.capacity) {
    fail(ErrorKind::usage, "cache: --protected is out of range (expected 0 .. {}, the capacity, found {})",
         options.capacity, options.protected_capacity);
  }
  return options;
}

CacheEvents read_events(const CacheArguments& arguments, const TraceReader& trace, const Lookups& recorded,
                        bool quiet) {
  const CacheScope scope = arguments.scope == "layer" ? CacheScope::layer : CacheScope::global;
  if (!recorded.layer.empty()) return recorded_events(recorded, trace.info(), scope);
  const bool sequential = arguments.order.value_or("event") == "sequential";
  Progress progress("reading trace", trace.info().tokens, progress_style(quiet));
  return trace_events(trace, scope, sequential ? LookupOrder::sequential : LookupOrder::event,
                      [&](std::uint64_t done) { progress.update(done); });
}

Lookups read_recorded(const CacheArguments& arguments, const TraceReader& trace) {
  if (arguments.lookups != "recorded") return {};
  if (trace.extras().lookups == 0) {
    fail(ErrorKind::usage, "{}: --lookups recorded needs a recorded log (expected group lookups, found none)",
         trace.info().path);
  }
  return trace.read_lookups();
}

Outcome play(const CacheArguments& arguments, const TraceReader& trace, bool quiet) {
  const Lookups recorded = read_recorded(arguments, trace);
  Outcome outcome;
  outcome.events = read_events(arguments, trace, recorded, quiet);
  outcome.options = replay_options(arguments, outcome.events);
  const auto hits = replay(outcome.events, outcome.options);
  outcome.hits = count_hits(outcome.events, hits);
  ReplayOptions best = outcome.options;
  best.policy = Policy::belady_bypass;
  outcome.bound = count_hits(outcome.events, replay(outcome.events, best));
  if (!recorded.layer.empty()) {
    outcome.matching = 0;
    for (std::size_t i = 0; i < hits.size(); ++i) *outcome.matching += hits[i] == recorded.hit[i];
  }
  return outcome;
}

/// NaN, which becomes null, where there was no look-up.
double rate(std::uint64_t hits, std::uint64_t lookups) {
  return static_cast<double>(hits) / static_cast<double>(lookups);
}

Json layer_rates(const HitCounts& counts) {
  Json rates = Json::array();
  for (std::size_t layer = 0; layer < counts.layer_hits.size(); ++layer) {
    rates.push_back(rate(counts.layer_hits[layer], counts.layer_lookups[layer]));
  }
  return rates;
}

/// What a policy's name leaves open. Empty where it says all.
std::string policy_note(const CacheArguments& arguments) {
  const bool event = arguments.lookups == "trace" && arguments.order.value_or("event") == "event";
  return with_rule(policies().at(arguments.policy), [event](auto rule) {
    using Rule = decltype(rule);
    const char* const note = event && *Rule::kEventNote != 0 ? Rule::kEventNote : Rule::kNote;
    return *note == 0 ? std::string() : fmt::format("{} {}", Rule::kName, note);
  });
}

std::string order_name(const CacheArguments& arguments) {
  return arguments.order.value_or(arguments.lookups == "recorded" ? "sequential" : "event");
}

Json to_json(const Outcome& outcome, const CacheArguments& arguments, const TraceInfo& info) {
  const HitCounts& hits = outcome.hits;
  Json json = {{"trace", {{"path", info.path}, {"model", info.model}}},
               {"policy", arguments.policy},
               {"capacity", outcome.options.capacity},
               {"scope", arguments.scope},
               {"lookups_from", arguments.lookups},
               {"order", order_name(arguments)},
               {"start", outcome.options.warm ? "warm" : "cold"}};
  if (const std::string note = policy_note(arguments); !note.empty()) json["policy_note"] = note;
  if (has_protected(outcome.options.policy)) json["protected"] = outcome.options.protected_capacity;
  if (draws(outcome.options.policy)) json["seed"] = outcome.options.seed;
  json["lookups"] = hits.lookups;
  json["hits"] = hits.hits;
  json["misses"] = hits.lookups - hits.hits;
  json["hit_rate"] = rate(hits.hits, hits.lookups);
  json["oracle"] = {{"policy", to_string(Policy::belady_bypass)},
                    {"hit_rate", rate(outcome.bound.hits, outcome.bound.lookups)}};
  if (outcome.matching) json["agreement"] = {{"matching", *outcome.matching}, {"of", hits.lookups}};
  json["per_layer"] = {{"lookups", hits.layer_lookups}, {"hit_rate", layer_rates(hits)}};
  json["per_layer"]["oracle_hit_rate"] = layer_rates(outcome.bound);
  return json;
}

void print_table(const Outcome& outcome, const CacheArguments& arguments, const TraceInfo& info) {
  const HitCounts &hits = outcome.hits, &bound = outcome.bound;
  const std::string segment = has_protected(outcome.options.policy)
                                  ? fmt::format(", {} of them protected", outcome.options.protected_capacity)
                                  : "";
  say("{} ({}): {} with {} slots{}{}, {}, {} start\n\n", info.path, info.model, arguments.policy,
      outcome.options.capacity, arguments.scope == "layer" ? " per layer" : " in one pool", segment,
      arguments.lookups == "recorded" ? "recorded look-ups" : order_name(arguments) + " look-ups of the trace",
      outcome.options.warm ? "warm" : "cold");
  if (const std::string note = policy_note(arguments); !note.empty()) say("note: {}\n\n", note);
  const auto line = [](const char* name, const std::string& text) { say("{:<24}{:>18}\n", name, text); };
  line("look-ups", std::to_string(hits.lookups));
  line("hits", std::to_string(hits.hits));
  line("misses", std::to_string(hits.lookups - hits.hits));
  line("hit rate", fmt::format("{:.5f}", rate(hits.hits, hits.lookups)));
  line("hit rate of the optimum", fmt::format("{:.5f}", rate(bound.hits, bound.lookups)));
  if (outcome.matching) line("agrees with the log in", fmt::format("{} of {}", *outcome.matching, hits.lookups));
  say("\n{:<8}{:>12}{:>12}{:>12}\n", "layer", "look-ups", "hit rate", "optimum");
  for (std::uint32_t layer = 0; layer < outcome.events.layers; ++layer) {
    const std::uint64_t lookups = hits.layer_lookups[layer];
    const auto cell = [&](std::uint64_t count) { return lookups ? fmt::format("{:.5f}", rate(count, lookups)) : "-"; };
    say("{:<8}{:>12}{:>12}{:>12}\n", layer, lookups, cell(hits.layer_hits[layer]), cell(bound.layer_hits[layer]));
  }
}

void run(const CacheArguments& arguments, const Common& common) {
  refuse_idle_options(arguments);
  const TraceReader trace(arguments.trace);
  const Outcome outcome = play(arguments, trace, common.quiet);
  if (arguments.json) {
    say_json(to_json(outcome, arguments, trace.info()));
  } else {
    print_table(outcome, arguments, trace.info());
  }
}

}  // namespace

void add_cache(CLI::App& app, const Common& common) {
  CLI::App* command = app.add_subcommand("cache", "Exact replay of a cache policy over a trace or a recorded log");
  const auto arguments = std::make_shared<CacheArguments>();
  command->add_option("TRACE", arguments->trace, "Trace file (HDF5, schema moecarlo-trace 1)")->required();
  command->add_option("--policy", arguments->policy, "What the cache keeps")
      ->check(CLI::IsMember(&policies()))
      ->required();
  command->add_option("--capacity", arguments->capacity, "Experts that it holds: per layer, or in the one pool")
      ->required();
  command->add_option("--protected", arguments->protected_capacity,
                      "slru: experts in the protected segment (default: 0.8 of the capacity, rounded)");
  command->add_option("--scope", arguments->scope, "A cache per layer, or one pool for all layers")
      ->check(CLI::IsMember({"layer", "global"}))
      ->capture_default_str();
  command->add_option("--lookups", arguments->lookups, "Look-ups: the trace's choices, or its recorded log")
      ->check(CLI::IsMember({"trace", "recorded"}))
      ->capture_default_str();
  command
      ->add_option("--order", arguments->order,
                   "Judge the choices of a token and layer together, or one by one (default: event; a log: sequential)")
      ->check(CLI::IsMember({"event", "sequential"}));
  command
      ->add_option("--start", arguments->start,
                   "Start empty, or with the most referenced objects (default: cold; static always starts warm)")
      ->check(CLI::IsMember({"cold", "warm"}));
  command->add_option("--seed", arguments->seed, "random: seed of the victims (default: 1)");
  command->add_flag("--json", arguments->json, "JSON on stdout and nothing else");
  command->footer(
      "Example:\n"
      "  moecarlo cache gptoss20b.h5 --policy lru --capacity 8\n"
      "  moecarlo cache hy3.h5 --lookups recorded --policy slru --capacity 6484 --protected 5187 --scope global\n\n"
      "The tokens run front to back, decode tokens where the file marks any; no cache is emptied in between. The\n"
      "optimum is belady-bypass: it knows the future and need not keep what it fetches.\n\n"
      "lfu counts the uses since admission: an object's count is forgotten when it is evicted, and ties evict the\n"
      "least recently used. lfu-kept keeps its counts for ever: up to half as many misses more or less.\n"
      "With --order event the experts of a token are judged together, then admitted one by one. Under fifo, and under\n"
      "belady, which has to admit whatever it fetches, an expert of the token at hand may be evicted by a later one "
      "of\n"
      "the same token; under belady all but the last. With --order sequential any object may be.");
  command->callback([arguments, &common] { run(*arguments, common); });
}

}  // namespace moecarlo::cli
