#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/trace/locality_counts.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

enum class Phase : std::uint8_t { prefill = 0, decode = 1 };

struct LocalityOptions {
  LocalityLengths lengths = {{2, 3, 5, 8}, {4, 16, 64}};
  std::vector<std::uint32_t> capacities;  ///< experts per layer, 1 .. E; empty = k, 2k, 3k and E/2
  std::optional<Phase> phase;             ///< only tokens of this phase; the kept ones of a sequence stand side by side
  unsigned threads = 0;                   ///< 0 = all cores
  std::uint64_t ids_per_batch = std::uint64_t{1} << 26;                        ///< expert ids to hold at a time
  std::function<void(std::uint64_t done, std::uint64_t total)> progress = {};  ///< tokens of the file; may be empty
};

/// A figure in every layer, and over all layers. NaN where no token, pair or window gives it.
struct LayeredFigure {
  double mean = 0;
  std::vector<double> per_layer;  ///< [layers]
};

/// SRP(m): how well "this expert serves the whole segment" can predict routing, and how large the predicted group then
/// is, relative to the experts activated.
struct SegmentRouting {
  LayeredFigure value;  ///< `mean` is the pooled value: one threshold for all layers
  LayeredFigure group;  ///< likewise
};

/// Exact routing locality of a trace. Lists run in the order of `lengths` and `capacities`.
struct LocalityFigures {
  LocalityLengths lengths;                ///< as asked for, ascending, each once
  std::vector<std::uint32_t> capacities;  ///< as asked for or by default, ascending, each once
  std::uint64_t tokens = 0;               ///< kept
  std::uint64_t sequences = 0;            ///< with a kept token

  LayeredFigure adjacent_overlap;               ///< |E(t) and E(t - 1)| / k over neighbours inside sequences
  std::vector<LayeredFigure> distinct_experts;  ///< [windows] over all sliding windows inside sequences
  std::vector<LayeredFigure> lru_hit_rate;      ///< [capacities] one LRU per layer, emptied at each sequence start
  std::vector<SegmentRouting> srp;              ///< [segments]
  std::vector<std::vector<LayeredFigure>> sch;  ///< [segments][capacities] hit rates
  std::vector<std::uint32_t> sch_knee;          ///< [segments] experts per layer where SCH's curve over all sizes bends
  LayeredFigure entropy;                        ///< of the choice distribution, over log E; 0 where E = 1
  std::vector<std::vector<std::uint64_t>> popularity;  ///< [layers][experts] choices
  std::vector<std::string> notes;                      ///< what was left out and why: lengths that no sequence reaches
};

/// Measures the locality of a trace, in batches of whole sequences: memory holds one batch, which is a single sequence
/// where that alone exceeds `ids_per_batch`. Windows and segments longer than a sequence are skipped; SCH's look-ahead
/// ends with the sequence. The result depends neither on threads nor on batches.
///
/// Throws an `Error`: usage for a length outside 1 .. 65536, a capacity outside 1 .. E, or a phase that no token has;
/// input for a refused file.
LocalityFigures measure_locality(const TraceReader& trace, const LocalityOptions& options);

/// SRP from counts of (segment, expert) pairs by uses, `pairs` [m + 1]: the largest 2 matches / (predictions +
/// activations) over the thresholds 0 .. m, and predictions / activations at the smallest threshold that gives it.
/// Source: moe-lrc, arXiv 2505.16056.
struct SrpValue {
  double value = 0, group = 0;
};
SrpValue best_segment_routing(std::span<const std::uint64_t> pairs);

/// Where a rising, saturating curve bends: the capacity (1 .. E) at which hit rates [E], by capacity, lie farthest
/// above the straight line from nothing to all experts. Source: Kneedle (Satopaa et al., ICDCSW 2011), without
/// smoothing.
std::uint32_t knee(std::span<const double> hit_rates);

}  // namespace moecarlo
