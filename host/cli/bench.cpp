#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cuda/device_backend.hpp"
#include "cuda/device_choice.hpp"
#include "cuda/device_limits.hpp"
#include "host/cli/bench_batches.hpp"
#include "host/cli/bench_ingest.hpp"
#include "host/cli/bench_plain_loop.hpp"
#include "host/cli/bench_projection.hpp"
#include "host/cli/bench_slices.hpp"
#include "host/cli/bench_workloads.hpp"
#include "host/cli/commands.hpp"
#include "host/cli/terminal.hpp"
#include "host/simulate/cpu_backend.hpp"
#include "host/support/error.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct BenchOptions {
  double seconds = 2;
  std::string backend = "auto";
  int device = 0;
  std::string baseline;
  std::string only;
  bool json = false;
};

/// A rate in token-layer steps per second: one step is one window token at one layer.
struct Rate {
  std::string name;
  double steps_per_second = 0;
  double seconds_per_trajectory = 0;
  std::optional<double> share_of_limit;
  std::optional<double> cycles_per_step;  ///< of the core, where one thread was measured
  LeastWork least{};                      ///< of any engine, for one step
};

Rate measure(Backend& backend, const Workload& workload, std::string name, double seconds) {
  std::vector<std::uint64_t> counters(workload.plan.layout.size, 0);
  const double rate = rate_of(seconds, [&](std::uint64_t n) { backend.run({Stream::main, 0, n}, counters); });
  return {std::move(name), rate * workload.steps, 1 / rate, {}, {}, workload.least};
}

/// Cycles per second of the core that this runs on: additions that wait for each other take one each.
double core_clock() {
  constexpr int kRounds = 1 << 16;
  std::uint64_t sum = 0;
  const auto start = Clock::now();
  for (int i = 0; i < kRounds; ++i) {
    for (int j = 0; j < 16; ++j) {
      ++sum;
      asm volatile("" : "+r"(sum));  // or the compiler would make them one
    }
  }
  return 16.0 * kRounds / std::chrono::duration<double>(Clock::now() - start).count();
}

/// One thread; shared machines change their clock, so that it is taken before and after.
Rate measure_thread(Backend& backend, const Workload& workload, std::string name, double seconds) {
  const double before = core_clock();
  Rate rate = measure(backend, workload, std::move(name), seconds);
  rate.cycles_per_step = (before + core_clock()) / 2 / rate.steps_per_second;
  return rate;
}

/// The least any engine must do per step: load a window token's mask, merge it, count the union once a pass. One
/// thread.
MOECARLO_CLONED std::uint64_t stream_masks(const std::uint64_t* masks, std::uint64_t passes) {
  std::uint64_t total = 0;
  for (std::uint64_t pass = 0; pass < passes; ++pass) {
    const std::uint64_t* row = masks + pass * 3 % (kBenchTokens - kBenchDepth) * kBenchLayers * 2;
    for (std::uint32_t layer = 0; layer < kBenchLayers; ++layer) {
      std::uint64_t low = 0, high = 0;
      for (std::uint32_t column = 0; column <= kBenchDepth; ++column) {
        low |= row[(column * kBenchLayers + layer) * 2];
        high |= row[(column * kBenchLayers + layer) * 2 + 1];
      }
      total += count_bits(low) + count_bits(high);
    }
  }
  return total;
}

double mask_stream_rate(const RoutingTable& table, double seconds) {
  volatile std::uint64_t sink = 0;
  const double passes = rate_of(seconds, [&](std::uint64_t n) { sink = sink + stream_masks(table.masks.data(), n); });
  return passes * (kBenchDepth + 1) * kBenchLayers;
}

/// The first workload with each instruction set and with all threads, then the others on one thread.
struct CpuRates {
  std::vector<Rate> rates;
  double limit = 0;  ///< steps per second of one thread that only streams masks
  unsigned threads = 1;
  double one_thread = 0, many_threads = 0;
};

CpuRates measure_cpu(const std::vector<Workload>& workloads, double seconds) {
  CpuRates cpu;
  const Workload& reference = workloads.front();
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::x86_64_v3, InstructionSet::x86_64_v4}) {
    if (set > best_instruction_set()) break;
    const auto backend = make_cpu_backend(reference.table->view(), reference.plan, 1, set);
    const std::string name = fmt::format("{}, {}", reference.name, to_string(set));
    cpu.rates.push_back(measure_thread(*backend, reference, name, seconds));
  }
  cpu.one_thread = cpu.rates.back().steps_per_second;
  cpu.threads = thread_count(0);
  const auto all = make_cpu_backend(reference.table->view(), reference.plan, cpu.threads);
  cpu.rates.push_back(measure(*all, reference, fmt::format("{}, {} threads", reference.name, cpu.threads), seconds));
  cpu.many_threads = cpu.rates.back().steps_per_second;
  for (std::size_t i = 1; i < workloads.size(); ++i) {
    const auto backend = make_cpu_backend(workloads[i].table->view(), workloads[i].plan, 1);
    cpu.rates.push_back(measure_thread(*backend, workloads[i], workloads[i].name, seconds));
  }
  cpu.limit = mask_stream_rate(*reference.table, seconds);
  for (Rate& rate : cpu.rates) rate.share_of_limit = rate.steps_per_second / cpu.limit;
  return cpu;
}

struct DeviceRates {
  std::vector<Rate> rates;
  DeviceLimits limits;
};

/// Steps per second at which the scarcest of the resources would be used up; what needs none of one can go on for ever.
double limit_of(const LeastWork& least, const DeviceLimits& limits) {
  return std::min(limits.integer_operations_per_second / least.integer_operations,
                  limits.population_counts_per_second / least.population_counts);
}

DeviceRates measure_device(const std::vector<Workload>& workloads, int device, double seconds) {
  DeviceRates rates;
  rates.limits = measure_device_limits(device);
  for (const Workload& workload : workloads) {
    const auto backend = make_device_backend(workload.table->view(), workload.plan, device);
    rates.rates.push_back(measure(*backend, workload, workload.name, seconds));
    rates.rates.back().share_of_limit = rates.rates.back().steps_per_second / limit_of(workload.least, rates.limits);
  }
  return rates;
}

/// Runs one design of the NumPy version of the same workload on the same trace and reads its rate.
double baseline_rate(const std::string& script, const std::string& design, const BenchTrace& trace, double seconds) {
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

const Rate* find(const std::vector<Rate>& rates, const std::string& name) {
  const auto found = std::find_if(rates.begin(), rates.end(), [&](const Rate& rate) { return rate.name == name; });
  return found == rates.end() ? nullptr : &*found;
}

/// What a trajectory of one workload costs, in trajectories of another, where both were measured.
std::optional<double> cost_ratio(const std::vector<Rate>& rates, const std::string& name, const std::string& unit) {
  const Rate* one = find(rates, name);
  const Rate* other = find(rates, unit);
  if (one == nullptr || other == nullptr) return {};
  return one->seconds_per_trajectory / other->seconds_per_trajectory;
}

/// What a trajectory costs under the slowest demand rule, in trajectories of the rule that asks for all.
std::optional<double> cost_of_slowest_rule(const std::vector<Rate>& rates) {
  const Rate* all = find(rates, kAllName);
  if (all == nullptr) all = find(rates, fmt::format("{}, {}", kAllName, to_string(best_instruction_set())));
  if (all == nullptr) return {};
  double most = 0;
  for (const Rate& rate : rates) {
    const bool own = rate.name.starts_with(kRulesName) && !rate.name.starts_with(kAllName);
    if (own) most = std::max(most, rate.seconds_per_trajectory);
  }
  return most / all->seconds_per_trajectory;
}

nlohmann::ordered_json or_null(const std::optional<double>& number) {
  return number ? nlohmann::ordered_json(*number) : nullptr;
}

nlohmann::ordered_json to_json(const std::vector<Rate>& rates) {
  auto list = nlohmann::ordered_json::array();
  for (const Rate& rate : rates) {
    list.push_back({{"name", rate.name},
                    {"steps_per_second", rate.steps_per_second},
                    {"seconds_per_trajectory", rate.seconds_per_trajectory},
                    {"least_integer_operations", rate.least.integer_operations},
                    {"least_population_counts", rate.least.population_counts},
                    {"share_of_limit", or_null(rate.share_of_limit)},
                    {"cycles_per_step", or_null(rate.cycles_per_step)}});
  }
  return list;
}

void print(const std::string& title, const std::vector<Rate>& rates) {
  const bool on_cpu = !rates.empty() && rates.front().cycles_per_step;
  say("\n{:<48} {:>14} {:>15} {:>22}{}\n", title, "M steps/s", "share of limit", "least operations+counts",
      on_cpu ? "   cycles a step" : "");
  for (const Rate& rate : rates) {
    const std::string least =
        fmt::format("{:.0f} + {:.1f}", rate.least.integer_operations, rate.least.population_counts);
    say("{:<48} {:>14.1f} {:>15} {:>22}{}\n", rate.name, rate.steps_per_second / 1e6,
        rate.share_of_limit ? fmt::format("{:.1f}%", 100 * *rate.share_of_limit) : "", least,
        rate.cycles_per_step ? fmt::format("{:>16.1f}", *rate.cycles_per_step) : "");
  }
}

nlohmann::ordered_json describe_workload() {
  return {{"layers", kBenchLayers}, {"experts", kBenchExperts}, {"top_k", kBenchTopK}, {"tokens", kBenchTokens},
          {"depth", kBenchDepth},   {"rounds", kBenchRounds},   {"policy", "lru"},     {"capacity", kBenchCapacity},
          {"start", "cold"},        {"alpha", kBenchAlpha}};
}

nlohmann::ordered_json describe_cpu(const CpuRates& cpu) {
  return {{"rates", to_json(cpu.rates)},
          {"limit", {{"name", "mask stream, 1 thread"}, {"steps_per_second", cpu.limit}}},
          {"cost_of_slowest_rule", or_null(cost_of_slowest_rule(cpu.rates))},
          {"threads", cpu.threads},
          {"thread_efficiency", cpu.many_threads / cpu.one_thread / cpu.threads}};
}

nlohmann::ordered_json describe_device(const DeviceRates& device) {
  return {{"name", device.limits.device},
          {"rates", to_json(device.rates)},
          {"limits",
           {{"copied_bytes_per_second", device.limits.copied_bytes_per_second},
            {"copied_from_host_bytes_per_second", device.limits.copied_from_host_bytes_per_second},
            {"integer_operations_per_second", device.limits.integer_operations_per_second},
            {"population_counts_per_second", device.limits.population_counts_per_second}}},
          {"cost_of_16_lru_capacities", or_null(cost_ratio(device.rates, kSixteenName, kReferenceName))},
          {"cost_of_slowest_rule", or_null(cost_of_slowest_rule(device.rates))},
          {"cost_of_stateless_grid", or_null(cost_ratio(device.rates, kGridName, kLargestName))}};
}

void print_cost_of_rules(const std::vector<Rate>& rates) {
  if (const auto ratio = cost_of_slowest_rule(rates)) say("the slowest demand rule costs {:.2f} times all\n", *ratio);
}

void print(const CpuRates& cpu) {
  print("cpu, 1 thread where not said otherwise", cpu.rates);
  say("{:<48} {:>14.1f}\n", "limit: mask stream, 1 thread", cpu.limit / 1e6);
  say("thread efficiency {:.2f}\n", cpu.many_threads / cpu.one_thread / cpu.threads);
  print_cost_of_rules(cpu.rates);
}

void print(const DeviceRates& device) {
  const DeviceLimits& limits = device.limits;
  print(limits.device, device.rates);
  say("limits: {:.0f} GB/s copied, {:.0f} GB/s from the host, {:.1f} T integer operations/s, {:.1f} T population "
      "counts/s\n",
      limits.copied_bytes_per_second / 1e9, limits.copied_from_host_bytes_per_second / 1e9,
      limits.integer_operations_per_second / 1e12, limits.population_counts_per_second / 1e12);
  const auto print_cost = [&](const char* name, const char* unit) {
    if (const auto ratio = cost_ratio(device.rates, name, unit)) say("{} costs {:.2f} times {}\n", name, *ratio, unit);
  };
  print_cost(kSixteenName, kReferenceName);
  print_cost(kGridName, kLargestName);
  print_cost_of_rules(device.rates);
}

void bench(const BenchOptions& options) {
  std::string why_not;
  const bool on_device =
      options.backend != "cpu" && device_for(options.backend, options.device, usable_devices(why_not), 0);
  BenchTables tables;
  std::vector<Workload> workloads;
  for (const NamedWorkload& one : bench_workloads(tables)) {
    if (one.name.find(options.only) != std::string::npos) workloads.push_back(one.make(one.name));
  }
  const bool slices = std::string(kSlicesName).find(options.only) != std::string::npos;
  const bool rows = std::string(kProjectionName).find(options.only) != std::string::npos;
  const bool plain = std::string(kPlainLoopName).find(options.only) != std::string::npos;
  const bool batches = std::string(kBatchesName).find(options.only) != std::string::npos;
  if (workloads.empty() && !slices && !rows && !batches && !plain)
    fail(ErrorKind::usage, "bench: no workload has \"{}\" in its name", options.only);

  nlohmann::ordered_json json{{"workload", describe_workload()}, {"unit", "token-layer steps per second"}};
  std::optional<CpuRates> cpu;
  std::optional<DeviceRates> device;
  const bool on_cpu = options.backend != "cuda";
  if (on_device && !workloads.empty()) device = measure_device(workloads, options.device, options.seconds);
  if (on_cpu && !workloads.empty()) cpu = measure_cpu(workloads, options.seconds);
  std::vector<IngestRate> ingest;
  if (cpu && options.only.empty()) ingest.push_back(measure_host_ingest(tables.logits_trace(), options.seconds));
  if (device && options.only.empty()) {
    measure_device_ingest(tables.logits_trace(), options.device, device->limits.copied_from_host_bytes_per_second,
                          options.seconds, ingest);
  }
  if (!ingest.empty()) json["ingest"] = to_json(ingest);
  std::optional<SliceRates> cpu_slices;
  std::optional<DeviceSliceRates> device_slices;
  if (on_device && slices) device_slices = measure_device_slices(options.device, options.seconds);
  if (on_cpu && slices) cpu_slices = measure_cpu_slices(options.seconds);
  std::optional<ProjectionRate> projection;
  if (on_cpu && rows) projection = measure_projection(options.seconds);
  if (projection) json["projection"] = to_json(*projection);
  std::optional<BatchRate> loads;
  if (on_cpu && batches) loads = measure_batches(options.seconds);
  if (loads) json["batches"] = to_json(*loads);
  std::vector<PlainLoopRate> loops;
  if (on_cpu && plain) {
    for (const Workload& one : plain_workloads(tables)) loops.push_back(measure_plain_loop(one, options.seconds));
  }
  for (const PlainLoopRate& loop : loops) json["plain_loops"].push_back(to_json(loop));
  if (cpu) json["cpu"] = describe_cpu(*cpu);
  if (device) json["cuda"] = describe_device(*device);
  if (cpu_slices) json["bit_slices"]["cpu"] = to_json(*cpu_slices);
  if (device_slices) json["bit_slices"]["cuda"] = to_json(*device_slices);
  for (const char* design : {"stamps", "masks"}) {
    if (options.baseline.empty() || !cpu) break;
    const double numpy = baseline_rate(options.baseline, design, tables.ids_trace(), options.seconds);
    json["numpy"][design] = {{"steps_per_second", numpy}, {"times_faster_one_thread", cpu->one_thread / numpy}};
  }
  if (options.json) {
    say_json(json);
    return;
  }
  say("{} layers, {} experts, top-{}, {} tokens, depth {}, {} rounds, LRU {}, cold start, acceptance {}\n",
      kBenchLayers, kBenchExperts, kBenchTopK, kBenchTokens, kBenchDepth, kBenchRounds, kBenchCapacity, kBenchAlpha);
  if (cpu) print(*cpu);
  for (const PlainLoopRate& loop : loops) print(loop);
  if (device) print(*device);
  if (!ingest.empty()) print(ingest);
  print(cpu_slices, device_slices);
  if (projection) print(*projection);
  if (loads) print(*loads);
  if (!json.contains("numpy")) return;
  for (const auto& [design, result] : json["numpy"].items()) {
    say("{:<48} {:>14.1f}   one thread is {:.1f} times faster\n", fmt::format("numpy ({}), 1 thread", design),
        result["steps_per_second"].get<double>() / 1e6, result["times_faster_one_thread"].get<double>());
  }
}

}  // namespace

void add_bench(CLI::App& app, const Common& common) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command =
      app.add_subcommand("bench", "Rates of the engine on the reference workload, beside this machine's limit");
  command->add_option("--seconds", options->seconds, "Seconds that each measurement takes")->check(CLI::PositiveNumber);
  command->add_option("--backend", options->backend, "Measure the CPU, the GPU, or both where there is one (auto)")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command->add_option("--device", options->device, "Number of the GPU")->check(CLI::NonNegativeNumber);
  command
      ->add_option("--baseline", options->baseline,
                   "A NumPy version to compare with (scripts/cross_check/numpy_baseline.py)")
      ->check(CLI::ExistingFile);
  command->add_option("--only", options->only, "Measure only workloads with this in their name");
  command->add_flag("--json", options->json, "JSON on stdout");
  command->footer("Example: moecarlo bench --baseline scripts/cross_check/numpy_baseline.py");
  command->callback([options, &common] {
    static_cast<void>(common);
    bench(*options);
  });
}

}  // namespace moecarlo::cli
