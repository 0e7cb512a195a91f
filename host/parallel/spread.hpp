#pragma once

#include <cstdint>
#include <vector>

namespace moecarlo {

/// Tokens of each expert of a layer in one batch, all devices together: a token counts once for each of its choices.
using ExpertLoads = std::vector<double>;

/// Tokens of one expert that one device computes. A moved chunk is not on the expert's home device.
struct Chunk {
  std::uint32_t expert = 0, device = 0;
  double tokens = 0;
  bool moved = false;
};

/// A layer's experts over devices. Every token of an expert is in one of its chunks.
struct Spread {
  std::vector<Chunk> chunks;
  std::uint32_t devices = 0;
  std::uint64_t transfers = 0;   ///< weights that devices take which do not hold them: one for each (expert, device)
  double spilled = 0;            ///< tokens in moved chunks
  std::uint64_t forced = 0;      ///< chunks that had to exceed a cap
  std::uint64_t replicas = 0;    ///< copies of experts beside the first ones
  std::uint64_t migrations = 0;  ///< copies that were made to balance
  std::uint64_t hops = 0;        ///< of the topology, that those copies crossed

  std::vector<double> device_loads() const;
};

/// The largest over the mean; 1 where there is no load.
double max_over_mean(const std::vector<double>& loads);

}  // namespace moecarlo
