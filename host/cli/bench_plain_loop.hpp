#pragma once

#include <nlohmann/json_fwd.hpp>

#include "host/trace/routing_table.hpp"

namespace moecarlo::cli {

inline constexpr const char* kPlainLoopName = "lru, a plain loop that can do nothing else";

/// The reference workload (bench_workloads.hpp) as one loop on one thread: masks are loaded, merged and counted against
/// one exact LRU cache a layer. The engine must not fall behind it, whatever else it can do.
struct PlainLoopRate {
  double steps_per_second = 0;
  double hit_rate = 0, distinct_experts = 0;  ///< what it counts, of a pass and layer
};

/// `table`: of the reference workload.
PlainLoopRate measure_plain_loop(const RoutingTable& table, double seconds);
nlohmann::ordered_json to_json(const PlainLoopRate& rate);
void print(const PlainLoopRate& rate);

}  // namespace moecarlo::cli
