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
};

/// Chooses experts elsewhere than in the threads of a reader, with the result of select_experts.
class ExpertSelector {
 public:
  virtual ~ExpertSelector() = default;
  /// `logits`: [tokens][layers][experts] as stored. `ids`: [tokens][layers][top_k]. Where a logit is not finite the
  /// result is the index of the first such, and `ids` are of no use.
  virtual std::optional<std::uint64_t> select(const void* logits, std::uint64_t tokens,
                                              std::span<std::uint16_t> ids) = 0;
};

/// Makes a selector for logits of a kind; null where it cannot serve them, and the reader does.
using MakeSelector = std::function<std::unique_ptr<ExpertSelector>(const StoredLogits& logits)>;

}  // namespace moecarlo
