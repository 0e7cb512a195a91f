#pragma once

#include "cuda/core/hostdevice.hpp"

#if defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
#endif

namespace moecarlo {

/// One Philox4x32-10 block: four 32-bit words from a 128-bit counter and a 64-bit key, no state.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
struct RandomBlock {
  std::uint32_t word[4];
};

constexpr std::uint32_t kPhiloxFactorA = 0xD2511F53U;
constexpr std::uint32_t kPhiloxFactorB = 0xCD9E8D57U;
constexpr std::uint32_t kPhiloxKeyStep0 = 0x9E3779B9U;
constexpr std::uint32_t kPhiloxKeyStep1 = 0xBB67AE85U;

constexpr int kPhiloxRounds = 10;

/// The keys of the rounds. A device that makes many blocks with one key keeps them rather than adding them up again.
struct PhiloxKeys {
  std::uint32_t first[kPhiloxRounds] = {}, second[kPhiloxRounds] = {};

  MOECARLO_HOST_DEVICE static constexpr PhiloxKeys of(std::uint32_t k0, std::uint32_t k1) {
    PhiloxKeys keys;
    for (int round = 0; round < kPhiloxRounds; ++round) {
      keys.first[round] = k0 + static_cast<std::uint32_t>(round) * kPhiloxKeyStep0;
      keys.second[round] = k1 + static_cast<std::uint32_t>(round) * kPhiloxKeyStep1;
    }
    return keys;
  }
};

MOECARLO_HOST_DEVICE constexpr RandomBlock philox(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                                  std::uint32_t c3, const PhiloxKeys& keys) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    const std::uint64_t a = std::uint64_t{kPhiloxFactorA} * c0;
    const std::uint64_t b = std::uint64_t{kPhiloxFactorB} * c2;
    c0 = static_cast<std::uint32_t>(b >> 32) ^ c1 ^ keys.first[round];
    c1 = static_cast<std::uint32_t>(b);
    c2 = static_cast<std::uint32_t>(a >> 32) ^ c3 ^ keys.second[round];
    c3 = static_cast<std::uint32_t>(a);
  }
  return {{c0, c1, c2, c3}};
}

MOECARLO_HOST_DEVICE constexpr RandomBlock philox(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                                  std::uint32_t c3, std::uint32_t k0, std::uint32_t k1) {
  return philox(c0, c1, c2, c3, PhiloxKeys::of(k0, k1));
}

static_assert(philox(0, 0, 0, 0, 0, 0).word[0] == 0x6627e8d5U && philox(0, 0, 0, 0, 0, 0).word[3] == 0x9b00dbd8U);

/// Several blocks: word w of block i is the number word[w][i], below 2^32. The numbers have 64 bits because that is how
/// vectors multiply them, here and where they are used.
template <int Count>
struct RandomBlocks {
  alignas(8 * Count) std::uint64_t word[4][Count];
};

/// The blocks of the counters (c0, c1, c2, c3 + i step), i < Count.
template <int Count>
MOECARLO_HOST_DEVICE RandomBlocks<Count> philox_blocks(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                                       std::uint32_t c3, std::uint32_t step, std::uint32_t k0,
                                                       std::uint32_t k1) {
  RandomBlocks<Count> blocks;
  for (std::uint32_t i = 0; i < Count; ++i) {
    const RandomBlock block = philox(c0, c1, c2, c3 + i * step, k0, k1);
    for (int w = 0; w < 4; ++w) blocks.word[w][i] = block.word[w];
  }
  return blocks;
}

#if defined(__AVX512VPOPCNTDQ__)
/// Eight blocks in vectors; those that the compiler makes of the loop above take nearly twice as long.
template <>
MOECARLO_HOST_DEVICE RandomBlocks<8> philox_blocks<8>(std::uint32_t c0, std::uint32_t c1, std::uint32_t c2,
                                                      std::uint32_t c3, std::uint32_t step, std::uint32_t k0,
                                                      std::uint32_t k1) {
  typedef std::uint64_t Vector __attribute__((vector_size(64), may_alias));
  // Of the lower halves; the upper ones need not be clear.
  const auto product = [](Vector a, std::uint32_t b) MOECARLO_INLINED {
    const auto factor = reinterpret_cast<__m512i>(Vector{} + b);
    return reinterpret_cast<Vector>(_mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), factor));
  };
  Vector word[4] = {Vector{} + c0, Vector{} + c1, Vector{} + c2, c3 + step * Vector{0, 1, 2, 3, 4, 5, 6, 7}};
  for (int round = 0; round < 10; ++round) {
    const Vector a = product(word[0], kPhiloxFactorA);
    const Vector b = product(word[2], kPhiloxFactorB);
    word[0] = (b >> 32) ^ word[1] ^ k0;
    word[1] = b;
    word[2] = (a >> 32) ^ word[3] ^ k1;
    word[3] = a;
    k0 += kPhiloxKeyStep0;
    k1 += kPhiloxKeyStep1;
  }
  RandomBlocks<8> blocks;
  for (int w = 0; w < 4; ++w) *reinterpret_cast<Vector*>(blocks.word[w]) = word[w] & 0xffffffffU;
  return blocks;
}
#endif

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

/// The address of a random draw; the same address gives the same number on every backend. Each number has a field of
/// its own in the counter, whose width is its limit: a study that would need more is refused before it starts, or its
/// draws would be those of another address.
struct DrawAddress {
  static constexpr int kRoundBits = 16, kRequestBits = 16;                                  // the third word
  static constexpr int kPurposeBits = 8, kColumnBits = 8, kBlockBits = 6, kLayerBits = 10;  // the last one
  static_assert(kRoundBits + kRequestBits == 32 && kPurposeBits + kColumnBits + kBlockBits + kLayerBits == 32);
  static constexpr std::uint32_t kRounds = 1U << kRoundBits;      ///< round < kRounds
  static constexpr std::uint32_t kRequests = 1U << kRequestBits;  ///< request < kRequests
  static constexpr std::uint32_t kColumns = 1U << kColumnBits;    ///< column < kColumns
  static constexpr std::uint32_t kBlocks = 1U << kBlockBits;      ///< of four draws each
  static constexpr std::uint32_t kDraws = 4 * kBlocks;            ///< draw < kDraws
  static constexpr std::uint32_t kLayers = 1U << kLayerBits;      ///< layer < kLayers

  std::uint32_t seed = 0;
  Stream stream = Stream::main;
  std::uint64_t trajectory = 0;
  std::uint32_t round = 0;
  std::uint32_t request = 0;
  Purpose purpose = Purpose::start;
  std::uint32_t column = 0;
  std::uint32_t layer = 0;

  /// Block q holds draws 4q .. 4q + 3.
  MOECARLO_HOST_DEVICE constexpr RandomBlock block(std::uint32_t q) const { return block(q, keys()); }
  MOECARLO_HOST_DEVICE constexpr RandomBlock block(std::uint32_t q, const PhiloxKeys& own_keys) const {
    return philox(static_cast<std::uint32_t>(trajectory), static_cast<std::uint32_t>(trajectory >> 32),
                  (round << kRequestBits) + request, last_counter(q), own_keys);
  }

  /// Of all addresses of this seed and stream.
  MOECARLO_HOST_DEVICE constexpr PhiloxKeys keys() const {
    return PhiloxKeys::of(seed, static_cast<std::uint32_t>(stream));
  }

  /// Blocks q .. q + Count - 1. Together they take much less time than one by one.
  template <int Count>
  MOECARLO_HOST_DEVICE RandomBlocks<Count> blocks(std::uint32_t q) const {
    return stepped_blocks<Count>(q, 1U << kLayerBits);
  }

  /// Block q of this layer and of the Count - 1 layers after it.
  template <int Count>
  MOECARLO_HOST_DEVICE RandomBlocks<Count> layer_blocks(std::uint32_t q) const {
    return stepped_blocks<Count>(q, 1);
  }

  MOECARLO_HOST_DEVICE constexpr std::uint32_t draw(std::uint32_t index) const {
    return block(index / 4).word[index % 4];
  }

 private:
  MOECARLO_HOST_DEVICE constexpr std::uint32_t last_counter(std::uint32_t q) const {
    MOECARLO_EXPECT(round < kRounds && request < kRequests);
    MOECARLO_EXPECT(column < kColumns && q < kBlocks && layer < kLayers);
    return (static_cast<std::uint32_t>(purpose) << (32 - kPurposeBits)) + (column << (kBlockBits + kLayerBits)) +
           (q << kLayerBits) + layer;
  }

  template <int Count>
  MOECARLO_HOST_DEVICE RandomBlocks<Count> stepped_blocks(std::uint32_t q, std::uint32_t step) const {
    return philox_blocks<Count>(static_cast<std::uint32_t>(trajectory), static_cast<std::uint32_t>(trajectory >> 32),
                                (round << kRequestBits) + request, last_counter(q), step, seed,
                                static_cast<std::uint32_t>(stream));
  }
};

/// A uniform integer in [0, n) from two words; the bias is below n / 2^64.
MOECARLO_HOST_DEVICE constexpr std::uint32_t uniform_below(std::uint32_t n, std::uint32_t high, std::uint32_t low) {
  MOECARLO_EXPECT(n > 0);
  return static_cast<std::uint32_t>((std::uint64_t{high} * n + ((std::uint64_t{low} * n) >> 32)) >> 32);
}

/// A probability as a threshold for a 32-bit draw: it happens when draw < threshold. Certainty is 2^32.
using Threshold = std::uint64_t;

MOECARLO_HOST_DEVICE constexpr bool happens(std::uint32_t draw, Threshold threshold) {
  return draw < threshold;
}

}  // namespace moecarlo
