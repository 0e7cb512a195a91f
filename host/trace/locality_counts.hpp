#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/trace/choices.hpp"

namespace moecarlo {

/// The choices of one layer along consecutive tokens of one sequence: `ids` [tokens][top_k] in stored order, kNoExpert
/// in the places left empty.
struct LayerRun {
  std::span<const std::uint16_t> ids;
  std::uint32_t top_k = 0, experts = 0;

  std::uint64_t tokens() const { return ids.size() / top_k; }
  std::span<const std::uint16_t> at(std::uint64_t token) const {
    return without_empty(ids.subspan(token * top_k, top_k));
  }
};

/// Lengths in tokens, each 1 .. 65536.
struct LocalityLengths {
  std::vector<std::uint32_t> windows;   ///< for distinct experts
  std::vector<std::uint32_t> segments;  ///< m of SRP(m) and SCH(m, C)
};

/// Everything counted in one layer, summed over runs: integers, so that order never matters.
///
/// A depth d, 0 .. experts - 1, says that a lookup hits every cache of more than d experts; depth `experts` is an
/// expert not seen before in its run.
struct LayerCounts {
  LayerCounts(std::uint32_t experts, const LocalityLengths& lengths);

  std::vector<std::uint64_t> choices;                    ///< [experts]
  std::uint64_t after_another = 0;                       ///< choices of tokens that another one is before in the run
  std::uint64_t kept_from_previous = 0;                  ///< of these, choices that the token before had made as well
  std::vector<std::uint64_t> distinct;                   ///< [windows] experts in a sliding window, summed over windows
  std::vector<std::uint64_t> lru_depth;                  ///< [experts + 1] lookups by LRU stack depth
  std::vector<std::vector<std::uint64_t>> segment_uses;  ///< [segments][m + 1] (segment, expert) pairs by uses
  std::vector<std::vector<std::uint64_t>> sch_depth;     ///< [segments][experts + 1] lookups by depth in SCH's stack
};

/// Adds one run to its layer's counts.
void count_run(const LayerRun& run, const LocalityLengths& lengths, LayerCounts& counts);

// The parts of count_run, one figure each.

/// Choices per expert, choices kept from the token before, and distinct experts in all sliding windows.
void count_reuse(const LayerRun& run, std::span<const std::uint32_t> windows, LayerCounts& counts);

/// LRU stack distances (Mattson et al., IBM Systems Journal 9(2), 1970): the lookups of a token are judged before any
/// of them is touched, in stored order; the stack is empty at the start of the run. `depth` is [experts + 1].
void count_lru_depths(const LayerRun& run, std::span<std::uint64_t> depth);

/// How often each expert is used in each sliding segment of m tokens. `pairs` is [m + 1]. A run shorter than m has
/// none. Source: SRP of moe-lrc, arXiv 2505.16056.
void count_segment_uses(const LayerRun& run, std::uint32_t m, std::span<std::uint64_t> pairs);

/// The same of each expert apart: `pairs` is [experts][m + 1].
void count_expert_segment_uses(const LayerRun& run, std::uint32_t m, std::span<std::uint64_t> pairs);

/// Stack depths of the cache that evicts the expert with the fewest uses ahead: among the choices of the current token
/// not yet touched and the next m - 1 tokens of the run, the least recently used one on ties; the expert just brought
/// in stays. Lookups are judged as for LRU. That priority ignores the capacity, so the caches of all sizes nest
/// (Mattson) and one stack serves them all. Where the run ends the look-ahead ends, so runs shorter than m count as
/// well. `depth` is [experts + 1]. Source: SCH of moe-lrc, arXiv 2505.16056.
void count_sch_depths(const LayerRun& run, std::uint32_t m, std::span<std::uint64_t> depth);

}  // namespace moecarlo
