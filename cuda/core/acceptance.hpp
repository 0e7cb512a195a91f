#pragma once

#include "cuda/core/random.hpp"

namespace moecarlo {

/// Accepted length of one request in one round: draft position i is accepted with conditional probability
/// thresholds[i] / 2^32, and the first rejection ends it. 0 .. depth; depth 0 is autoregressive decoding.
///
/// Position i always uses draw i, so that all depths of a study share their uniforms.
MOECARLO_HOST_DEVICE std::uint32_t accepted_length(DrawAddress at, const Threshold* thresholds, std::uint32_t depth) {
  at.purpose = Purpose::acceptance;
  RandomBlock block{};
  for (std::uint32_t i = 0; i < depth; ++i) {
    if (i % 4 == 0) block = at.block(i / 4);
    if (!happens(block.word[i % 4], thresholds[i])) return i;
  }
  return depth;
}

}  // namespace moecarlo
