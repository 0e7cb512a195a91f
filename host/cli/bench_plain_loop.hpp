#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "host/cli/bench_workloads.hpp"

namespace moecarlo::cli {

inline constexpr const char* kPlainLoopName = "a plain loop";

/// A workload's cells as one loop that can do nothing else, on one thread: masks are loaded, merged and counted against
/// one exact LRU cache a layer, at the cell's smallest capacity, over paths that were drawn before. The floor of what
/// the engine should make, whatever else it can do, beside what it makes.
struct PlainLoopRate {
  std::string name;                           ///< of the workload
  double steps_per_second = 0;                ///< of the loop
  double engine_steps_per_second = 0;         ///< of the engine, which draws its paths
  double points = 0;                          ///< design points that a step of the engine counts for
  double hit_rate = 0, distinct_experts = 0;  ///< what the loop counts, of a pass and layer
};

/// LRU among the policies, a cold start.
PlainLoopRate measure_plain_loop(const Workload& workload, double seconds);
nlohmann::ordered_json to_json(const PlainLoopRate& rate);
void print(const PlainLoopRate& rate);

}  // namespace moecarlo::cli
