#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hw/reproduce/reproduce.hpp"

namespace moecarlo {

/// How the counted cells of a published table are simulated.
struct CountedOptions {
  std::map<std::string, std::filesystem::path> traces;  ///< by model preset; models without one get synthetic routing
  std::uint64_t trajectories = 256;                     ///< for each acceptance
  unsigned threads = 0;                                 ///< 0 = all cores
};

/// Fills in ar_counted and sd_counted: hits counted by simulating caches on routing, instead of the law. Routing is
/// that of the model's trace, or else synthetic: tokens independent of each other, of the law's popularity.
/// Autoregressive decoding and drafts of another model keep an LRU cache, Elastic its hottest experts. A verification
/// sees the consecutive tokens of the tree's deepest path; what the tree's other nodes would add is left out, their
/// computing is not. `progress(done, total)` hears of finished runs. Throws usage where a trace is of another model.
void count_table(const hw::TableLaws& laws, const CountedOptions& options,
                 const std::function<void(std::uint64_t done, std::uint64_t total)>& progress,
                 std::vector<hw::ReproducedCell>& cells);

}  // namespace moecarlo
