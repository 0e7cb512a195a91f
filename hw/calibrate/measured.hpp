#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "hw/plan/workload.hpp"

namespace moecarlo::hw {

/// What somebody measured: the conditions, as far as they are known, and the figure.
struct MeasuredPoint {
  std::string place;  ///< "file:line"
  std::string model, machine, policy;
  std::uint32_t batch = 1, depth = 0;
  double capacity = 0;  ///< experts a layer; 0: nothing is resident
  std::optional<double> context, hit_rate, accepted_length;
  std::string quantity;  ///< tokens_per_second, ms_per_step or hit_rate
  double value = 0;
  double uncertainty = 0.1;  ///< relative
  bool fits = false;         ///< constants may be fitted to it; else it is predicted
  /// What was counted of it on a trace; null: its routing is that of a popularity.
  std::shared_ptr<const Workload> counted{};
};

/// What stands for empty cells, where a study says it.
struct UnknownCells {
  std::string model, machine, policy;
  std::optional<double> batch, depth, capacity;
};

/// Reads a CSV with the header model,machine,batch,depth,policy,capacity,context,hit_rate,accepted_length,quantity,
/// value,uncertainty,use. Empty cells are unknown: `unknown` stands for them, and of a batch, depth or capacity it has
/// to. Throws input with file and line.
std::vector<MeasuredPoint> read_measured_points(const std::filesystem::path& file, const UnknownCells& unknown = {});

}  // namespace moecarlo::hw
