#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda/core/routing_view.hpp"

namespace moecarlo {

/// What a trace file says about itself. The root attributes and shapes of the trace format.
struct TraceInfo {
  std::string path;
  std::string model;
  std::string source, licence, created_by;  ///< empty where the file is silent
  std::uint64_t tokens = 0;                 ///< all tokens of the file, prefill included
  std::uint32_t layers = 0, experts = 0, top_k = 0, shared_experts = 0;
  std::uint64_t sequences = 0;
  bool full_logits = false;
  std::uint32_t zero_experts = 0;  ///< zero-computation experts: may be chosen, cost no fetch, are not among `experts`
};

/// The sequences that fix popularity and fits, and those the simulation is counted on. Indices into
/// `RoutingTable::sequences`, ascending. Both hold all sequences when nothing is held back.
struct CalibrationSplit {
  std::vector<std::uint32_t> calibration;
  std::vector<std::uint32_t> evaluation;
};

/// The packed routing table: all that the simulation keeps of a trace.
struct RoutingTable {
  TraceInfo info;
  bool prefill = false;      ///< tokens kept: where the file marks decode tokens the others
  std::uint32_t tokens = 0;  ///< tokens kept: decode tokens where the file marks any, else all
  std::uint32_t layers = 0, experts = 0, top_k = 0;
  std::uint32_t slices =
      1;                   ///< cached objects that an expert consists of; above 1, `experts` and `top_k` count objects
  int words = 0;           ///< mask_words(experts)
  std::uint32_t rows = 0;  ///< of `masks`: the tokens; row `tokens`, empty in every layer, which is what an unused
                           ///< verify column routes like; then the recorded verify columns where they were asked for
  std::vector<std::uint64_t> masks;  ///< [rows][layers][words], rank order
  std::vector<std::uint16_t>
      expert_of_rank;  ///< [layers][experts]; rank 0 is the most popular, ties to the lower index
  std::vector<std::uint16_t> rank_of_expert;  ///< [layers][experts]; the inverse of expert_of_rank
  std::vector<std::uint32_t> popularity;      ///< [layers][experts] by rank: choices in the calibration sequences
  std::vector<Sequence> sequences;            ///< in file order; sequences without a kept token are left out
  CalibrationSplit split;

  RoutingView view() const { return {masks.data(), tokens, layers, experts, top_k, rows}; }
};

}  // namespace moecarlo
