#include "host/study/parse_study.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "host/study/acceptance_models.hpp"
#include "host/study/duration.hpp"
#include "host/study/limits.hpp"
#include "host/study/table_reader.hpp"
#include "host/support/error.hpp"
#include "host/support/text_file.hpp"

namespace moecarlo {
namespace {

void read_main(TableReader table, Study& study, const std::filesystem::path& folder) {
  study.name = table.text("name").value_or("study");
  const auto trace = table.text("trace");
  if (!trace) table.missing("trace", "the path of a router trace");
  study.trace = std::filesystem::weakly_canonical(folder / *trace);
  study.mode = table.choice("mode", mode_names()).value_or(study.mode);
  study.seed = static_cast<std::uint32_t>(table.integer("seed", 0, 4294967295).value_or(study.seed));
  study.trajectories = static_cast<std::uint64_t>(
      table.integer("trajectories", 1, std::int64_t{1} << 48).value_or(static_cast<std::int64_t>(study.trajectories)));
  study.rounds = static_cast<std::uint32_t>(table.integer("rounds", 1, kMostRounds).value_or(study.rounds));
  if (const auto rows = table.integer("rounds_rows", 1, kMostDraftTokens + 1)) {
    study.rounds_rows = static_cast<std::uint32_t>(*rows);
  }
  study.start = table.choice("start", start_names()).value_or(study.start);
  study.warmup = static_cast<std::uint32_t>(table.integer("warmup", 0, kMostRounds - 1).value_or(study.warmup));
  study.split_seed = static_cast<std::uint32_t>(table.integer("split_seed", 0, 4294967295).value_or(study.split_seed));
  if (table.is_text("calibration")) {
    const Names<bool> all = {{"all", true}};
    table.choice("calibration", all);
    study.calibration.reset();
  } else if (const auto share = table.number("calibration", 0, 1)) {
    if (*share <= 0 || *share >= 1) table.wrong("calibration", "a share between 0 and 1, or \"all\"");
    study.calibration = share;
  }
  study.temperature = table.number("temperature", 0, 1000).value_or(study.temperature);
  if (study.temperature <= 0) table.wrong("temperature", "a number above 0");
  study.redraw = table.choice("redraw", redraw_names()).value_or(study.redraw);
  if (const auto histograms = table.choices("histograms", asked_histogram_names())) {
    for (const std::uint32_t place : *histograms) study.histograms |= 1U << place;
  }
  if (const auto ranges = table.integers("layer_ranges", 1, kMostLayers - 1)) {
    study.layer_ranges.assign(ranges->begin(), ranges->end());
    std::sort(study.layer_ranges.begin(), study.layer_ranges.end());
    study.layer_ranges.erase(std::unique(study.layer_ranges.begin(), study.layer_ranges.end()),
                             study.layer_ranges.end());
    if (study.layer_ranges.size() >= LayerRanges::kMost) {
      table.wrong("layer_ranges", fmt::format("up to {} layers", LayerRanges::kMost - 1));
    }
  }
  const Names<std::string> backends = {{"auto", "auto"}, {"cpu", "cpu"}, {"cuda", "cuda"}};
  study.run.backend = table.choice("backend", backends).value_or(study.run.backend);
  study.run.threads = static_cast<std::uint32_t>(table.integer("threads", 0, 4096).value_or(0));
  if (const auto device = table.integer("device", 0, 1023)) study.run.device = static_cast<std::uint32_t>(*device);
  if (const auto limit = table.text("time_limit")) {
    study.run.time_limit_seconds = parse_duration(*limit);
    if (!study.run.time_limit_seconds) table.wrong("time_limit", "a duration such as \"90s\", \"20m\" or \"3h\"");
  }
  table.refuse_unknown();
}

void read_grid(TableReader table, GridSpec& grid) {
  const auto take = [&](const char* key, std::int64_t low, std::int64_t high, std::vector<std::uint32_t>& into) {
    if (auto values = table.integers(key, low, high)) into.assign(values->begin(), values->end());
    std::sort(into.begin(), into.end());
    into.erase(std::unique(into.begin(), into.end()), into.end());
  };
  take("batch", 1, kMostBatch, grid.batch);
  take("depth", 0, kMostDraftTokens, grid.depth);
  take("capacity", 0, kMostExperts, grid.capacity);
  if (const auto nested = table.pairs("nested", 0, kMostExperts)) {
    for (const auto& [near, far] : *nested) {
      grid.nested.push_back({static_cast<std::uint32_t>(near), static_cast<std::uint32_t>(far)});
      grid.capacity.insert(grid.capacity.end(), {grid.nested.back().near, grid.nested.back().far});
    }
    std::sort(grid.capacity.begin(), grid.capacity.end());
    grid.capacity.erase(std::unique(grid.capacity.begin(), grid.capacity.end()), grid.capacity.end());
  }
  take("pool", 1, kMostExperts * kMostLayers, grid.pool);
  take("bits", 2, 8, grid.bits);
  if (auto policies = table.choices("policy", policy_names())) grid.policy = *policies;
  const bool sized =
      std::any_of(grid.policy.begin(), grid.policy.end(), [](Policy policy) { return has_capacity(policy); });
  if (sized && grid.capacity.empty() && grid.pool.empty()) {
    table.missing("capacity", "experts per layer, e.g. [4, 8]");
  }
  table.refuse_unknown();
}

void read_cache(TableReader table, CacheSpec& cache) {
  cache.scope = table.choice("scope", scope_names()).value_or(cache.scope);
  cache.objects = table.choice("objects", objects_names()).value_or(cache.objects);
  for (std::uint32_t i = 0; i < kPolicies; ++i) {
    const PolicyParameter& parameter = parameter_of(Policy{i});
    const auto value = parameter.key == nullptr ? std::nullopt : table.number(parameter.key, 0, kMostRounds);
    if (!value) continue;
    if (!parameter.takes(*value)) table.wrong(parameter.key, parameter.expected);
    cache.parameters[parameter.key] = *value;
  }
  table.refuse_unknown();
}

void read_draft(TableReader table, DraftSpec& draft) {
  draft.width = static_cast<std::uint32_t>(table.integer("width", 1, kMostDraftTokens).value_or(draft.width));
  draft.verify_tokens = static_cast<std::uint32_t>(table.integer("verify_tokens", 1, kMostDraftTokens).value_or(0));
  draft.sibling_routing = table.number("sibling_routing", 0, 1);
  draft.gate_mass = table.boolean("gate_mass");
  draft.replacements = table.choice("replacements", replacements_names()).value_or(draft.replacements);
  if (draft.width > 1 && !draft.sibling_routing) {
    table.missing("sibling_routing", "how often a sibling keeps an expert of its path token, 0 to 1");
  }
  if (draft.width == 1 && (draft.sibling_routing || draft.verify_tokens != 0)) {
    table.wrong(draft.sibling_routing ? "sibling_routing" : "verify_tokens", "a tree: draft.width above 1");
  }
  table.refuse_unknown();
}

void read_acceptance(TableReader table, AcceptanceSpec& acceptance, const std::filesystem::path& folder,
                     std::vector<std::string>& notes) {
  acceptance.model = table.choice("model", acceptance_names()).value_or(acceptance.model);
  acceptance.rejected_routing =
      table.choice("rejected_routing", rejected_routing_names()).value_or(acceptance.rejected_routing);
  row_of(acceptance.model).read(table, acceptance, folder, notes);
  table.refuse_unknown();
}

/// What the study states under a key of rules; empty where it says nothing.
std::vector<double> read_demand_parameter(TableReader& table, const DemandParameter& parameter,
                                          const std::filesystem::path& folder,
                                          std::map<std::string, std::filesystem::path>& files) {
  std::vector<double> values;
  switch (parameter.kind) {
    case DemandParameter::Kind::numbers:
      values = table.numbers(parameter.key, parameter.least, parameter.most).value_or(values);
      break;
    case DemandParameter::Kind::integers:
      if (const auto whole = table.integers(parameter.key, static_cast<std::int64_t>(parameter.least),
                                            static_cast<std::int64_t>(parameter.most))) {
        values.assign(whole->begin(), whole->end());
      }
      break;
    case DemandParameter::Kind::word: {
      Names<double> names;
      for (const char* word : parameter.words) {
        if (word != nullptr) names.emplace_back(word, static_cast<double>(names.size()));
      }
      if (const auto place = table.choice(parameter.key, names)) values = {*place};
      break;
    }
    case DemandParameter::Kind::flag:
      if (const auto is_set = table.boolean(parameter.key)) values = {*is_set ? 1.0 : 0.0};
      break;
    case DemandParameter::Kind::file:
      if (const auto file = table.text(parameter.key)) {
        files[parameter.key] = std::filesystem::weakly_canonical(folder / *file);
        values = {0};
      }
      break;
  }
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

/// Every file and every list of a rule is there, or one of those lists of which it takes one.
void expect_lists(const TableReader& table, const DemandSpec& demand, DemandRule rule) {
  const char *first = nullptr, *stated = nullptr;
  std::string missing;
  for (const DemandParameter& parameter : parameters_of(rule)) {
    if (parameter.kind == DemandParameter::Kind::file && demand.stated.count(parameter.key) == 0) {
      table.missing(parameter.key, fmt::format("a file for {}: {}", to_string(rule), parameter.meaning));
    }
    if (!parameter.is_list()) continue;
    const bool is_stated = demand.stated.count(parameter.key) > 0;
    if (is_stated && stated != nullptr && takes_one_list(rule)) {
      table.wrong(parameter.key, fmt::format("{} or {} for {}, not both", stated, parameter.key, to_string(rule)));
    }
    if (is_stated) stated = parameter.key;
    if (is_stated || parameter.is_optional || (first != nullptr && !takes_one_list(rule))) continue;
    if (first == nullptr) first = parameter.key;
    missing += fmt::format("{}{}, {}", missing.empty() ? "" : "; or ", parameter.key, parameter.meaning);
  }
  if (first == nullptr || (stated != nullptr && takes_one_list(rule))) return;
  table.missing(first, fmt::format("a list for {}: {}", to_string(rule), missing));
}

/// More than any product of a gate and an activation.
constexpr double kMostMagnitude = 1e9;

DemandSpec read_demand(TableReader table, const std::filesystem::path& folder) {
  DemandSpec demand;
  demand.rules = table.choices("rule", demand_rule_names()).value_or(demand.rules);
  for (const DemandParameter* parameter : demand_parameters()) {
    const std::vector<double> values = read_demand_parameter(table, *parameter, folder, demand.files);
    if (!values.empty()) demand.stated[parameter->key] = values;
  }
  if (const auto channels = table.numbers("channels", 0, kMostMagnitude)) {
    demand.channels = *channels;
    std::sort(demand.channels.begin(), demand.channels.end());
    demand.channels.erase(std::unique(demand.channels.begin(), demand.channels.end()), demand.channels.end());
  }
  if (table.is_text("path")) {
    demand.path = *table.choice("path", path_probability_names());
  } else if (const auto listed = table.numbers("path", 0, 1)) {
    if (listed->front() != 1 || !std::is_sorted(listed->rbegin(), listed->rend())) {
      table.wrong("path", "path probabilities of depth 0, 1, 2, ..., which begin with 1 and do not grow");
    }
    demand.path = PathProbability::listed;
    demand.confidences = *listed;
  }
  if (const auto loss = table.text("loss")) demand.loss = std::filesystem::weakly_canonical(folder / *loss);
  for (const DemandRule rule : demand.rules) expect_lists(table, demand, rule);
  table.refuse_unknown();
  return demand;
}

/// None where the predictor is "none".
std::optional<PrefetchSpec> read_prefetch(TableReader table) {
  Names<std::optional<Predictor>> names = {{"none", std::nullopt}};
  for (const auto& [word, predictor] : predictor_names()) names.emplace_back(word, predictor);
  PrefetchSpec prefetch;
  const auto predictor = table.choice("predictor", names);
  if (!predictor) table.missing("predictor", "what foresees the experts of a layer");
  if (const auto leads = table.integers("layers", 1, kMostLayers - 1)) {
    prefetch.leads.assign(leads->begin(), leads->end());
    std::sort(prefetch.leads.begin(), prefetch.leads.end());
    prefetch.leads.erase(std::unique(prefetch.leads.begin(), prefetch.leads.end()), prefetch.leads.end());
    if (prefetch.leads.size() > kMostLeads) table.wrong("layers", fmt::format("up to {} numbers", kMostLeads));
  }
  if (const auto experts = table.integer("experts", 1, kMostExperts)) {
    prefetch.experts = static_cast<std::uint32_t>(*experts);
  }
  table.refuse_unknown();
  if (!*predictor) return std::nullopt;
  prefetch.predictor = **predictor;
  return prefetch;
}

PrefillSpec read_prefill(TableReader table) {
  PrefillSpec prefill;
  prefill.chunk = static_cast<std::uint32_t>(table.integer("chunk", 1, kMostBatch).value_or(prefill.chunk));
  if (const auto slots = table.integer("psum_slots", 0, kMostBatch)) {
    prefill.psum_slots = static_cast<std::uint32_t>(*slots);
  }
  prefill.psum_forced = table.boolean("psum_forced").value_or(false);
  if (prefill.psum_forced && prefill.psum_slots.value_or(0) == 0) {
    table.missing("psum_slots", "the slots that partial sums are forced into");
  }
  prefill.mixed = table.number("mixed", 0, 1);
  if (prefill.mixed && (*prefill.mixed == 0 || *prefill.mixed == 1)) table.wrong("mixed", "a share between 0 and 1");
  table.refuse_unknown();
  return prefill;
}

StopSpec read_stop(TableReader table) {
  StopSpec stop;
  if (auto metrics = table.texts("metrics")) stop.metrics = *metrics;
  const auto width = table.number("relative_half_width", 0, 1);
  if (!width) table.missing("relative_half_width", "a number above 0, e.g. 0.005");
  if (*width <= 0) table.wrong("relative_half_width", "a number above 0, e.g. 0.005");
  stop.relative_half_width = *width;
  table.refuse_unknown();
  return stop;
}

HardwareSpec read_hardware(TableReader table, const std::filesystem::path& folder) {
  HardwareSpec hardware;
  const auto model = table.text("model");
  if (!model) table.missing("model", "a preset or a Hugging Face config.json");
  const bool is_path = model->find('/') != std::string::npos || model->find(".json") != std::string::npos;
  hardware.model = is_path ? std::filesystem::weakly_canonical(folder / *model).string() : *model;
  if (const auto contexts = table.integers("context", 1, 1 << 24)) {
    const bool range = contexts->size() == 2 && contexts->front() < contexts->back();
    if (contexts->size() != 1 && !range) table.wrong("context", "a number, or [low, high]");
    if (range) hardware.least_context = static_cast<std::uint32_t>(contexts->front());
    hardware.context = static_cast<std::uint32_t>(contexts->back());
  }
  const auto systems = table.texts("systems");
  if (!systems) table.missing("systems", "names of system presets");
  hardware.systems = *systems;
  if (auto schemes = table.texts("schemes")) hardware.schemes = *schemes;
  hardware.reference = table.text("reference").value_or(hardware.reference);
  if (auto set = table.table("set")) {
    for (const std::string& key : set->keys()) hardware.set.emplace(key, set->text(key).value());
  }
  if (auto vary = table.table("vary")) {
    for (const std::string& key : vary->keys()) {
      std::vector<double> factors = vary->numbers(key, 0.01, 100).value();
      factors.push_back(1);
      std::sort(factors.begin(), factors.end());
      factors.erase(std::unique(factors.begin(), factors.end()), factors.end());
      hardware.vary.emplace(key, factors);
    }
  }
  if (const auto slices = table.text("bit_slices")) {
    hardware.bit_slices = std::filesystem::weakly_canonical(folder / *slices).string();
  }
  table.refuse_unknown();
  return hardware;
}

}  // namespace

Study parse_study(std::string_view text, const std::string& name, const std::filesystem::path& folder) {
  const toml::table root = parse_toml(text, name);
  TableReader top(root, name, "");
  Study study;
  const auto main = top.table("study");
  const auto grid = top.table("grid");
  const auto cache = top.table("cache");
  const auto draft = top.table("draft");
  const auto acceptance = top.table("acceptance");
  const auto demand = top.table("demand");
  const auto prefetch = top.table("prefetch");
  const auto prefill = top.table("prefill");
  const auto stop = top.table("stop");
  const auto hardware = top.table("hardware");
  top.refuse_unknown();
  if (!main) top.missing("study", "a table [study] with at least the key trace");
  if (!grid) top.missing("grid", "a table [grid] with at least the key capacity");
  if (!acceptance) top.missing("acceptance", "a table [acceptance] with the keys of its model");
  read_main(*main, study, folder);
  read_grid(*grid, study.grid);
  if (cache) read_cache(*cache, study.cache);
  if (draft) read_draft(*draft, study.draft);
  read_acceptance(*acceptance, study.acceptance, folder, study.notes);
  if (demand) study.demand = read_demand(*demand, folder);
  if (prefetch) study.prefetch = read_prefetch(*prefetch);
  if (prefill) study.prefill = read_prefill(*prefill);
  if (stop) study.stop = read_stop(*stop);
  if (hardware) study.hardware = read_hardware(*hardware, folder);
  check_study(study, name);
  return study;
}

Study read_study(const std::filesystem::path& file) {
  const std::string text = read_text_file(file, ErrorKind::usage, "a study, a TOML file", largest_toml_bytes);
  return parse_study(text, file.string(), std::filesystem::absolute(file).parent_path());
}

}  // namespace moecarlo
