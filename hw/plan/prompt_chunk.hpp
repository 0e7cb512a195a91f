#pragma once

namespace moecarlo::hw {

/// Part of a prompt: so many tokens after the first ones. The last part of a prompt gives its first token.
struct PromptChunk {
  double first = 0, tokens = 0;
  double last = 0;  ///< 1 where it is, or a chance

  friend bool operator==(const PromptChunk&, const PromptChunk&) = default;
};

}  // namespace moecarlo::hw
