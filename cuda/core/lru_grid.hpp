#pragma once

#include "cuda/core/episode_path.hpp"
#include "cuda/core/policy/lru_stack.hpp"
#include "cuda/core/strided.hpp"
#include "cuda/core/verify.hpp"

namespace moecarlo {

// A cell of LRU caches of many capacities, episode by episode, as a device replays it: a lane has the stack of one
// trajectory in one layer, and counts by intervals of the capacities in bytes that its warp now and then adds up.

/// The bytes of an interval's counter. Each of them counts, of the experts of a pass or of the choices of a draft step,
/// those whose position at the start of the pass lay in the interval.
enum LruCount : std::uint32_t {
  kLruDistinct = 0,  ///< experts of a pass
  kLruAccepted = 1,  ///< those of its accepted columns
  kLruDrafted = 2,   ///< choices of the sampled draft step
  kLruStayed = 3,    ///< experts of a pass whose positions at its start and at its end both lay there or before
  kLruCounts = 4,
};

/// What the touches of a token count besides the token's experts.
struct LruTokenCounts {
  bool counted = false;   ///< no warm-up
  bool accepted = false;  ///< its column was
  bool drafted = false;   ///< it is the sampled draft step's
};

/// `AtOnce` choices of a token, a byte each, lowest first: 1, 2 or a multiple of 4.
template <std::uint32_t AtOnce>
struct PackedChoices {
  static constexpr std::uint32_t kWords = (AtOnce + 3) / 4;
  std::uint32_t word[kWords] = {};

  /// From `choices` on, which device code reads as one number.
  MOECARLO_HOST_DEVICE static PackedChoices of(const std::uint8_t* choices) {
    PackedChoices packed;
#if defined(__CUDA_ARCH__)
    if constexpr (AtOnce == 8) {
      const auto both = *reinterpret_cast<const uint2*>(choices);
      packed.word[0] = both.x;
      packed.word[1] = both.y;
    } else if constexpr (AtOnce == 4) {
      packed.word[0] = *reinterpret_cast<const std::uint32_t*>(choices);
    } else if constexpr (AtOnce == 2) {
      packed.word[0] = *reinterpret_cast<const std::uint16_t*>(choices);
    } else {
      packed.word[0] = *choices;
    }
#else
    for (std::uint32_t c = 0; c < AtOnce; ++c) packed.word[c / 4] |= std::uint32_t{choices[c]} << (c % 4 * 8);
#endif
    return packed;
  }

  /// LruStack::places of the choices: of choice c in half c % 4 / 2 of places[c / 4][c % 2].
  MOECARLO_HOST_DEVICE void find(std::uint32_t (&places)[kWords][2]) const {
    for (std::uint32_t w = 0; w < kWords; ++w) {
      places[w][0] = LruStack::places(word[w] & 0xff00ffU);
      places[w][1] = LruStack::places(word[w] >> 8 & 0xff00ffU);
    }
  }
};

/// One lane's stack and counters.
struct LruLane {
  LruStack stack;
  std::uint32_t* rows;         ///< [intervals][kStackLanes] of four bytes, see LruCount
  std::uint32_t smallest = 0;  ///< the smallest capacity

  /// Touches `AtOnce` choices of a token, none of which is another. Those of newer tokens of the pass have been touched
  /// before; with these they are `touched` at most.
  ///
  /// The stages are those of the memory that one needs after the other, so that the choices wait for it together.
  template <std::uint32_t AtOnce>
  MOECARLO_HOST_DEVICE void touch(const PackedChoices<AtOnce>& packed, const LruTokenCounts& token,
                                  std::uint32_t touched) {
    std::uint16_t* last[AtOnce];
    std::uint32_t before[AtOnce], bucket[AtOnce], old_slot[AtOnce], slot[AtOnce];
    bool fresh[AtOnce];
    std::uint32_t places[PackedChoices<AtOnce>::kWords][2];
    packed.find(places);
    for (std::uint32_t c = 0; c < AtOnce; ++c) {
      const std::uint32_t both = places[c / 4][c % 2];
      last[c] = &at_byte(stack.last, c % 4 < 2 ? both & 0xffffU : both >> 16);
      before[c] = *last[c];
    }
    for (std::uint32_t c = 0; c < AtOnce; ++c) {
      const std::uint32_t found = stack.slot_of(before[c]);
      fresh[c] = found >= stack.end;
      old_slot[c] = fresh[c] ? found : stack.end;
      const std::uint32_t old = stack.bucket_of(old_slot[c]);
      bucket[c] = fresh[c] ? old : (before[c] & ~LruStack::kKept) >> stack.shape.bucket_shift;
    }
    const std::uint32_t kept = token.accepted ? LruStack::kKept : 0;
    for (std::uint32_t c = 0; c < AtOnce; ++c) {
      slot[c] = stack.next;
      const std::uint32_t now = (bucket[c] << stack.shape.bucket_shift) + slot[c];
      before[c] = fresh[c] ? now : before[c];
      stack.next += fresh[c] ? 1 : 0;
      *last[c] = static_cast<std::uint16_t>(before[c] | kept);
    }
    if (!token.counted) {
      for (std::uint32_t c = 0; c < AtOnce; ++c) stack.leave(old_slot[c], fresh[c]);
      return;
    }
    const std::uint32_t both = token.drafted ? 1U << (8 * kLruDrafted) : 0;
    constexpr std::uint32_t kDistinct = 1U << (8 * kLruDistinct), kStays = 1U << (8 * kLruStayed);
    std::uint32_t counts[AtOnce], pushed_to[AtOnce];
    for (std::uint32_t c = 0; c < AtOnce; ++c) {
      counts[c] = both + ((kept & ~before[c]) >> 15 << (8 * kLruAccepted)) + (fresh[c] ? kDistinct + kStays : 0);
      pushed_to[c] = 0;
    }
    if (touched > smallest) {  // some of the positions are not below all capacities
      for (std::uint32_t c = 0; c < AtOnce; ++c) pushed_to[c] = stack.buckets[slot[c] - stack.base];
    }
    for (std::uint32_t c = 0; c < AtOnce; ++c) {
      const std::uint32_t pushed = fresh[c] && pushed_to[c] > bucket[c] ? kStays : 0;
      stack.leave(old_slot[c], fresh[c]);
      add_in_place(row(bucket[c]), counts[c] - pushed);
      add_in_place(row(pushed_to[c]), pushed);
    }
  }

  MOECARLO_HOST_DEVICE std::uint32_t& row(std::uint32_t bucket) const {
    return at_byte(rows, bucket * (4 * kStackLanes));
  }
};

/// The path of one trajectory of such a cell, among those of others: what a Path has for an episode of a chain.
struct LruGridPath {
  // In `tokens`, see mark_columns.
  static constexpr std::uint32_t kAccepted = 0x80000000, kDraftsNothing = 0x40000000;
  static constexpr std::uint32_t kToken = ~(kAccepted | kDraftsNothing);

  Strided<std::uint32_t> tokens;
  Strided<std::uint8_t> accepted, drafted;
  std::uint32_t* others = nullptr;
  Place* places = nullptr;
  Place* other_places = nullptr;
};

/// Marks the tokens of accepted columns in a path that has been drawn, and where a draft is shorter than the cell's
/// depth that of its last column, so that its replay reads nothing else. A trace of an LRU grid has fewer tokens than
/// the marks, see is_lru_grid.
MOECARLO_HOST_DEVICE void mark_columns(const Cell& cell, std::uint32_t passes, const LruGridPath& path) {
  for (std::uint32_t pass = 0; pass < passes; ++pass) {
    for (std::uint32_t request = 0; request < cell.batch; ++request) {
      const std::size_t lengths = std::size_t{pass} * cell.batch + request;
      const std::uint32_t accepted = path.accepted[lengths], drafted = path.drafted[lengths];
      for (std::uint32_t column = 0; column <= accepted; ++column) {
        path.tokens[EpisodePath::slot(cell, pass, column) + request] |= LruGridPath::kAccepted;
      }
      if (drafted == cell.depth) continue;
      path.tokens[EpisodePath::slot(cell, pass, drafted) + request] |= LruGridPath::kDraftsNothing;
    }
  }
}

/// A lane's way through the episodes of its trajectories. Lanes of a warp take the same steps, of which one without a
/// trajectory (`exists` is false) leaves out those of its own.
template <std::uint32_t AtOnce>
struct LruGridReplay {
  const PlanView& plan;
  const RoutingView& routing;
  const Cell& cell;
  const std::uint8_t* choices;   ///< of the layer, [tokens][top_k] by ascending rank
  std::uint32_t tokens_counted;  ///< after which bytes of the rows could be full
  std::uint32_t* distinct;       ///< [experts + 1] passes by number of distinct experts
  LruLane own;
  std::uint32_t uncounted = 0;  ///< tokens since the rows were added up

  /// Replays a path marked by mark_columns. `warp` does what concerns all lanes: place_experts() gives every expert
  /// its LruStack::first_slot, add_up() adds the rows up and clears them.
  template <class Warp>
  MOECARLO_HOST_DEVICE void operator()(const LruGridPath& path, bool exists, std::uint64_t number, const Warp& warp) {
    const std::uint32_t passes = plan.warmup + plan.rounds, slots = (cell.depth + 1) * cell.batch;
    std::uint32_t slot = slots - 1;  // a pass is walked from its newest token
    std::uint32_t next = 0;          // token, read while the one before it is replayed
    warp.place_experts();
    if (exists) {
      own.stack.start(plan.warm);
      next = path.tokens[slot];
    }
    for (std::uint32_t pass = 0; pass < passes; ++pass) {
      const bool counted = pass >= plan.warmup;
      const std::uint32_t step = cell.depth > 0 ? counted_step(number, pass, cell.depth) : 1;
      std::uint32_t touched = 0;
      if (exists) own.stack.open_pass();
      for (std::uint32_t left = slots; left-- > 0;) {
        touched += routing.top_k;
        if (exists) {
          const std::uint32_t token = next & LruGridPath::kToken;
          const bool drafted = left - step * cell.batch < cell.batch &&  // of column `step`: it wraps below
                               (next & LruGridPath::kDraftsNothing) == 0;
          const LruTokenCounts counts{counted, (next & LruGridPath::kAccepted) != 0, drafted};
          slot = left > 0 ? slot - 1 : slot + 2 * slots - 1;
          if (slot < passes * slots) next = path.tokens[slot];
          if (token < routing.tokens) touch(token, counts, touched);  // the empty row has no choices
        }
        if (counted && ++uncounted == tokens_counted) {
          warp.add_up();
          uncounted = 0;
        }
      }
      if (!exists) continue;
      if (counted) add_in_place(distinct[own.stack.distinct()], 1);  // of all lanes
      if (pass + 1 < passes) own.stack.close_pass();
    }
  }

  MOECARLO_HOST_DEVICE void touch(std::uint32_t token, const LruTokenCounts& counts, std::uint32_t touched) {
    const std::uint8_t* own_choices = choices + std::size_t{token} * routing.top_k;
    for (std::uint32_t c = 0; c < routing.top_k; c += AtOnce) {
      own.template touch<AtOnce>(PackedChoices<AtOnce>::of(own_choices + c), counts, touched);
    }
  }
};

/// The sums of a cell's counters in one layer and one group, and what they come to in the tallies.
struct LruGridTotals {
  std::uint32_t* counts;    ///< [capacities + 1][kLruCounts] by interval
  std::uint32_t* distinct;  ///< [experts + 1] passes by number of distinct experts

  /// Adds the numbers from `first` on, each `step`-th, to the tallies.
  MOECARLO_HOST_DEVICE void add_to(const LayerContext<1>& at, const Cell& cell, std::uint32_t first,
                                   std::uint32_t step) const {
    const auto add = [&](std::uint64_t by_layer, std::uint64_t by_group, std::uint64_t amount) MOECARLO_INLINED {
      if (amount == 0) return;
      if (at.id.is_main()) at.tally.add(by_layer, amount);
      at.tally.add(by_group, amount);
    };
    const std::uint32_t layer = at.first_layer;
    const std::uint64_t all[kLruCounts] = {up_to(cell.capacity_count, 0), up_to(cell.capacity_count, 1),
                                           up_to(cell.capacity_count, 2), 0};
    for (std::uint32_t c = first; c <= cell.capacity_count; c += step) {
      if (c == cell.capacity_count) {
        const std::uint64_t to_layer = cell.unions_by_layer + std::uint64_t{layer} * cell.union_width();
        const std::uint64_t to_group = cell.unions_by_group + std::uint64_t{at.id.group} * cell.union_width();
        add(to_layer + kDistinct, to_group + kDistinct, all[kLruDistinct]);
        add(to_layer + kDistinctAccepted, to_group + kDistinctAccepted, all[kLruAccepted]);
        add(to_layer + kDraftChoices, to_group + kDraftChoices, all[kLruDrafted]);
        continue;
      }
      const std::uint64_t width = cell.point_width();
      const std::uint64_t to_layer = cell.points_by_layer + (std::uint64_t{c} * at.routing.layers + layer) * width;
      const std::uint64_t to_group =
          cell.points_by_group + (std::uint64_t{c} * at.plan.groups.total() + at.id.group) * width;
      const std::uint64_t hits = up_to(c, kLruDistinct);
      const std::uint64_t rejected = all[kLruDistinct] - all[kLruAccepted];
      add(to_layer + kHits, to_group + kHits, hits);
      add(to_layer + kRejectedOnly, to_group + kRejectedOnly, rejected - (hits - up_to(c, kLruAccepted)));
      add(to_layer + kDraftHits, to_group + kDraftHits, up_to(c, kLruDrafted));
      add(to_layer + kCacheWrites, to_group + kCacheWrites,
          resident_after(at.plan.capacities[cell.first_capacity + c].at(layer), at.routing.experts) -
              up_to(c, kLruStayed));
    }
    if (!at.id.is_main()) return;
    for (std::uint32_t size = first; size <= at.routing.experts; size += step) {
      if (distinct[size] == 0) continue;
      at.tally.add(cell.distinct + std::uint64_t{layer} * (at.routing.experts + 1) + size, distinct[size]);
    }
  }

  /// A capacity exceeds the positions of the intervals up to its own.
  MOECARLO_HOST_DEVICE std::uint64_t up_to(std::uint32_t interval, std::uint32_t count) const {
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i <= interval; ++i) sum += counts[i * kLruCounts + count];
    return sum;
  }

  /// Experts of the passes that were resident after them.
  MOECARLO_HOST_DEVICE std::uint64_t resident_after(std::uint32_t capacity, std::uint32_t experts) const {
    std::uint64_t sum = 0;
    for (std::uint32_t size = 1; size <= experts; ++size) {
      sum += std::uint64_t{distinct[size]} * (size < capacity ? size : capacity);
    }
    return sum;
  }
};

}  // namespace moecarlo
