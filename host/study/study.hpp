#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cuda/core/plan.hpp"

namespace moecarlo {

/// A study as the user wrote it, defaults filled in. One struct a table of the TOML file; the interfaces document
/// states each key. Everything here is plain data that has passed validation.

enum class Mode { random, exhaustive };
enum class Start { warm, cold };
enum class AcceptanceModel { constant, ratio, positions, lengths };
enum class RejectedRouting { trace, resample };

struct GridSpec {
  std::vector<std::uint32_t> batch{1};
  std::vector<std::uint32_t> depth{4};  ///< 0 = autoregressive; always ascending, no value twice (all lists)
  std::vector<Policy> policy{Policy::static_residents};
  std::vector<std::uint32_t> capacity;  ///< experts per layer
  std::vector<std::uint32_t> bits{8};   ///< upper bits of each weight kept in fast memory by the elastic scheme
};

struct AcceptanceSpec {
  AcceptanceModel model = AcceptanceModel::constant;
  std::optional<double> alpha;         ///< constant: per token; ratio: E[a] / depth
  std::vector<double> positions;       ///< positions: conditional acceptance per draft position
  std::vector<std::uint64_t> lengths;  ///< lengths: count of accepted length 0, 1, 2, ...
  RejectedRouting rejected_routing = RejectedRouting::trace;
};

struct StopSpec {
  std::vector<std::string> metrics{"tokens_per_round", "hit_rate"};
  double relative_half_width = 0;
};

struct HardwareSpec {
  std::string model;  ///< preset name or path of a Hugging Face config.json
  std::uint32_t context = 1024;
  std::vector<std::string> systems;
  std::vector<std::string> schemes{"ar", "elastic"};
};

/// How to run, not what to simulate: none of it changes a result.
struct RunSpec {
  std::string backend = "auto";  ///< auto | cpu | cuda
  std::uint32_t threads = 0;     ///< 0 = all cores
  std::uint32_t device = 0;      ///< number of the GPU
  std::optional<double> time_limit_seconds;
};

struct Study {
  std::string name;
  std::filesystem::path trace;
  Mode mode = Mode::random;
  std::uint32_t seed = 1;
  std::uint64_t trajectories = 100'000;
  std::uint32_t rounds = 16;
  Start start = Start::warm;
  std::uint32_t warmup = 0;
  std::optional<double> calibration = 0.2;  ///< share of sequences; empty = "all"
  std::uint32_t split_seed = 0;
  GridSpec grid;
  AcceptanceSpec acceptance;
  std::optional<StopSpec> stop;
  std::optional<HardwareSpec> hardware;
  RunSpec run;
};

const char* to_string(Mode mode);
const char* to_string(Start start);
const char* to_string(Policy policy);
const char* to_string(AcceptanceModel model);
const char* to_string(RejectedRouting routing);

}  // namespace moecarlo
