#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/trace/scoring.hpp"

namespace moecarlo {

enum class TraceForm { logits_float16, logits_float32, expert_ids };

/// Everything of a trace that is not per token. Shapes: `scoring.experts`, `scoring.top_k` and `layers`.
struct TraceHeader {
  std::string model;
  std::string source, licence, created_by;  ///< left out of the file where empty
  TraceForm form = TraceForm::expert_ids;
  std::uint32_t layers = 0, shared_experts = 0;
  ScoringRule scoring;
  std::vector<std::int32_t> layer_numbers;  ///< [layers], or empty
  std::vector<float> selection_bias;        ///< [layers][experts], or empty
  bool weights = false;                     ///< an expert-id trace stores gate weights (as float16)
  bool phase = false;                       ///< tokens carry a phase
  bool token_ids = false;                   ///< tokens carry an id
};

/// A run of n >= 1 tokens; exactly the parts that the header announces.
struct TraceTokens {
  std::span<const float> logits;              ///< [n][layers][experts], for the two logit forms; finite
  std::span<const std::uint16_t> expert_ids;  ///< [n][layers][top_k], for expert_ids; distinct inside a layer
  std::span<const float> weights;             ///< [n][layers][top_k]
  std::span<const std::uint8_t> phase;        ///< [n], 0 prefill, 1 decode
  std::span<const std::int32_t> token_ids;    ///< [n]
};

/// Streams a trace to a file that TraceReader reads back. The file appears under its name when `finish` returns,
/// complete or not at all. Arguments that contradict the header are refused as usage errors, a disk that fails us as
/// machine errors.
class TraceWriter {
 public:
  TraceWriter(const std::filesystem::path& path, const TraceHeader& header);
  ~TraceWriter();

  /// Adds tokens to the current sequence; any number of calls a sequence.
  void append(const TraceTokens& tokens);
  /// Closes the current sequence, which must not be empty.
  void end_sequence();
  /// Writes what remains and gives the file its name. At least one sequence, none left open.
  void finish();

 private:
  struct Output;
  std::unique_ptr<Output> output_;
};

}  // namespace moecarlo
