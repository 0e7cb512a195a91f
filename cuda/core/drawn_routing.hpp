#pragma once

#include "cuda/core/columns.hpp"
#include "cuda/core/path.hpp"
#include "cuda/core/perturb_bundle.hpp"

namespace moecarlo {

// Routing that is drawn rather than read: perturbed from the logits, and the siblings of a tree. A trajectory draws the
// masks of all its columns into scratch, then replays them like any other rows.

/// Most experts a token chooses where siblings are drawn: one draw to keep each, and one to replace it.
constexpr std::uint32_t kMostSiblingChoices = DrawAddress::kDraws / 2;

/// The member of a set that has `index` members below it.
template <int Words>
MOECARLO_HOST_DEVICE std::uint32_t nth_member(const ExpertMask<Words>& set, std::uint32_t index) {
  MOECARLO_EXPECT(index < set.count());
  for (int w = 0; w < Words; ++w) {
    std::uint64_t rest = set.word[w];
    const std::uint32_t here = count_bits(rest);
    if (index >= here) {
      index -= here;
      continue;
    }
    for (; index > 0; --index) rest &= rest - 1;
    return 64U * static_cast<std::uint32_t>(w) + lowest_bit(rest);
  }
  return 0;  // not reached
}

/// Both slices of each expert: `upper` and, `experts` bits further, the lower slices of the same.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> with_lower_slices(const ExpertMask<Words>& upper, std::uint32_t experts) {
  ExpertMask<Words> both = upper;
  for (int w = 0; w < Words; ++w) {
    for (std::uint64_t rest = upper.word[w]; rest != 0; rest &= rest - 1) {
      both.insert(64U * static_cast<std::uint32_t>(w) + lowest_bit(rest) + experts);
    }
  }
  return both;
}

/// The random words that make a sibling, one after the other. `at` names round, request, column and layer.
struct SiblingDraws {
  DrawAddress at;
  std::uint32_t used = 0;
  RandomBlock block{};

  MOECARLO_HOST_DEVICE static SiblingDraws of(DrawAddress at) {
    at.purpose = Purpose::sibling;
    return {at};
  }
  MOECARLO_HOST_DEVICE std::uint32_t next() {
    if (used % 4 == 0) block = at.block(used / 4);
    return block.word[used++ % 4];
  }
};

/// What a sibling keeps of the path token at its level: each expert with probability keeps / 2^16.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> kept_by_sibling(const ExpertMask<Words>& path_token, SiblingDraws& draws,
                                                       std::uint32_t keeps) {
  ExpertMask<Words> kept;
  for (int w = 0; w < Words; ++w) {
    for (std::uint64_t rest = path_token.word[w]; rest != 0; rest &= rest - 1) {
      if (draws.next() >> 16 < keeps) kept.word[w] |= rest & (0 - rest);
    }
  }
  return kept;
}

/// The routing of a sibling: what it keeps of the path token, and the others, without repetition, from another token's
/// choices. `at` names round, request, column and layer.
template <int Words>
MOECARLO_HOST_DEVICE ExpertMask<Words> sibling_routing(const ExpertMask<Words>& path_token,
                                                       const ExpertMask<Words>& other, const DrawAddress& at,
                                                       std::uint32_t keeps) {
  SiblingDraws draws = SiblingDraws::of(at);
  ExpertMask<Words> kept = kept_by_sibling(path_token, draws, keeps);
  for (std::uint32_t missing = path_token.count() - kept.count(); missing > 0; --missing) {
    const ExpertMask<Words> open = without(other, kept);
    const std::uint32_t count = open.count();
    kept.insert(nth_member(open, static_cast<std::uint32_t>((std::uint64_t{draws.next()} * count) >> 32)));
  }
  return kept;
}

/// Whether a cell's columns are drawn at all.
MOECARLO_HOST_DEVICE bool draws_routing(const PlanView& plan, const Cell& cell) {
  return plan.perturb.logits != nullptr || (!cell.tree.is_chain() && cell.depth > 0);
}

/// Where the drawn masks of a trajectory lie, in a bundle of layers.
struct DrawnMasks {
  std::uint64_t* masks = nullptr;  ///< [slots][layers][words]
  std::uint32_t layers = 0;
  std::uint32_t layer = 0;   ///< the bundle's first, among `layers`
  bool paths_drawn = false;  ///< those of the path's columns are there before the replay; siblings' are not

  /// Of a trajectory whose paths' rows were drawn before: into `all`, [trajectories][slots][layers][words] of
  /// `layer_count` layers from first_layer on. `masks` is where those of layer 0 would lie.
  template <int Words>
  MOECARLO_HOST_DEVICE static DrawnMasks ahead(std::uint64_t* all, std::size_t trajectory, std::uint32_t slots,
                                               std::uint32_t first_layer, std::uint32_t layer_count) {
    return {all + trajectory * slots * layer_count * Words - std::size_t{first_layer} * Words, layer_count, 0, true};
  }

  template <int Words>
  MOECARLO_HOST_DEVICE std::uint64_t* at(std::size_t slot) const {
    return masks + (slot * layers + layer) * Words;
  }
};

/// Draws the masks of one pass's columns in `Lanes` layers from `first_layer` on.
/// known_passes: those whose tokens the path holds, this one included; the table rows of the next token are asked for
/// ahead.
template <int Words, int Lanes>
MOECARLO_HOST_DEVICE void draw_columns(const RoutingView& routing, const PlanView& plan, const Cell& cell,
                                       const TrajectoryId& id, const Path& path, std::uint32_t pass,
                                       std::uint32_t known_passes, std::uint32_t first_layer, const DrawnMasks& drawn) {
  const std::size_t first = std::size_t{pass} * cell.columns() * cell.batch;
  const std::size_t known = std::size_t{known_passes} * cell.columns() * cell.batch;
  for (std::uint32_t column = drawn.paths_drawn ? cell.depth + 1 : 0; column < cell.columns(); ++column) {
    const std::uint32_t level = Tree::level(column, cell.depth);
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::size_t slot = first + std::size_t{column} * cell.batch + request;
      const std::size_t path_slot = first + std::size_t{level} * cell.batch + request;
      const std::uint32_t token = path.tokens[slot];
      std::uint64_t* into = drawn.at<Words>(slot);
      DrawAddress at{plan.seed, id.stream, id.number, pass, request, Purpose::sibling, column, first_layer};
      if (token == plan.tokens) {  // never drafted
        LayerBundle<Words, Lanes>{}.scatter(into);
      } else if (column > cell.depth) {
        const std::uint64_t* path_token = drawn.at<Words>(path_slot);
        for (int lane = 0; lane < Lanes; ++lane) {
          at.layer = first_layer + static_cast<std::uint32_t>(lane);
          // An expert's slices go together.
          const auto experts = ExpertMask<Words>::first(plan.drafting_experts);
          auto mask = sibling_routing(ExpertMask<Words>::load(path_token + lane * Words) & experts,
                                      RowMasks<Words, 1>::of(routing, at.layer).routed(path.others[slot], 0) & experts,
                                      at, plan.sibling_keeps);
          if (plan.drafting_experts < routing.experts) mask = with_lower_slices(mask, plan.drafting_experts);
          for (int w = 0; w < Words; ++w) into[lane * Words + w] = mask.word[w];
        }
#if !defined(__CUDA_ARCH__)  // a device has drawn them ahead
      } else if (plan.perturb.logits != nullptr) {
        const std::uint32_t next = path.tokens[slot + 1 < known ? slot + 1 : slot];
        if (next < plan.tokens) prefetch_routing(plan.perturb, next, first_layer, Lanes);
        draw_routing<Words, Lanes>(plan.perturb, token, first_layer, at).scatter(into);
#endif
      } else {
        LayerBundle<Words, Lanes>::load(routing, token, first_layer).scatter(into);
      }
    }
  }
}

}  // namespace moecarlo
