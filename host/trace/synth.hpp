#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "host/trace/synth_law.hpp"
#include "host/trace/trace_reader.hpp"

namespace moecarlo {

using SynthProgress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Tokens of the whole trace.
std::uint64_t total_tokens(const SynthLaw& law);

/// Writes the synthetic trace of a law, in blocks of so many ids or logits: memory does not grow with the trace, whose
/// content is the same for any number of threads (0 = all cores) and any block. Expert ids are in slot order, and so
/// are the logits of the chosen, largest first; all tokens are decode tokens. The file says that it is synthetic and
/// with which options. Throws an `Error` of kind machine when the disk fails.
void write_synthetic_trace(const std::filesystem::path& path, const SynthLaw& law, unsigned threads,
                           const SynthProgress& progress, std::uint64_t values_per_block = std::uint64_t{1} << 24);

/// The options as a command line, for provenance.
std::string describe(const SynthOptions& options);

/// A parameter of the law as estimated from the routing in a file. NaN where it leaves no trace: the exponent and
/// stickiness of a single expert, the strength of a single topic.
struct SynthEstimate {
  double value = 0;
  double standard_error = 0;  ///< from the number of draws, allowing for carried-over slots
};

/// What a file shows of the law it was drawn from.
///
/// Stickiness p: a slot whose previous expert is not yet in the token shows that expert again with probability p + (1 -
/// p) q, where q, known from the weights, is the chance of drawing it afresh; so p = (share - q) / (1 - q). Topic
/// strength: likewise, from the share of slot 0 that falls to the topic's own experts. Exponent: the one whose weights
/// give the mean log(rank + 1) that slot 0 has.
struct SynthFigures {
  std::uint64_t tokens = 0, sequences = 0;
  SynthEstimate zipf, stickiness, topic_strength;
  double carried_share = 0, carried_by_chance = 0;  ///< among the slots open to carry-over
  double topic_share = 0, topic_by_chance = 0;      ///< of slot 0
  double adjacent_overlap = 0;                      ///< |E(t) and E(t - 1)| / k; NaN without neighbours
};

/// Measures a trace that `write_synthetic_trace` made under this law.
SynthFigures measure_synthetic_trace(const TraceReader& trace, const SynthLaw& law, unsigned threads,
                                     const SynthProgress& progress);

}  // namespace moecarlo
