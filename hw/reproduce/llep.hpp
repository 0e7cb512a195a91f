#pragma once

#include <filesystem>
#include <vector>

#include "hw/presets/preset.hpp"
#include "hw/reproduce/reproduced_row.hpp"

namespace moecarlo::hw {

/// The speed-up of least-loaded over plain expert parallelism (arXiv 2601.17111), of a layer whose hot experts, all of
/// one device, get a share of all choices.
struct LlepCase {
  std::string model;  ///< a preset, or a config.json beside the table
  std::uint32_t experts = 0, devices = 0;
  double tokens_per_device = 0;
  std::uint32_t hot_experts = 0;
  double hot_share = 0;
  double published = 0;
};

/// Reads model,experts,devices,tokens_per_device,hot_experts,hot_share_percent,speedup_over_ep. Throws input with file
/// and line, also where a model is not the one of its row.
std::vector<LlepCase> read_llep_cases(const std::filesystem::path& file);

/// Two rows a case: our time model's speed-up, and the bound that loads alone set. A device takes for its tokens what
/// their multiplications take, an overhead an expert, and what it moves of its own tokens, which no balancer changes;
/// weights of experts that move leave the hot device one after the other. Constants: reproductions/llep.toml.
std::vector<ReproducedRow> reproduce_llep(const Preset& constants, const std::vector<LlepCase>& cases);

/// What the paper says beside its table: by how many times peak memory falls (the largest of our cases, by its own sum
/// of activations in and inside experts, and weights), and speed-ups of whole models beside the bound that the
/// published share of the busiest device sets; where none is published, nothing can be judged.
std::vector<ReproducedRow> reproduce_llep_claims(const Preset& constants, const std::vector<LlepCase>& cases);

}  // namespace moecarlo::hw
