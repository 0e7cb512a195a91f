#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// One Philox4x32-10 block: four 32-bit words from a 128-bit counter and a 64-bit key, no state.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
struct RandomBlock {
  std::uint32_t word[4];
};

MOECARLO_HOST_DEVICE constexpr RandomBlock philox(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                                  std::uint32_t c3, std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53U} * c0;
    const std::uint64_t b = std::uint64_t{0xCD9E8D57U} * c2;
    c0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(b);
    c2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(a);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {{c0, c1, c2, c3}};
}

static_assert(philox(0, 0, 0, 0, 0, 0).word[0] == 0x6627e8d5U && philox(0, 0, 0, 0, 0, 0).word[3] == 0x9b00dbd8U);

/// What a random number is for. Every draw of the project names one of these, so that adding a draw for one purpose
/// never moves the draws of another.
enum class Purpose : std::uint32_t {
  start = 0,              ///< where a request begins
  move = 1,               ///< the sequence a request moves to when its own ends
  acceptance = 2,         ///< draft position i is accepted
  resample = 3,           ///< the token whose routing a rejected column takes
  draft_replacement = 4,  ///< the resident that stands in for an absent expert while drafting
  split = 5,              ///< which sequences calibrate
  replicate_weight = 6,   ///< how often a replicate takes a sequence
  synth = 7,              ///< synthetic traces
  eviction = 8,           ///< the resident that makes place under the random policy
  perturb = 9,            ///< routing redrawn from the logits
  sibling = 10,           ///< where the routing of a tree's sibling differs from its path token's
  perturb_key = 11,       ///< Gumbel noise of the experts 0 .. 511 where routing is redrawn
  perturb_key_high = 12,  ///< the same of the experts from 512 on
  sibling_token = 13,     ///< the token that a tree's sibling borrows experts from
  other_start = 14,       ///< where a request's routing begins in a control, whose lengths are independent of it
  other_move = 15,        ///< the sequence that it moves to
};

/// The second word of the key: which family of trajectories draws.
enum class Stream : std::uint32_t { main = 0, replicates = 1, setup = 2 };

/// The address of a random draw; the same address gives the same number on every backend.
/// Ranges: round < 2^16, request < 2^16, column < 2^8, layer < 2^10, draw < 2^8.
struct DrawAddress {
  std::uint32_t seed = 0;
  Stream stream = Stream::main;
  std::uint64_t trajectory = 0;
  std::uint32_t round = 0;
  std::uint32_t request = 0;
  Purpose purpose = Purpose::start;
  std::uint32_t column = 0;
  std::uint32_t layer = 0;

  /// Block q holds draws 4q .. 4q + 3. Layers need 10 bits of their 16-bit field, q takes the other six.
  MOECARLO_HOST_DEVICE constexpr RandomBlock block(std::uint32_t q) const {
    return philox(static_cast<std::uint32_t>(trajectory), static_cast<std::uint32_t>(trajectory >> 32),
                  (round << 16) + request,
                  (static_cast<std::uint32_t>(purpose) << 24) + (column << 16) + (q << 10) + layer, seed,
                  static_cast<std::uint32_t>(stream));
  }

  MOECARLO_HOST_DEVICE constexpr std::uint32_t draw(std::uint32_t index) const {
    return block(index / 4).word[index % 4];
  }
};

/// A uniform integer in [0, n) from two words; the bias is below n / 2^64. n >= 1.
MOECARLO_HOST_DEVICE constexpr std::uint32_t uniform_below(std::uint32_t n, std::uint32_t high, std::uint32_t low) {
  return static_cast<std::uint32_t>((std::uint64_t{high} * n + ((std::uint64_t{low} * n) >> 32)) >> 32);
}

/// A probability as a threshold for a 32-bit draw: it happens when draw < threshold. Certainty is 2^32.
using Threshold = std::uint64_t;

MOECARLO_HOST_DEVICE constexpr bool happens(std::uint32_t draw, Threshold threshold) {
  return draw < threshold;
}

}  // namespace moecarlo
