#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "host/trace/scoring.hpp"

namespace moecarlo {

/// Router logits as a file stores them, and the rule by which they choose.
struct StoredLogits {
  ScoringRule rule;
  std::uint32_t layers = 0;
  std::vector<float> bias;  ///< [layers][experts] selection bias; empty where there is none
  bool float16 = false;     ///< stored in 16 bits instead of 32

  std::uint64_t token_bytes() const { return std::uint64_t{layers} * rule.experts * (float16 ? 2 : 4); }
};

/// Chooses experts elsewhere than in the threads of a reader, with the result of select_experts. The pieces of a trace
/// pass through in order. Two may be under way, so that one is read and decompressed while the other is chosen from:
/// room, begin, then again room, begin, finish (of the first), and so on.
class ExpertSelector {
 public:
  virtual ~ExpertSelector() = default;
  /// Memory for the logits of the next piece, [tokens][layers][experts] as stored.
  virtual void* room(std::uint64_t tokens) = 0;
  /// Begins to choose from what now lies in that memory, which is not to be touched until the piece is finished.
  virtual void begin() = 0;
  /// Waits for the first piece that is under way. `ids`: [tokens][layers][top_k]. Where a logit is not finite the
  /// result is the index of the first such, and `ids` are of no use.
  virtual std::optional<std::uint64_t> finish(std::span<std::uint16_t> ids) = 0;
};

/// Makes a selector for logits of a kind; null where it cannot serve them, and the reader does.
using MakeSelector = std::function<std::unique_ptr<ExpertSelector>(const StoredLogits& logits)>;

}  // namespace moecarlo
