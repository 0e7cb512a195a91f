#include "host/study/study_keys.hpp"

#include <fmt/format.h>

#include "host/study/limits.hpp"
#include "host/study/names.hpp"

namespace moecarlo {
namespace {

template <class T>
std::string one_of(const Names<T>& names) {
  std::string words;
  for (const auto& [word, value] : names) words += fmt::format("{}\"{}\"", words.empty() ? "" : ", ", word);
  return words;
}

std::string list_of(const std::string& element) {
  return "list of " + element;
}

const Study kDefaults{};

void add_study(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* key, const std::string& type, const std::string& initial, const char* unit,
                       const char* meaning) {
    keys.push_back({"study", key, type, initial, unit, meaning});
  };
  add("name", "text", "\"study\"", "", "the report's title");
  add("trace", "path", "required", "", "router trace; relative to the study file");
  add("mode", one_of(mode_names()), "\"random\"", "",
      "random walks; every case enumerated; the trace front to back; routing redrawn from the logits");
  add("seed", "integer", "1", "", "of all random numbers, 32 bits");
  add("trajectories", "integer", std::to_string(kDefaults.trajectories), "trajectories",
      "how many are simulated, or at most under [stop]");
  add("rounds", "integer", std::to_string(kDefaults.rounds), "rounds", "verification passes of each trajectory");
  add("rounds_rows", "integer", "all", "rows",
      "acceptance.model = \"rounds\": of each recorded round the first rows are replayed, as if no more had been "
      "verified");
  add("start", one_of(start_names()), "\"warm\"", "",
      "caches hold the most popular experts at first, or nothing (static residents always begin warm)");
  add("warmup", "integer", "0", "rounds", "simulated before counting begins");
  add("calibration", "number or \"all\"", "0.2", "share of sequences",
      "those that fix which experts are popular and what is fitted; \"all\": none is held back");
  add("split_seed", "integer", "0", "", "which sequences these are");
  add("temperature", "number", "1", "", "mode perturbed: of the redrawn routing");
  add("redraw", one_of(redraw_names()), "\"alias\"", "", "mode perturbed: how routing is drawn");
  add("histograms", list_of(one_of(asked_histogram_names())), "none", "", "counted beside the metrics of every study");
  add("layer_ranges", list_of("integers"), "none", "layers",
      "first layers of ranges for which what hardware sees is kept apart, such as devices hold");
  add("backend", "\"auto\", \"cpu\", \"cuda\"", "\"auto\"", "", "where it is simulated; the counts are the same");
  add("threads", "integer", "0", "threads", "of the CPU backend; 0 = all cores");
  add("device", "integer", "none", "", "number of the GPU; without it the local rank's turn");
  add("time_limit", "text", "none", "s, m or h", "stop with a checkpoint after so long, such as \"20m\"");
}

void add_grid(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* key, const std::string& type, const std::string& initial, const char* unit,
                       const std::string& meaning) {
    keys.push_back({"grid", key, type, initial, unit, meaning});
  };
  const std::string integers = list_of("integers");
  add("batch", integers, "[1]", "requests", fmt::format("verified together, up to {}", kMostBatch));
  add("depth", integers, "[4]", "tokens",
      fmt::format("drafted a round, up to {}; 0 = autoregressive", kMostDraftTokens));
  add("policy", list_of(one_of(policy_names())), "[\"static\"]", "", "which experts are kept in fast memory");
  add("capacity", integers, "required, but for window alone", "experts per layer", "in fast memory");
  add("nested", "list of pairs of integers", "none", "experts per layer",
      "of a tier within a tier, policies static and lru: where hits are found, near_hits and far_hits");
  add("pool", integers, "none", "experts",
      "of all layers together, in place of capacity with cache.scope = \"global\"");
  add("bits", integers, "[8]", "bits", "upper bits of each weight that the elastic draft keeps, 2 to 8");
}

void add_cache_and_draft(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* table, const char* key, const std::string& type, const std::string& initial,
                       const char* unit, const std::string& meaning) {
    keys.push_back({table, key, type, initial, unit, meaning});
  };
  add("cache", "scope", one_of(scope_names()), "\"layer\"", "", "a cache a layer, or one pool for all");
  add("cache", "objects", one_of(objects_names()), "\"experts\"", "",
      "what a slot holds: an expert, or the upper or lower half of its weights (with grid.bits = [4])");
  for (std::uint32_t i = 0; i < kPolicies; ++i) {
    const PolicyParameter& parameter = parameter_of(Policy{i});
    if (parameter.key == nullptr) continue;
    add("cache", parameter.key, parameter.expected, fmt::format("{}", parameter.usual), parameter.unit,
        fmt::format("{}: {}", to_string(Policy{i}), parameter.meaning));
  }
  add("draft", "width", "integer", "1", "tokens", "of each level of a draft tree; 1 = a chain");
  add("draft", "verify_tokens", "integer", "all", "tokens", "of a tree that are verified, at most");
  add("draft", "sibling_routing", "number", "required for trees", "share",
      "how often a sibling keeps an expert of its path's token");
  add("draft", "gate_mass", "boolean", "true with policy hotness", "", "count the gate mass that residents cover");
  add("draft", "replacements", one_of(replacements_names()), "\"scores\"", "",
      "what stands in for an absent expert while drafting: the best-scoring resident, or one by popularity");
}

void add_acceptance(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* key, const std::string& type, const std::string& initial, const char* unit,
                       const char* meaning) {
    keys.push_back({"acceptance", key, type, initial, unit, meaning});
  };
  add("model", one_of(acceptance_names()), "\"constant\"", "",
      "what decides whether a draft token is accepted; ratio is for comparing with papers that state it so");
  add("rejected_routing", one_of(rejected_routing_names()), "\"trace\"", "", "what rejected draft tokens route to");
  add("alpha", "number, or list of numbers: a grid axis", "required", "share",
      "constant: acceptance of each draft token, given those before it; ratio: mean accepted length / depth");
  add("positions", list_of("numbers"), "required, or profile", "share",
      "positions: acceptance at each draft position, given those before it");
  add("profile", "path", "none", "", "positions: a speculation_profile.json of NVIDIA's Model-Optimizer");
  add("marginal", list_of("numbers"), "required", "share",
      "marginal: of all drafts those accepted up to and at each position, as vLLM prints them");
  add("lengths", list_of("integers"), "required", "rounds", "lengths: how often the accepted length was 0, 1, 2, ...");
  add("b0", "number", "fitted", "", "coverage: logit of the acceptance where nothing is resident");
  add("b1", "number", "fitted", "", "coverage: what all of the gate mass being resident adds to it");
  add("longest", "integer", "3", "tokens", "ngram: longest suffix that is looked up");
}

/// What a key of demand rules is to each of them: "threshold: ...; half: ...".
std::string meaning_to_rules(const std::string& key) {
  std::string all;
  for (const DemandRule rule : all_demand_rules()) {
    for (const DemandParameter& one : parameters_of(rule)) {
      if (one.key == key) all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", to_string(rule), one.meaning);
    }
  }
  return all;
}

std::string words_of(const DemandParameter& parameter) {
  std::string words;
  for (const char* word : parameter.words) {
    if (word != nullptr) words += fmt::format("{}\"{}\"", words.empty() ? "" : ", ", word);
  }
  return words;
}

void add_demand(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* key, const std::string& type, const std::string& initial,
                       const std::string& meaning) {
    keys.push_back({"demand", key, type, initial, "", meaning});
  };
  add("rule", list_of(one_of(demand_rule_names())), "[\"all\"]",
      "which of the chosen experts are asked of memory; taer is threshold, and coalesce is salient");
  for (const DemandParameter* parameter : demand_parameters()) {
    const std::string meaning = meaning_to_rules(parameter->key);
    switch (parameter->kind) {
      case DemandParameter::Kind::numbers:
        add(parameter->key, list_of("numbers"), parameter->is_optional ? "none" : "required", meaning);
        break;
      case DemandParameter::Kind::integers:
        add(parameter->key, list_of("integers"), "required", meaning);
        break;
      case DemandParameter::Kind::word:
        add(parameter->key, words_of(*parameter), fmt::format("\"{}\"", parameter->words[0]), meaning);
        break;
      case DemandParameter::Kind::flag:
        add(parameter->key, "boolean", "false", meaning);
        break;
      case DemandParameter::Kind::file:
        add(parameter->key, "path", "required", meaning);
        break;
    }
  }
  keys.push_back({"demand", "channels", list_of("numbers"), "[0]", "activation",
                  "least product of gate and input magnitude of a channel that is loaded, with any rule; 0: all "
                  "channels. Needs channel_magnitude in the trace"});
  add("path", "\"acceptance\", \"one\" or list of numbers", "\"acceptance\"",
      "path probability of a draft token: by the drafter's own probabilities where the trace has them "
      "(acceptance/draft_probability), else by the acceptance of each position, an oracle for a drafter's confidence; "
      "1; or by depth, from 1 at depth 0");
  add("loss", "path", "none",
      "what rules cost a model, measured by scripts/capture/measure_loss.py: the report places designs on it");
}

void add_prefetch(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* key, const std::string& type, const std::string& initial, const char* unit,
                       const char* meaning) {
    keys.push_back({"prefetch", key, type, initial, unit, meaning});
  };
  add("predictor", "\"none\", " + one_of(predictor_names()), "required", "",
      "what a layer will ask for: what the last token used; the most popular experts; those most often chosen together "
      "with what was chosen some layers before; what draft steps chose");
  add("layers", list_of("integers"), "[1]", "layers", "how far ahead it is fetched");
  add("experts", "integer", "top-k; layers: 1", "experts",
      "popularity: of each layer; layers: for each expert that was chosen before");
}

void add_prefill(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* key, const std::string& type, const std::string& initial, const char* unit,
                       const char* meaning) {
    keys.push_back({"prefill", key, type, initial, unit, meaning});
  };
  add("chunk", "integer", std::to_string(PrefillSpec{}.chunk), "tokens",
      "that go through the layers together, of one sequence");
  add("psum_slots", "integer", "none", "partial sums",
      "that a memory holds, of the tokens of a chunk, 0 where none stays; without it spills are not counted");
  add("psum_forced", "boolean", "false", "",
      "a partial sum that comes in always takes a slot, even where its own next use is the farthest");
  add("mixed", "number", "none", "share",
      "of decoding rounds that a chunk joins (continuous batching), in hardware rows; without it prompts run alone");
}

void add_stop_and_hardware(std::vector<StudyKey>& keys) {
  const auto add = [&](const char* table, const char* key, const std::string& type, const std::string& initial,
                       const char* unit, const char* meaning) {
    keys.push_back({table, key, type, initial, unit, meaning});
  };
  add("stop", "metrics", list_of("names of metrics"), "[\"tokens_per_round\", \"hit_rate\"]", "",
      "that have to be known");
  add("stop", "relative_half_width", "number", "required", "share of the value", "how well, at the worst point");
  add("hardware", "model", "name or path", "required", "", "a preset, or a Hugging Face config.json");
  add("hardware", "context", "integer or [low, high]", std::to_string(HardwareSpec{}.context), "tokens",
      "cached of each request; of a range each as likely, drawn for each request, with room for the longest");
  add("hardware", "systems", list_of("names or paths"), "required", "", "presets, or .toml files");
  add("hardware", "schemes", list_of("names"), "[\"ar\", \"elastic\"]", "", "ways of decoding");
  add("hardware", "reference", "name or \"none\"", fmt::format("\"{}\"", HardwareSpec{}.reference), "",
      "speed-ups are over its autoregressive decoding");
  add("hardware", "set", "table of texts", "none", "of the constant",
      "constants in place of the presets' own: \"ext.bandwidth\" = \"204.8GB/s\"");
  add("hardware", "vary", "table of lists", "none", "factors",
      "on constants, all crossed: \"hb.capacity\" = [0.5, 2]; each is a system of its own name");
  add("hardware", "bit_slices", "path", "none", "", "a bitslice.json of the experts' weights");
}

}  // namespace

std::vector<StudyKey> study_keys() {
  std::vector<StudyKey> keys;
  add_study(keys);
  add_grid(keys);
  add_cache_and_draft(keys);
  add_acceptance(keys);
  add_demand(keys);
  add_prefetch(keys);
  add_prefill(keys);
  add_stop_and_hardware(keys);
  return keys;
}

}  // namespace moecarlo
