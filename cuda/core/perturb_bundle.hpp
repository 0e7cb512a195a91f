#pragma once

#include "cuda/core/layer_bundle.hpp"
#include "cuda/core/perturb.hpp"

namespace moecarlo {

/// Blocks of alias draws that the layers of a bundle make together. Most rows need no more; those that do go on alone.
constexpr std::uint32_t kBundleBlocks = 5;

/// Asks for what the rows of a token in `layers` layers from first_layer on will be drawn from soon. The few random
/// reads of a row would miss the caches, and the lines are more than the first level can wait for: into the second.
MOECARLO_HOST_DEVICE void prefetch_routing(const PerturbView& view, std::uint32_t token, std::uint32_t first_layer,
                                           std::uint32_t layers) {
  const std::size_t row = (std::size_t{token} * view.layers + first_layer) * view.experts;
  const void* numbers = view.alias != nullptr ? static_cast<const void*>(view.alias + row) : view.logits + row;
  for (std::size_t byte = 0; byte < std::size_t{layers} * view.experts * 4; byte += 64) {
    __builtin_prefetch(static_cast<const char*>(numbers) + byte, 0, 2);
  }
}

/// alias_draw in the rows of neighbouring layers. cells: [Lanes][experts]; words below 2^32.
template <int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> alias_draws(const std::uint32_t* cells, std::uint32_t experts,
                                                 const LaneWord<Lanes>& words) {
  using Numbers = LaneWord<Lanes>;
  const Numbers product = words * Numbers::all(experts);
  const Numbers cell = product >> 32;
  const Numbers place = (product & Numbers::all(0xffffffffU)) >> kAliasBits;
  std::uint64_t entries[Lanes];
  for (int lane = 0; lane < Lanes; ++lane) entries[lane] = cells[lane * experts + cell[lane]];
  const Numbers entry = Numbers::load(entries);
  const Numbers alias = entry & Numbers::all((1U << kAliasBits) - 1);
  return select(less(place, entry >> kAliasBits), cell, alias);
}

/// Adds an expert to each lane's set where `open` is all ones; returns 1 where it is new, else 0.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> insert_new(LayerBundle<Words, Lanes>& set, const LaneWord<Lanes>& expert,
                                                const LaneWord<Lanes>& open) {
  using Numbers = LaneWord<Lanes>;
  const Numbers bit = (Numbers::all(1) << (expert & Numbers::all(63))) & open;
  Numbers fresh = Numbers::all(0), here = bit;
  for (int w = 0; w < Words; ++w) {
    Numbers later = Numbers::all(0);  // what belongs to the words after this one
    if (w + 1 < Words) later = here & ~less(expert, Numbers::all(64 * static_cast<std::uint64_t>(w + 1)));
    here = here & ~later;
    fresh = fresh | (here & ~set.word[w]);
    set.word[w] = set.word[w] | here;
    here = later;
  }
  return count_bits(fresh);
}

/// Makes the first alias draws of all lanes until no lane misses an expert; returns how many each still misses.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LaneWord<Lanes> draw_together(const PerturbView& view, const std::uint32_t* cells,
                                                   const DrawAddress& at, LayerBundle<Words, Lanes>& chosen) {
  LaneWord<Lanes> missing = LaneWord<Lanes>::all(view.top_k);
  for (std::uint32_t q = 0; q < kBundleBlocks && any(missing); ++q) {
    const auto blocks = at.layer_blocks<Lanes>(q);
    for (const auto& words : blocks.word) {
      const LaneWord<Lanes> expert = alias_draws(cells, view.experts, LaneWord<Lanes>::load(words));
      missing = missing - insert_new(chosen, expert, less(LaneWord<Lanes>::all(0), missing));
    }
  }
  return missing;
}

/// Redraws the routing of a token in the layers of a bundle: top_k distinct experts each.
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
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE LayerBundle<Words, Lanes> draw_routing(const PerturbView& view, std::uint32_t token,
                                                            std::uint32_t first_layer, DrawAddress at) {
  at.purpose = Purpose::perturb;
  at.layer = first_layer;
  const std::size_t row = (std::size_t{token} * view.layers + first_layer) * view.experts;
  LayerBundle<Words, Lanes> chosen;
  LaneWord<Lanes> missing = LaneWord<Lanes>::all(view.top_k);
  std::uint32_t drawn_blocks = 0;
  if (view.alias != nullptr) {
    missing = draw_together(view, view.alias + row, at, chosen);
    drawn_blocks = kBundleBlocks;
  }
  for (int lane = 0; lane < Lanes; ++lane) {
    if (missing[lane] == 0) continue;
    at.layer = first_layer + static_cast<std::uint32_t>(lane);
    ExpertMask<Words> own = chosen.lane(lane);
    complete_row(view, row + static_cast<std::size_t>(lane) * view.experts, at, drawn_blocks,
                 static_cast<std::uint32_t>(missing[lane]), own);
    chosen.set_lane(lane, own);
  }
  return chosen;
}

}  // namespace moecarlo
