#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "host/parallel/spread.hpp"
#include "hw/presets/preset.hpp"
#include "hw/reproduce/reproduced_row.hpp"

namespace moecarlo::hw {

/// A published change by placing rings or experts on wafers (MoEntwine, arXiv 2510.25258), in percent.
struct WscClaim {
  std::string quantity;  ///< as reproductions/wsc.csv names them
  std::uint32_t top_k = 0;
  double percent = 0;
};

/// Reads quantity,top_k,percent. Throws input with file and line, also for a quantity of another name.
std::vector<WscClaim> read_wsc_claims(const std::filesystem::path& file);

/// Loads of a trace, which take the place of even ones.
struct RealLoads {
  std::string trace;
  std::uint32_t top_k = 0;
  std::vector<ExpertLoads> layers;  ///< choices, of large batches
};

/// Rows of every claim, each as the remaining share of what was there before (0.65 for -35 %):
///   entwined_*      entwined rings over groups in rectangles, on one wafer of 4 x 4 and of 8 x 8, each number of
///                   devices in a group from 4 that both mappings can have: the best of them, and each with its
///                   all-reduce beside dispatch and combine
///   hierarchical_*  the same on the machine's wafers, tokens of all gathered in each
///   balancer_*      copies into free slots, of experts whose loads lie between 0 and `imbalance` times the mean
///   throughput_per_device  tokens a second through expert layers, by one device, over a switch of fewer devices, at
///                   several batches
/// With real loads also what they give on one wafer beside even ones, which judges nothing: another model. Constants:
/// reproductions/wsc.toml.
std::vector<ReproducedRow> reproduce_wsc(const Preset& constants, const std::vector<WscClaim>& claims,
                                         const std::optional<RealLoads>& real);

}  // namespace moecarlo::hw
