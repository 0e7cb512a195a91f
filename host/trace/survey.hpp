#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/trace/trace_reader.hpp"

namespace moecarlo {

/// What a trace file holds and what to beware of.
struct TraceSurvey {
  TraceInfo info;
  ScoringRule scoring;
  TraceExtras extras;
  bool phases = false;             ///< the file says which tokens are prefill; without that all count as decode
  std::uint64_t zero_choices = 0;  ///< of all choices those of zero-computation experts
  std::uint64_t prefill_tokens = 0, decode_tokens = 0;
  std::uint64_t shortest_sequence = 0, median_sequence = 0, longest_sequence = 0;  ///< tokens
  std::uint64_t duplicate_sequences = 0;  ///< sequences that repeat the routing of an earlier one, token for token
  /// The longest beginning, up to 64 tokens, whose routing at least half of the sequences (and two) share; a prompt
  /// template shows this way even where token ids are missing or local to a sequence.
  std::uint64_t shared_prefix_tokens = 0;
  std::vector<std::string> warnings;  ///< one sentence each: what fakes locality or withholds an error bar
};

/// Reads a whole trace, which checks every rule of the format, and describes it. A broken rule is an `Error` of kind
/// input. `progress` (done and total tokens) may be empty.
TraceSurvey survey_trace(const std::filesystem::path& path, unsigned threads,
                         const std::function<void(std::uint64_t done, std::uint64_t total)>& progress = {});

}  // namespace moecarlo
