#pragma once

#include "cuda/core/expert_mask.hpp"
#include "cuda/core/random.hpp"

namespace moecarlo {

// Routing redrawn from the logits at temperature tau: k distinct experts, one after the other, each with probability
// proportional to exp(logit / tau) among those not yet drawn (the law of Plackett and Luce, successive sampling). Two
// methods draw from it. Both know the logits as Q12 integers, which are therefore the definition of the law, and both
// are integers only, so that every backend draws the same experts.

/// How the k experts of a row are drawn.
enum class PerturbMethod : std::uint32_t {
  gumbel = 0,  ///< Gumbel-top-k: the k largest of logit + Gumbel noise (Kool et al. 2019, arXiv 1903.06059, section 2)
  alias = 1,   ///< draws from an alias table until k are distinct (Walker 1977; Vose 1991); several times faster
};

/// Fractional bits of logits and Gumbel values.
constexpr std::uint32_t kPerturbFraction = 12;
/// Entries of the Gumbel table, one for each 16-bit uniform.
constexpr std::uint32_t kGumbelEntries = 1U << 16;
/// An alias cell is a threshold in the upper 22 bits and an expert in the lower 10.
constexpr std::uint32_t kAliasBits = 10;
constexpr std::uint32_t kAliasThresholdBits = 32 - kAliasBits;
/// Blocks of four alias draws that one row may use; what is still missing after 64 draws is chosen by Gumbel-top-k.
constexpr std::uint32_t kAliasBlocks = 16;
static_assert(kAliasBlocks <= DrawAddress::kBlocks);

/// Blocks of random words that a row takes at a time: as many as the vectors of the instruction set make together.
#if defined(__AVX512VPOPCNTDQ__)
constexpr int kRowBlocks = 8;
#else
constexpr int kRowBlocks = 4;
#endif

/// Read-only tables of one trace for redrawing its routing; experts are mask bits (popularity ranks) throughout.
struct PerturbView {
  /// [tokens][layers][experts], threshold << 10 | alias. A draw falls into a cell and a place 0 .. 2^22 - 1 inside it;
  /// places below the threshold give the cell's own expert, the others give its alias. Null: Gumbel-top-k throughout.
  const std::uint32_t* alias = nullptr;
  const std::int32_t* logits = nullptr;  ///< [tokens][layers][experts] (logit - largest of the row) / tau, Q12, > -2^30
  const std::int32_t* gumbel = nullptr;  ///< [65536] Gumbel quantile at (i + 1/2) / 65536, Q12
  std::uint32_t experts = 0;             ///< 1 .. 1024
  std::uint32_t layers = 0;
  std::uint32_t top_k = 0;  ///< 1 .. experts
};

static_assert(2 * 8 * DrawAddress::kBlocks == 1U << kAliasBits);

/// Blocks b .. b + kRowBlocks - 1, b < 128 a multiple of kRowBlocks, of the Gumbel draws of an address. The eight
/// 16-bit halves of block b, low half first, belong to the experts 8b .. 8b + 7. An address has blocks for half of the
/// experts that there can be, so that those from 512 on have a purpose of their own.
MOECARLO_HOST_DEVICE RandomBlocks<kRowBlocks> gumbel_blocks(DrawAddress at, std::uint32_t b) {
  at.purpose = b < DrawAddress::kBlocks ? Purpose::perturb_key : Purpose::perturb_key_high;
  return at.blocks<kRowBlocks>(b % DrawAddress::kBlocks);
}

/// Adds an expert to the set; returns 1 where it is new, else 0.
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t insert_new(ExpertMask<Words>& set, std::uint32_t expert) {
  const std::uint32_t fresh = set.contains(expert) ? 0 : 1;
  set.insert(expert);
  return fresh;
}

/// The expert of one alias draw. cells: [experts], one row of PerturbView::alias.
MOECARLO_HOST_DEVICE std::uint32_t alias_draw(const std::uint32_t* cells, std::uint32_t experts, std::uint32_t word) {
  const std::uint64_t product = std::uint64_t{word} * experts;
  const auto cell = static_cast<std::uint32_t>(product >> 32);
  const std::uint32_t place = static_cast<std::uint32_t>(product) >> kAliasBits;
  const std::uint32_t entry = cells[cell];
  return place < entry >> kAliasBits ? cell : entry & ((1U << kAliasBits) - 1);
}

/// Makes the alias draws of a row from block q on until `wanted` new experts are in the set or no blocks are left;
/// returns how many are new. `at` names the address in full.
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t insert_alias_draws(const std::uint32_t* cells, std::uint32_t experts,
                                                      const DrawAddress& at, std::uint32_t q, std::uint32_t wanted,
                                                      ExpertMask<Words>& chosen) {
  std::uint32_t found = 0;
  for (; q < kAliasBlocks && found < wanted; q += kRowBlocks) {
    const auto blocks = at.blocks<kRowBlocks>(q);
    for (std::uint32_t i = 0; i < kRowBlocks && q + i < kAliasBlocks && found < wanted; ++i) {
      std::uint32_t drawn[4];  // all cells are loaded before the first is judged
      for (int w = 0; w < 4; ++w) drawn[w] = alias_draw(cells, experts, static_cast<std::uint32_t>(blocks.word[w][i]));
      for (int w = 0; w < 4 && found < wanted; ++w) found += insert_new(chosen, drawn[w]);
    }
  }
  return found;
}

/// Calls use(expert, noise) for every expert in order: its Q12 Gumbel value at an address.
template <class Use>
MOECARLO_HOST_DEVICE void for_each_gumbel(const PerturbView& view, const DrawAddress& at, const Use& use) {
  for (std::uint32_t b = 0; 8 * b < view.experts; b += kRowBlocks) {
    const auto blocks = gumbel_blocks(at, b);
    for (std::uint32_t i = 0; i < 8 * kRowBlocks && 8 * b + i < view.experts; ++i) {
      const std::uint64_t uniform = blocks.word[i % 8 / 2][i / 8] >> (i % 2 * 16) & 0xffffU;
      use(8 * b + i, view.gumbel[uniform]);
    }
  }
}

/// Adds the `wanted` experts outside `chosen` with the largest key logit + Gumbel; equal keys go to the lower mask bit.
/// Given what is already drawn, these are the next `wanted` of successive sampling. logits: [experts], one row.
/// `wanted` is at most the number of experts outside `chosen`. `at` names round, request, column and layer.
/// It goes through all keys for each expert that it takes: vectors compare many at a time.
template <int Words>
MOECARLO_HOST_DEVICE void add_largest(const PerturbView& view, const std::int32_t* logits, std::uint32_t wanted,
                                      const DrawAddress& at, ExpertMask<Words>& chosen) {
  constexpr std::uint32_t kLowBits = (1U << kAliasBits) - 1;
  constexpr std::int64_t kTaken = -(std::int64_t{1} << 62);  // below every key
  std::int64_t keys[64 * Words];  // (logit + Gumbel) << 10 | complement of the expert: no two are equal
  for_each_gumbel(view, at, [&](std::uint32_t expert, std::int32_t noise) MOECARLO_INLINED {
    keys[expert] = (std::int64_t{logits[expert]} + noise) * (1 << kAliasBits) + (kLowBits - expert);
  });
  for (std::uint32_t w = 0; w < Words; ++w) {
    for (std::uint64_t rest = chosen.word[w]; rest != 0; rest &= rest - 1) keys[64 * w + lowest_bit(rest)] = kTaken;
  }
  for (; wanted > 0; --wanted) {
    std::int64_t largest = kTaken;
    for (std::uint32_t e = 0; e < view.experts; ++e) largest = keys[e] > largest ? keys[e] : largest;
    const std::uint32_t expert = kLowBits - (static_cast<std::uint32_t>(largest) & kLowBits);
    chosen.insert(expert);
    keys[expert] = kTaken;
  }
}

/// Adds `missing` experts to those that the alias draws of a row have chosen before block q: by the draws that are
/// left, then by Gumbel-top-k. row: of the first expert in the tables.
template <int Words>
MOECARLO_HOST_DEVICE void complete_row(const PerturbView& view, std::size_t row, const DrawAddress& at, std::uint32_t q,
                                       std::uint32_t missing, ExpertMask<Words>& chosen) {
  if (view.alias != nullptr) {
    missing -= insert_alias_draws(view.alias + row, view.experts, at, q, missing, chosen);
    if (missing == 0) return;
  }
  add_largest(view, view.logits + row, missing, at, chosen);
}

}  // namespace moecarlo
