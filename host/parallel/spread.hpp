#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace moecarlo {

/// Tokens of each expert of a layer in one batch, all devices together: a token counts once for each of its choices.
using ExpertLoads = std::vector<double>;

/// Tokens of one expert that one device computes. The device of a moved chunk does not hold the expert: it takes the
/// weights from the home device.
struct Chunk {
  std::uint32_t expert = 0, device = 0;
  double tokens = 0;
  bool moved = false;
  std::uint32_t home = 0;  ///< of a moved one
};

/// A copy of an expert's weights from a device that holds it to one that does not.
struct ExpertCopy {
  std::uint32_t expert = 0, from = 0, to = 0;
};

/// A layer's experts over devices. Every token of an expert is in one of its chunks.
struct Spread {
  std::vector<Chunk> chunks;
  std::uint32_t devices = 0;
  std::uint64_t transfers = 0;      ///< weights that devices take which do not hold them: one for each (expert, device)
  double spilled = 0;               ///< tokens in moved chunks
  std::uint64_t forced = 0;         ///< chunks that had to exceed a cap
  std::uint64_t replicas = 0;       ///< copies of experts beside the first ones
  std::uint64_t migrations = 0;     ///< copies that were made to balance
  std::uint64_t hops = 0;           ///< of the topology, that those copies crossed
  std::vector<ExpertCopy> awaited;  ///< those of the copies that the layer waits for

  std::vector<double> device_loads() const;
};

/// A layer of a batch, and what is known of its loads.
struct BatchLayer {
  BatchLayer(std::uint32_t number, std::span<const std::uint32_t> sorted = {}) : layer(number), by_load(sorted) {}

  std::uint32_t layer;
  std::span<const std::uint32_t> by_load;  ///< experts, the largest load first, ties to the lower index; or nothing
};

/// What becomes of one layer's loads, [experts] by index. Of a series of batches it is asked for each layer of a batch,
/// then of the next: it may remember.
using SpreadLayer = std::function<Spread(const ExpertLoads& loads, const BatchLayer& at)>;

/// The largest over the mean; 1 where there is no load.
double max_over_mean(const std::vector<double>& loads);

}  // namespace moecarlo
