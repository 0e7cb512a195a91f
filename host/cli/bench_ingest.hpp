#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/bench_workloads.hpp"

namespace moecarlo::cli {

/// How fast router logits become masks, in bytes of logits as they are stored.
struct IngestRate {
  std::string name;
  double bytes_per_second = 0;
  std::optional<double> share_of_limit;  ///< of the copy from pinned memory to the device
};

/// Reading a trace of logits into a routing table, on all threads.
IngestRate measure_host_ingest(const BenchTrace& logits, double seconds);

/// Adds the same on GPU `device`, and the choice of experts alone, from logits that are in memory. `copy_limit`: bytes
/// per second from pinned memory to that device.
void measure_device_ingest(const BenchTrace& logits, int device, double copy_limit, double seconds,
                           std::vector<IngestRate>& rates);

nlohmann::ordered_json to_json(const std::vector<IngestRate>& rates);
void print(const std::vector<IngestRate>& rates);

}  // namespace moecarlo::cli
