#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "host/statistics/estimate.hpp"
#include "host/study/study.hpp"

namespace moecarlo {

/// An inverse question: how much fast memory, context or simulation a target takes.
struct SizeQuestion {
  std::filesystem::path trace;  ///< empty where only the context is asked for
  Policy policy = Policy::lru;
  std::uint32_t batch = 1, depth = 0;
  double alpha = 0.7;  ///< mean accepted length / depth
  std::uint64_t trajectories = 4096;
  std::uint32_t seed = 1, threads = 0;

  // One of these, or none.
  std::optional<double> hit_rate;           ///< at least, hits per distinct expert of a pass
  std::optional<double> tokens_per_second;  ///< at least, all requests together, on `hardware`
  std::optional<std::uint32_t> capacity;    ///< experts a layer that are given

  std::string hardware, model;  ///< presets; the model also says how large an expert is
  std::string scheme = "ar";
  std::uint32_t context = 1024;        ///< cached tokens of a request
  std::optional<double> memory_bytes;  ///< of the nearest memory of each device, in place of the preset's
  bool longest_context = false;        ///< is asked for; `capacity` experts a layer have to fit beside it

  double relative_half_width = 0.01;  ///< that trajectories and sequences are wanted for
};

/// The longest context that fits where the weights take less room, keys and values as they are.
struct FormatContext {
  std::string format;  ///< "dfloat11", or "8 bits", "4 bits": integers in groups of 32 with a 16-bit scale
  double bits = 0;     ///< a dense weight, with its share of a scale
  std::uint64_t context = 0;
};

struct SizeAnswer {
  std::string metric;                       ///< hit_rate or tokens_per_second
  std::optional<std::uint32_t> capacity;    ///< the smallest whose value meets the target, experts a layer
  std::optional<std::uint32_t> low, high;   ///< the smallest whose interval reaches it, and whose whole interval does
  std::optional<Estimate> value, hit_rate;  ///< at that capacity, or where no capacity will do at the largest
  std::optional<double> bytes;              ///< of its experts over all layers
  std::optional<double> token_cycles;       ///< capacity / k: how many tokens' choices it holds
  std::vector<std::uint32_t> per_layer;     ///< the smallest capacity of each layer alone; empty: not about layers
  std::optional<std::uint64_t> context;     ///< the longest that fits
  std::vector<FormatContext> formats;       ///< the same with formats smaller than the model's, largest first
  std::optional<std::uint64_t> trajectories, sequences;  ///< for that half-width, simulation's and trace's
  std::uint32_t experts = 0, top_k = 0;
};

/// The largest context that is looked for.
constexpr std::uint64_t kLongestContext = std::uint64_t{1} << 24;

/// Simulates every capacity from none to all experts in one study, and takes the smallest that does; a layer needs the
/// smallest at which its own hit rate meets the target (for LRU what its stack distances say). Throws usage where the
/// question lacks what it needs or the model is not the trace's.
SizeAnswer answer(const SizeQuestion& question);

/// "80GB" in bytes; throws usage.
double parse_bytes(const std::string& text);

}  // namespace moecarlo
