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

/// Block b of the Gumbel draws of an address: its eight 16-bit halves, low half first, belong to the experts 8b .. 8b +
/// 7. b < 128: an address has 64 blocks for each purpose, so that the experts from 512 on have a purpose of their own.
MOECARLO_HOST_DEVICE constexpr RandomBlock gumbel_block(DrawAddress at, std::uint32_t b) {
  at.purpose = b < 64 ? Purpose::perturb_key : Purpose::perturb_key_high;
  return at.block(b % 64);
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

/// Makes the alias draws of blocks q .. q + Blocks - 1 until `wanted` new experts are in the set; returns how many are.
/// All cells are loaded before the first is judged.
template <int Blocks, int Words>
MOECARLO_HOST_DEVICE std::uint32_t insert_alias_draws(const std::uint32_t* cells, std::uint32_t experts,
                                                      const DrawAddress& at, std::uint32_t q, std::uint32_t wanted,
                                                      ExpertMask<Words>& chosen) {
  std::uint32_t drawn[4 * Blocks];
  for (int i = 0; i < Blocks; ++i) {
    const RandomBlock block = at.block(q + static_cast<std::uint32_t>(i));
    for (int w = 0; w < 4; ++w) drawn[4 * i + w] = alias_draw(cells, experts, block.word[w]);
  }
  std::uint32_t found = 0;
  for (const std::uint32_t expert : drawn) {
    if (found == wanted) break;
    found += insert_new(chosen, expert);
  }
  return found;
}

/// Adds the `wanted` experts outside `chosen` with the largest key logit + Gumbel; equal keys go to the lower mask bit.
/// Given what is already drawn, these are the next `wanted` of successive sampling. logits: [experts], one row.
/// `wanted` is 1 .. the number of experts outside `chosen`. `at` names round, request, column and layer.
template <int Words>
MOECARLO_HOST_DEVICE void add_by_gumbel(const PerturbView& view, const std::int32_t* logits, std::uint32_t wanted,
                                        const DrawAddress& at, ExpertMask<Words>& chosen) {
  std::int64_t best[64 * Words];  // key << 10 | complement of the expert, descending: no two are equal
  std::uint32_t held = 0;
  RandomBlock block{};
  for (std::uint32_t expert = 0; expert < view.experts; ++expert) {
    if (expert % 8 == 0) block = gumbel_block(at, expert / 8);
    if (chosen.contains(expert)) continue;
    const std::uint32_t uniform = block.word[expert % 8 / 2] >> (expert % 2 * 16) & 0xffffU;
    const std::int64_t key = std::int64_t{logits[expert]} + view.gumbel[uniform];
    const std::int64_t candidate = key * (1 << kAliasBits) + ((1U << kAliasBits) - 1 - expert);
    if (held == wanted && candidate < best[held - 1]) continue;
    std::uint32_t place = held < wanted ? held++ : held - 1;
    for (; place > 0 && best[place - 1] < candidate; --place) best[place] = best[place - 1];
    best[place] = candidate;
  }
  for (std::uint32_t i = 0; i < held; ++i) {
    const auto complement = static_cast<std::uint32_t>(best[i] & ((1 << kAliasBits) - 1));
    chosen.insert((1U << kAliasBits) - 1 - complement);
  }
}

/// Asks for the cells of a row that will be drawn from soon: its few random reads would each miss the caches.
MOECARLO_HOST_DEVICE void prefetch_routing(const PerturbView& view, std::uint32_t token, std::uint32_t layer) {
#if !defined(__CUDA_ARCH__)
  if (view.alias == nullptr) return;
  const std::uint32_t* cells = view.alias + (std::size_t{token} * view.layers + layer) * view.experts;
  for (std::uint32_t cell = 0; cell < view.experts; cell += 16) __builtin_prefetch(cells + cell);
#else
  static_cast<void>(view), static_cast<void>(token), static_cast<void>(layer);
#endif
}

/// Redraws the routing of one (token, layer): top_k distinct experts.
///
/// `at` names trajectory, round, request and column; layer and purpose are set here. Alias draws are the words of
/// Purpose::perturb in order, 64 at most. A row where few experts hold nearly all the mass may then still lack some:
/// those drawn are kept and the rest is chosen by Gumbel-top-k from words of their own, which leaves the law as it is,
/// because the draws are independent and the order of the distinct ones is that of successive sampling.
///
/// Resolution: an alias probability is a multiple of 2^-22 / experts. Gumbel values lie in [-2.47, 11.78], so an expert
/// whose weight is below about e^-14 of the others' is never chosen before them. Equal keys, of which the lower mask
/// bit (the more popular expert) wins, act as if its weight were larger by about 2^-13 + experts / (2^17 top_k) of
/// itself.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> draw_routing(const PerturbView& view, std::uint32_t token, std::uint32_t layer,
                                                    DrawAddress at) {
  at.purpose = Purpose::perturb;
  at.layer = layer;
  const std::size_t row = (std::size_t{token} * view.layers + layer) * view.experts;
  ExpertMask<Words> chosen;
  std::uint32_t missing = view.top_k;
  if (view.alias != nullptr) {
    const std::uint32_t* cells = view.alias + row;
    std::uint32_t q = 0;
    while (q + 2 <= kAliasBlocks && missing > 4) {  // both blocks are needed for certain: their loads overlap
      missing -= insert_alias_draws<2>(cells, view.experts, at, q, missing, chosen);
      q += 2;
    }
    for (; q < kAliasBlocks && missing > 0; ++q) {
      missing -= insert_alias_draws<1>(cells, view.experts, at, q, missing, chosen);
    }
    if (missing == 0) return chosen;
  }
  add_by_gumbel(view, view.logits + row, missing, at, chosen);
  return chosen;
}

}  // namespace moecarlo
