#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/simulate/plan.hpp"
#include "host/study/study.hpp"
#include "host/trace/routing_table.hpp"

/// Before a loop that is to use this processor's population counts. Not with the thread sanitizer, which is not there
/// yet when the program chooses among the clones.
#if defined(__SANITIZE_THREAD__)
#define MOECARLO_CLONED
#else
#define MOECARLO_CLONED __attribute__((target_clones("default", "arch=haswell")))
#endif

namespace moecarlo::cli {

// What `moecarlo bench` measures. Every workload is a variation of the reference workload: one sequence of 4,096
// tokens, 48 layers, 128 experts, top-8, drafts of four tokens of which 0.7 are accepted, eight rounds a trajectory,
// LRU caches of 32 experts a layer from a cold start, rejected routing from the trace.
constexpr std::uint32_t kBenchLayers = 48, kBenchExperts = 128, kBenchTopK = 8, kBenchTokens = 4096;
constexpr std::uint32_t kBenchDepth = 4, kBenchRounds = 8, kBenchCapacity = 32;
constexpr double kBenchAlpha = 0.7;

/// Calls body(n) with growing n until a call takes `seconds`; items per second of the last call.
template <class Body>
double rate_of(double seconds, Body body) {
  using Clock = std::chrono::steady_clock;
  for (std::uint64_t n = 64;; n *= 2) {
    const auto start = Clock::now();
    body(n);
    const double took = std::chrono::duration<double>(Clock::now() - start).count();
    if (took >= seconds) return static_cast<double>(n) / took;
  }
}

/// The least that any engine does for one step (one window token at one layer), in 32-bit operations of a device's
/// integer units: what has to be counted can be left to others.
struct LeastWork {
  double integer_operations = 0;
  double population_counts = 0;
};

struct Workload {
  std::string name;
  Plan plan;
  const RoutingTable* table = nullptr;
  double steps = 0;  ///< token-layer steps of one trajectory
  LeastWork least;
};

/// The synthetic trace in a file of its own that goes away with this.
class BenchTrace {
 public:
  explicit BenchTrace(bool with_logits);
  ~BenchTrace();
  BenchTrace(const BenchTrace&) = delete;
  BenchTrace& operator=(const BenchTrace&) = delete;
  const std::filesystem::path& path() const { return path_; }
  RoutingTable read() const;

 private:
  std::filesystem::path path_;
};

/// A table of 16 synthetic sequences of 256 tokens; `name` is that of the file, which is gone when it is read.
RoutingTable synthetic_table(const std::string& name, std::uint32_t layers, std::uint32_t experts, std::uint32_t top_k);

Study reference_study();
Workload make_workload(std::string name, const Study& study, const RoutingTable& table, LeastWork least,
                       TraceSources sources = {});

/// The tables that workloads run on, each made when it is first asked for.
class BenchTables {
 public:
  const BenchTrace& ids_trace();
  const BenchTrace& logits_trace();
  const RoutingTable& ids();
  const RoutingTable& logits();
  const RoutingTable& slices();  ///< of the logits' table two objects for each expert
  const RoutingTable& small();   ///< shaped as the trace that ships

 private:
  std::optional<BenchTrace> ids_trace_, logits_trace_;
  std::optional<RoutingTable> ids_, logits_, slices_, small_;
};

/// A workload that is made when it is wanted.
struct NamedWorkload {
  std::string name;
  std::function<Workload(const std::string& name)> make;
};

/// The reference workload, then every other policy, redrawn routing, sixteen capacities, a grid of stateless points
/// beside its largest, and every demand rule that needs no file. The tables must outlive what is made.
std::vector<NamedWorkload> bench_workloads(BenchTables& tables);

/// Those that a plain loop can do: the reference workload, and the cells of README's study. The tables must outlive
/// them.
std::vector<Workload> plain_workloads(BenchTables& tables);

/// Names in bench_workloads that are set against each other.
inline constexpr const char* kReferenceName = "lru";
inline constexpr const char* kSixteenName = "lru, 16 capacities";
inline constexpr const char* kLargestName = "static, batch 16, depth 8";
inline constexpr const char* kGridName = "static, 16 capacities x 8 depths x 5 batches";
inline constexpr const char* kRulesName = "lru, demand ";  ///< how the names of rules begin
inline constexpr const char* kAllName = "lru, demand all";

}  // namespace moecarlo::cli
