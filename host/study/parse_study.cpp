#include "host/study/parse_study.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "host/study/duration.hpp"
#include "host/study/table_reader.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

// Limits of the address of a random draw (cuda/core/random.hpp).
constexpr std::int64_t kMostRounds = 65535;
constexpr std::int64_t kMostDepth = 255;
constexpr std::int64_t kMostBatch = 4096;
constexpr std::int64_t kMostExperts = 1024;

const Names<Mode> kModes = {{"random", Mode::random}, {"exhaustive", Mode::exhaustive}};
const Names<Start> kStarts = {{"warm", Start::warm}, {"cold", Start::cold}};
const Names<Policy> kPolicies = {{"static", Policy::static_residents}, {"lru", Policy::lru}};
const Names<AcceptanceModel> kAcceptanceModels = {{"constant", AcceptanceModel::constant},
                                                  {"ratio", AcceptanceModel::ratio},
                                                  {"positions", AcceptanceModel::positions},
                                                  {"lengths", AcceptanceModel::lengths}};
const Names<RejectedRouting> kRejectedRoutings = {{"trace", RejectedRouting::trace},
                                                  {"resample", RejectedRouting::resample}};

template <class T>
const char* name_in(const Names<T>& names, T value) {
  return std::find_if(names.begin(), names.end(), [&](const auto& entry) { return entry.second == value; })->first;
}

void read_main(TableReader table, Study& study, const std::filesystem::path& folder) {
  study.name = table.text("name").value_or("study");
  const auto trace = table.text("trace");
  if (!trace) table.missing("trace", "the path of a router trace");
  study.trace = std::filesystem::weakly_canonical(folder / *trace);
  study.mode = table.choice("mode", kModes).value_or(study.mode);
  study.seed = static_cast<std::uint32_t>(table.integer("seed", 0, 4294967295).value_or(study.seed));
  study.trajectories = static_cast<std::uint64_t>(
      table.integer("trajectories", 1, std::int64_t{1} << 48).value_or(static_cast<std::int64_t>(study.trajectories)));
  study.rounds = static_cast<std::uint32_t>(table.integer("rounds", 1, kMostRounds).value_or(study.rounds));
  study.start = table.choice("start", kStarts).value_or(study.start);
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
  const Names<std::string> backends = {{"auto", "auto"}, {"cpu", "cpu"}, {"cuda", "cuda"}};
  study.run.backend = table.choice("backend", backends).value_or(study.run.backend);
  study.run.threads = static_cast<std::uint32_t>(table.integer("threads", 0, 4096).value_or(0));
  study.run.device = static_cast<std::uint32_t>(table.integer("device", 0, 1023).value_or(0));
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
  take("depth", 0, kMostDepth, grid.depth);
  take("capacity", 1, kMostExperts, grid.capacity);
  take("bits", 2, 8, grid.bits);
  if (grid.capacity.empty()) table.missing("capacity", "experts per layer, e.g. [4, 8]");
  if (auto policies = table.choices("policy", kPolicies)) grid.policy = *policies;
  table.refuse_unknown();
}

void read_acceptance(TableReader table, AcceptanceSpec& acceptance) {
  acceptance.model = table.choice("model", kAcceptanceModels).value_or(acceptance.model);
  acceptance.rejected_routing =
      table.choice("rejected_routing", kRejectedRoutings).value_or(acceptance.rejected_routing);
  switch (acceptance.model) {
    case AcceptanceModel::constant:
    case AcceptanceModel::ratio:
      acceptance.alpha = table.number("alpha", 0, 1);
      if (!acceptance.alpha) table.missing("alpha", "a number from 0 to 1");
      break;
    case AcceptanceModel::positions:
      acceptance.positions = table.numbers("positions", 0, 1).value_or(std::vector<double>{});
      if (acceptance.positions.empty()) table.missing("positions", "conditional acceptance of each draft position");
      break;
    case AcceptanceModel::lengths: {
      const auto lengths = table.integers("lengths", 0, std::int64_t{1} << 48);
      if (!lengths) table.missing("lengths", "how often the accepted length was 0, 1, 2, ...");
      acceptance.lengths.assign(lengths->begin(), lengths->end());
      if (std::all_of(lengths->begin(), lengths->end(), [](std::int64_t count) { return count == 0; })) {
        table.wrong("lengths", "at least one count above 0");
      }
      break;
    }
  }
  table.refuse_unknown();
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
  hardware.context = static_cast<std::uint32_t>(table.integer("context", 1, 1 << 24).value_or(hardware.context));
  const auto systems = table.texts("systems");
  if (!systems) table.missing("systems", "names of system presets");
  hardware.systems = *systems;
  if (auto schemes = table.texts("schemes")) hardware.schemes = *schemes;
  table.refuse_unknown();
  return hardware;
}

toml::table to_table(const Study& study) {
  const auto list = [](const auto& values) {
    toml::array array;
    for (const auto& value : values) {
      if constexpr (std::is_convertible_v<decltype(value), std::string>) {
        array.push_back(std::string(value));
      } else if constexpr (std::is_floating_point_v<std::decay_t<decltype(value)>>) {
        array.push_back(value);
      } else {
        array.push_back(static_cast<std::int64_t>(value));
      }
    }
    return array;
  };
  std::vector<std::string> policies;
  for (const Policy policy : study.grid.policy) policies.emplace_back(to_string(policy));
  toml::table main{{"name", study.name},
                   {"trace", study.trace.string()},
                   {"mode", to_string(study.mode)},
                   {"seed", std::int64_t{study.seed}},
                   {"trajectories", static_cast<std::int64_t>(study.trajectories)},
                   {"rounds", std::int64_t{study.rounds}},
                   {"start", to_string(study.start)},
                   {"warmup", std::int64_t{study.warmup}},
                   {"split_seed", std::int64_t{study.split_seed}}};
  if (study.calibration) {
    main.insert("calibration", *study.calibration);
  } else {
    main.insert("calibration", "all");
  }
  toml::table acceptance{{"model", to_string(study.acceptance.model)},
                         {"rejected_routing", to_string(study.acceptance.rejected_routing)}};
  if (study.acceptance.alpha) acceptance.insert("alpha", *study.acceptance.alpha);
  if (!study.acceptance.positions.empty()) acceptance.insert("positions", list(study.acceptance.positions));
  if (!study.acceptance.lengths.empty()) acceptance.insert("lengths", list(study.acceptance.lengths));
  toml::table root{{"study", std::move(main)},
                   {"grid", toml::table{{"batch", list(study.grid.batch)},
                                        {"depth", list(study.grid.depth)},
                                        {"policy", list(policies)},
                                        {"capacity", list(study.grid.capacity)},
                                        {"bits", list(study.grid.bits)}}},
                   {"acceptance", std::move(acceptance)}};
  if (study.stop) {
    root.insert("stop", toml::table{{"metrics", list(study.stop->metrics)},
                                    {"relative_half_width", study.stop->relative_half_width}});
  }
  if (study.hardware) {
    root.insert("hardware", toml::table{{"model", study.hardware->model},
                                        {"context", std::int64_t{study.hardware->context}},
                                        {"systems", list(study.hardware->systems)},
                                        {"schemes", list(study.hardware->schemes)}});
  }
  return root;
}

}  // namespace

const char* to_string(Mode mode) {
  return name_in(kModes, mode);
}
const char* to_string(Start start) {
  return name_in(kStarts, start);
}
const char* to_string(Policy policy) {
  return name_in(kPolicies, policy);
}
const char* to_string(AcceptanceModel model) {
  return name_in(kAcceptanceModels, model);
}
const char* to_string(RejectedRouting routing) {
  return name_in(kRejectedRoutings, routing);
}

Study parse_study(std::string_view text, const std::string& name, const std::filesystem::path& folder) {
  const toml::table root = parse_toml(text, name);
  TableReader top(root, name, "");
  Study study;
  const auto main = top.table("study");
  const auto grid = top.table("grid");
  const auto acceptance = top.table("acceptance");
  const auto stop = top.table("stop");
  const auto hardware = top.table("hardware");
  top.refuse_unknown();
  if (!main) top.missing("study", "a table [study] with at least the key trace");
  if (!grid) top.missing("grid", "a table [grid] with at least the key capacity");
  if (!acceptance) top.missing("acceptance", "a table [acceptance] with the keys of its model");
  read_main(*main, study, folder);
  read_grid(*grid, study.grid);
  read_acceptance(*acceptance, study.acceptance);
  if (stop) study.stop = read_stop(*stop);
  if (hardware) study.hardware = read_hardware(*hardware, folder);
  check_study(study, name);
  return study;
}

Study read_study(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::ostringstream text;
  if (!stream || std::filesystem::is_directory(file) || !(text << stream.rdbuf())) {
    fail(ErrorKind::usage, "{}: the study cannot be read (expected a TOML file)", file.string());
  }
  return parse_study(text.str(), file.string(), std::filesystem::absolute(file).parent_path());
}

void check_study(const Study& study, const std::string& name) {
  if (study.rounds + study.warmup > kMostRounds) {
    fail(ErrorKind::usage, "{}: study.rounds + study.warmup is too large (expected at most {}, found {})", name,
         kMostRounds, study.rounds + study.warmup);
  }
  if (study.acceptance.model == AcceptanceModel::positions &&
      study.acceptance.positions.size() < study.grid.depth.back()) {
    fail(ErrorKind::usage,
         "{}: acceptance.positions is too short for grid.depth (expected at least {} values, found {})", name,
         study.grid.depth.back(), study.acceptance.positions.size());
  }
  if (study.mode != Mode::exhaustive) return;
  const auto refuse = [&](const char* key, const char* expected, const std::string& found) {
    fail(ErrorKind::usage, "{}: {} is not possible in exhaustive mode (expected {}, found {})", name, key, expected,
         found);
  };
  if (study.grid.batch != std::vector<std::uint32_t>{1}) {
    refuse("grid.batch", "[1]", fmt::format("[{}]", fmt::join(study.grid.batch, ", ")));
  }
  for (const Policy policy : study.grid.policy) {
    if (policy != Policy::static_residents) refuse("grid.policy", "stateless policies: static", to_string(policy));
  }
  if (study.acceptance.rejected_routing != RejectedRouting::trace) {
    refuse("acceptance.rejected_routing", "trace", to_string(study.acceptance.rejected_routing));
  }
  if (study.stop) refuse("[stop]", "no adaptive stop", "one");
}

std::string to_toml(const Study& study) {
  std::ostringstream text;
  text << toml::toml_formatter(to_table(study));
  return text.str();
}

std::string to_json(const Study& study) {
  std::ostringstream text;
  text << toml::json_formatter(to_table(study));
  return text.str();
}

}  // namespace moecarlo
