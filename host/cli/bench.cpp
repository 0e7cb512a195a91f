#include <fmt/format.h>

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "cuda/core/routing_view.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/study_run.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/study/grid.hpp"
#include "host/study/names.hpp"
#include "host/support/error.hpp"
#include "host/support/parallel.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/synth.hpp"

namespace moecarlo::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kLayers = 48, kExperts = 128, kTopK = 8, kTokens = 4096;
constexpr std::uint32_t kDepth = 4, kRounds = 8, kCapacity = 32;
constexpr double kAlpha = 0.7;
constexpr std::uint64_t kStepsPerTrajectory = std::uint64_t{kRounds} * (kDepth + 1) * kLayers;

struct Options {
  double seconds = 2;
  std::string backend = "auto";
  std::string baseline;
  bool json = false;
};

/// A rate in token-layer steps per second: one step is one window token at one layer.
struct Rate {
  std::string name;
  double steps_per_second = 0;
};

/// The reference workload: one sequence of 4,096 tokens, LRU of 32 experts a layer from a cold start, depth 4,
/// acceptance 0.7, rejected routing from the trace, 8 rounds a trajectory.
Study reference_study() {
  Study study;
  study.rounds = kRounds;
  study.start = Start::cold;
  study.calibration.reset();
  study.acceptance.alpha = kAlpha;
  study.grid.depth = {kDepth};
  study.grid.policy = {Policy::lru};
  study.grid.capacity = {kCapacity};
  return study;
}

/// The synthetic trace of the reference workload, in a file of its own that goes away with this.
class ReferenceTrace {
 public:
  explicit ReferenceTrace(TraceForm form)
      : path_(std::filesystem::temp_directory_path() /
              fmt::format("moecarlo-bench-{}-{}.h5", ::getpid(), static_cast<int>(form))) {
    SynthOptions options;
    options.layers = kLayers;
    options.experts = kExperts;
    options.top_k = kTopK;
    options.sequences = 1;
    options.tokens_per_sequence = kTokens;
    options.zipf = 0.8;
    options.stickiness = 0.35;
    options.form = form;
    write_synthetic_trace(path_, SynthLaw(options), 0, {});
  }
  ~ReferenceTrace() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  ReferenceTrace(const ReferenceTrace&) = delete;
  ReferenceTrace& operator=(const ReferenceTrace&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

RoutingTable read_reference(const ReferenceTrace& trace) {
  TableOptions options;
  options.calibration_share.reset();
  return build_routing_table(trace.path(), options);
}

/// Calls body(n) with growing n until a call takes `seconds`; items per second of the last call.
template <class Body>
double rate_of(double seconds, Body body) {
  for (std::uint64_t n = 64;; n *= 2) {
    const auto start = Clock::now();
    body(n);
    const double took = std::chrono::duration<double>(Clock::now() - start).count();
    if (took >= seconds) return static_cast<double>(n) / took;
  }
}

Rate measure(Backend& backend, const Plan& plan, std::string name, double seconds) {
  std::vector<std::uint64_t> counters(plan.layout.size, 0);
  const double rate = rate_of(seconds, [&](std::uint64_t n) { backend.run({Stream::main, 0, n}, counters); });
  return {std::move(name), rate * static_cast<double>(kStepsPerTrajectory)};
}

/// The least any engine must do per step: load a window token's mask, merge it, count the union once a pass. One
/// thread.
__attribute__((target_clones("default", "arch=haswell"))) std::uint64_t stream_masks(const std::uint64_t* masks,
                                                                                     std::uint64_t passes) {
  std::uint64_t total = 0;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    const std::uint64_t* row = masks + pass * 3 % (kTokens - kDepth) * kLayers * 2;
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
      std::uint64_t low = 0, high = 0;
      for (std::uint32_t column = 0; column <= kDepth; ++column) {
        low |= row[(column * kLayers + layer) * 2];
        high |= row[(column * kLayers + layer) * 2 + 1];
      }
      total += count_bits(low) + count_bits(high);
    }
  }
  return total;
}

Rate measure_limit(const RoutingTable& table, double seconds) {
  volatile std::uint64_t sink = 0;
  const double passes = rate_of(seconds, [&](std::uint64_t n) { sink = sink + stream_masks(table.masks.data(), n); });
  return {"limit: mask stream, 1 thread", passes * (kDepth + 1) * kLayers};
}

/// Runs one design of the NumPy version of the same workload on the same trace and reads its rate.
double baseline_rate(const std::string& script, const std::string& design, const ReferenceTrace& trace,
                     double seconds) {
  const std::string command =
      fmt::format("'{}' --design {} --trace '{}' --seconds {} --json", script, design, trace.path().string(), seconds);
  std::string output;
  if (FILE* pipe = ::popen(command.c_str(), "r")) {
    std::array<char, 4096> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
    ::pclose(pipe);
  }
  const auto result = nlohmann::json::parse(output, nullptr, false);
  if (result.is_discarded() || !result.contains("steps_per_second")) {
    fail(ErrorKind::machine, "bench: the baseline gave no rate (expected JSON from {})", script);
  }
  return result["steps_per_second"].get<double>();
}

/// The reference workload under another policy or with redrawn routing, on one thread of the best instruction set.
Rate measure_variant(const Study& study, const RoutingTable& table, const TraceSources& sources,
                     const std::string& what, double seconds) {
  const Plan plan = make_plan(study, make_grid(study, {}), table, sources);
  const auto backend = make_cpu_backend(table.view(), plan, 1);
  return measure(*backend, plan, "cpu, 1 thread, " + what, seconds);
}

/// Every policy but the reference workload's, and its LRU over redrawn routing.
std::vector<Rate> measure_variants(const RoutingTable& table, double seconds) {
  std::vector<Rate> rates;
  for (const auto& [word, policy] : policy_names()) {
    if (policy == Policy::lru) continue;  // the reference workload itself
    Study study = reference_study();
    study.grid.policy = {policy};
    rates.push_back(measure_variant(study, table, {}, word, seconds));
  }
  const ReferenceTrace logits(TraceForm::logits_float16);
  const RoutingTable logits_table = read_reference(logits);
  for (const auto& [word, method] : {std::pair{"alias", PerturbMethod::alias}, {"gumbel", PerturbMethod::gumbel}}) {
    Study study = reference_study();
    study.mode = Mode::perturbed;
    TraceSources sources;
    sources.perturbed = read_perturbed(logits.path(), logits_table, study.temperature, method, 0);
    rates.push_back(
        measure_variant(study, logits_table, sources, fmt::format("lru, routing drawn by {}", word), seconds));
  }
  return rates;
}

void bench(const Options& options) {
  const ReferenceTrace trace(TraceForm::expert_ids);
  const RoutingTable table = read_reference(trace);
  const Study study = reference_study();
  const Plan plan = make_plan(study, make_grid(study, {}), table);

  std::vector<Rate> rates;
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::x86_64_v3, InstructionSet::x86_64_v4}) {
    if (set > best_instruction_set()) break;
    const auto backend = make_cpu_backend(table.view(), plan, 1, set);
    rates.push_back(measure(*backend, plan, fmt::format("cpu, 1 thread, {}", to_string(set)), options.seconds));
  }
  const double one_thread = rates.back().steps_per_second;
  const unsigned threads = thread_count(0);
  const auto all = make_cpu_backend(table.view(), plan, threads);
  rates.push_back(measure(*all, plan, fmt::format("cpu, {} threads", threads), options.seconds));
  const double many_threads = rates.back().steps_per_second;
  RunSpec chosen_run;
  chosen_run.backend = options.backend;
  const auto chosen = make_backend(chosen_run, table.view(), plan);
  if (chosen->name() != "cpu") rates.push_back(measure(*chosen, plan, chosen->name(), options.seconds));
  for (Rate& rate : measure_variants(table, options.seconds)) rates.push_back(std::move(rate));
  const Rate limit = measure_limit(table, options.seconds);

  nlohmann::ordered_json json{{"workload",
                               {{"layers", kLayers},
                                {"experts", kExperts},
                                {"top_k", kTopK},
                                {"tokens", kTokens},
                                {"depth", kDepth},
                                {"rounds", kRounds},
                                {"policy", "lru"},
                                {"capacity", kCapacity},
                                {"start", "cold"},
                                {"alpha", kAlpha}}},
                              {"unit", "token-layer steps per second"},
                              {"rates", nlohmann::ordered_json::array()},
                              {"limit", {{"name", limit.name}, {"steps_per_second", limit.steps_per_second}}},
                              {"threads", threads},
                              {"thread_efficiency", many_threads / one_thread / threads}};
  for (const Rate& rate : rates) {
    json["rates"].push_back({{"name", rate.name},
                             {"steps_per_second", rate.steps_per_second},
                             {"share_of_limit", rate.steps_per_second / limit.steps_per_second}});
  }
  for (const char* design : {"stamps", "masks"}) {
    if (options.baseline.empty()) break;
    const double numpy = baseline_rate(options.baseline, design, trace, options.seconds);
    json["numpy"][design] = {{"steps_per_second", numpy}, {"times_faster_one_thread", one_thread / numpy}};
  }
  if (options.json) {
    std::cout << json.dump(2) << '\n';
    return;
  }
  fmt::print("{} layers, {} experts, top-{}, {} tokens, depth {}, {} rounds, LRU {}, cold start, acceptance {}\n",
             kLayers, kExperts, kTopK, kTokens, kDepth, kRounds, kCapacity, kAlpha);
  fmt::print("{:<32} {:>18} {:>16}\n", "", "M steps/s", "share of limit");
  for (const Rate& rate : rates) {
    fmt::print("{:<32} {:>18.1f} {:>15.1f}%\n", rate.name, rate.steps_per_second / 1e6,
               100 * rate.steps_per_second / limit.steps_per_second);
  }
  fmt::print("{:<32} {:>18.1f}\n", limit.name, limit.steps_per_second / 1e6);
  fmt::print("thread efficiency {:.2f}\n", many_threads / one_thread / threads);
  if (!json.contains("numpy")) return;
  for (const auto& [design, result] : json["numpy"].items()) {
    fmt::print("{:<32} {:>18.1f}   one thread is {:.1f} times faster\n", fmt::format("numpy ({}), 1 thread", design),
               result["steps_per_second"].get<double>() / 1e6, result["times_faster_one_thread"].get<double>());
  }
}

}  // namespace

void add_bench(CLI::App& app, const Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("bench", "Rates of the engine on the reference workload, beside this machine's limit");
  command->add_option("--seconds", options->seconds, "Time for each measurement")->check(CLI::PositiveNumber);
  command->add_option("--backend", options->backend, "Also measure this backend")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command
      ->add_option("--baseline", options->baseline,
                   "A NumPy version to compare with (scripts/cross_check/numpy_baseline.py)")
      ->check(CLI::ExistingFile);
  command->add_flag("--json", options->json, "JSON on stdout");
  command->footer("Example: moecarlo bench --baseline scripts/cross_check/numpy_baseline.py");
  command->callback([options, &common] {
    static_cast<void>(common);
    bench(*options);
  });
}

}  // namespace moecarlo::cli
