#pragma once

#include <cstdint>
#include <vector>

#include "hw/schemes/scheme.hpp"

namespace moecarlo::hw {

/// Part of a prompt: so many tokens after the first ones.
struct Chunk {
  std::uint32_t first = 0, tokens = 0;

  friend bool operator==(const Chunk&, const Chunk&) = default;
};

/// A prompt in chunks of so many tokens, the last of what is left.
std::vector<Chunk> chunks_of(std::uint32_t prompt, std::uint32_t chunk);

/// One chunk of one request through the target's layers: all weights once, the experts that any of its tokens takes,
/// and the cached positions of the chunk's middle for every token. The LM head is multiplied for the prompt's last
/// token alone.
Pass prefill_pass(const System& system, const Model& model, const Placement& placement, const Chunk& chunk, bool last);

}  // namespace moecarlo::hw
