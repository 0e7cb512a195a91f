#pragma once

#include "cuda/core/expert_mask.hpp"

namespace moecarlo {

// Partial sums: where experts are loaded one after the other for many tokens at once, a token has a partial sum from
// the first of its experts to the last. Source: the PSUM ranking of SMoLPU (a poster: the rules here are ours).

/// Memory for partial sums.
struct PartialSumMemory {
  std::uint32_t slots = 0;
  bool forced = false;  ///< a partial sum that comes in always takes a slot
};

constexpr std::uint32_t kMostPartialSums = 4096;  ///< tokens of a pass

/// One pass of one layer, whose tokens use the experts `used(i)`, i < count <= kMostPartialSums. It takes 20
/// KiB of stack.
template <int Words, class Used>
class PartialSums {
 public:
  MOECARLO_OUTLINED PartialSums(std::uint32_t count, const Used& used) : count_(count), used_(used) {
    order_greedily();
  }

  /// Experts in the order in which they are loaded: next the one that completes most open partial sums, ties to the
  /// lower bit.
  MOECARLO_HOST_DEVICE const std::uint16_t* order() const { return order_; }
  MOECARLO_HOST_DEVICE std::uint32_t experts() const { return experts_; }

  /// The most partial sums that there are at a time: those that are open, and those of the expert that is at work.
  MOECARLO_HOST_DEVICE std::uint32_t high_water() const { return high_water_; }

  /// Partial sums that are written elsewhere for want of a slot; each is read back once. A partial sum that comes in,
  /// first of the expert's lowest token, takes a free slot. Where there is none the one goes out whose next use is
  /// farthest: of those in the slots (ties: the lower token), or, unless it is forced in, of those and the new one
  /// (which goes out at a tie, and takes no slot where this was its last expert).
  MOECARLO_OUTLINED std::uint32_t spills(const PartialSumMemory& memory) {
    std::uint32_t spilled = 0;
    kept_ = 0;
    for (std::uint32_t step = 0; step < experts_; ++step) {
      for (std::uint32_t token = 0; token < count_; ++token) {
        if (used_(token).contains(order_[step])) spilled += take(token, step, memory) ? 1 : 0;
      }
    }
    return spilled;
  }

 private:
  MOECARLO_OUTLINED void order_greedily() {
    ExpertMask<Words> left;
    for (std::uint32_t i = 0; i < count_; ++i) {
      left |= used_(i);
      uses_left_[i] = static_cast<std::uint16_t>(used_(i).count());
    }
    experts_ = left.count();
    std::uint32_t completes[64 * Words] = {}, open = 0;
    for (std::uint32_t step = 0; step < experts_; ++step) {
      std::uint32_t best = 64 * Words;
      each_member(left, [&](std::uint32_t expert) MOECARLO_INLINED {
        if (best == 64 * Words || completes[expert] > completes[best]) best = expert;
      });
      order_[step] = static_cast<std::uint16_t>(best);
      place_[best] = static_cast<std::uint16_t>(step);
      left = without(left, one(best));
      load(best, left, completes, open);
    }
  }

  /// The expert at work: its tokens open or close their partial sums.
  MOECARLO_OUTLINED void load(std::uint32_t expert, const ExpertMask<Words>& left, std::uint32_t* completes,
                              std::uint32_t& open) {
    std::uint32_t opened = 0, closed = 0;
    for (std::uint32_t i = 0; i < count_; ++i) {
      const ExpertMask<Words> all = used_(i);
      if (!all.contains(expert)) continue;
      opened += uses_left_[i] == all.count() ? 1 : 0;
      closed += --uses_left_[i] == 0 ? 1 : 0;
      if (uses_left_[i] == 1) each_member(all & left, [&](std::uint32_t last) MOECARLO_INLINED { ++completes[last]; });
    }
    high_water_ = open + opened > high_water_ ? open + opened : high_water_;
    open += opened - closed;
  }

  /// A token's partial sum as the expert of a step adds to it; whether another or itself goes out.
  MOECARLO_OUTLINED bool take(std::uint32_t token, std::uint32_t step, const PartialSumMemory& memory) {
    const std::uint32_t next = next_use(token, step + 1);
    std::uint32_t own = 0;
    while (own < kept_ && slots_[own] != token) ++own;
    if (own < kept_) {
      if (next == kNever) slots_[own] = slots_[--kept_];
      return false;
    }
    if (next == kNever && (!memory.forced || kept_ < memory.slots)) return false;
    if (kept_ < memory.slots) {
      slots_[kept_++] = static_cast<std::uint16_t>(token);
      return false;
    }
    std::uint32_t victim = kept_, farthest = memory.forced ? 0 : next;
    for (std::uint32_t slot = 0; slot < kept_; ++slot) {
      // Tokens behind this one have still to be added to by the expert at work.
      const std::uint32_t use = next_use(slots_[slot], slots_[slot] > token ? step : step + 1);
      const bool first = victim < kept_ && use == farthest && slots_[slot] < slots_[victim];
      if (use > farthest || first || (memory.forced && victim == kept_)) {
        victim = slot;
        farthest = use;
      }
    }
    if (victim == kept_) return true;
    slots_[victim] = next == kNever ? slots_[--kept_] : static_cast<std::uint16_t>(token);
    return true;
  }

  /// The first step from `from` on that uses a token.
  MOECARLO_OUTLINED std::uint32_t next_use(std::uint32_t token, std::uint32_t from) const {
    std::uint32_t next = kNever;
    each_member(used_(token), [&](std::uint32_t expert) MOECARLO_INLINED {
      if (place_[expert] >= from && place_[expert] < next) next = place_[expert];
    });
    return next;
  }

  MOECARLO_HOST_DEVICE static ExpertMask<Words> one(std::uint32_t expert) {
    ExpertMask<Words> mask;
    mask.insert(expert);
    return mask;
  }

  static constexpr std::uint32_t kNever = ~std::uint32_t{0};

  std::uint32_t count_;
  const Used& used_;
  std::uint32_t experts_ = 0, high_water_ = 0, kept_ = 0;
  std::uint16_t order_[64 * Words], place_[64 * Words];
  std::uint16_t uses_left_[kMostPartialSums], slots_[kMostPartialSums];
};

}  // namespace moecarlo
