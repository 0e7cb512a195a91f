#pragma once

#include <cstdint>
#include <vector>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// A prompt in chunks of so many tokens, the last of what is left.
std::vector<PromptChunk> chunks_of(std::uint32_t prompt, std::uint32_t chunk);

/// One chunk of one request through the target's layers, as a verification of the scheme reads them: all weights once,
/// the experts that any of its tokens takes, and the cached positions of the chunk's middle for every token. The LM
/// head is multiplied for the prompt's last token alone. `serving`: of the rounds, which has to do with what lies near.
Pass prefill_pass(const System& system, const Scheme& scheme, const Model& model, Serving serving,
                  const Placement& placement, const PromptChunk& chunk);

}  // namespace moecarlo::hw
