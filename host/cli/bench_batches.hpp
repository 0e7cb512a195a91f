#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>

namespace moecarlo::cli {

inline constexpr const char* kBatchesName = "loads of batches";

/// Tokens per expert and layer of drawn batches, counted.
struct BatchRate {
  double choices_per_second = 0;  ///< of a token in a layer, on one core
  std::uint64_t tokens = 0;       ///< of a batch
};

/// Batches of a million tokens over 61 layers of 256 experts, top-8, on one thread, for so many seconds at least.
BatchRate measure_batches(double seconds);

nlohmann::ordered_json to_json(const BatchRate& rate);
void print(const BatchRate& rate);

}  // namespace moecarlo::cli
