#pragma once

#include <filesystem>
#include <vector>

#include "hw/model/model.hpp"

namespace moecarlo::hw {

/// The speed-up of least-loaded over plain expert parallelism (arXiv 2601.17111), of a layer whose hot experts, all of
/// one device, get a share of all choices.
struct LlepCase {
  Model model;
  std::uint32_t experts = 0, devices = 0;
  double tokens_per_device = 0;
  std::uint32_t hot_experts = 0;
  double hot_share = 0;
  double published = 0;
};

/// Reads model,experts,devices,tokens_per_device,hot_experts,hot_share_percent,speedup_over_ep. Throws input with file
/// and line, also where a model is not the one of its row.
std::vector<LlepCase> read_llep_cases(const std::filesystem::path& file);

}  // namespace moecarlo::hw
