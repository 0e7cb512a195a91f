#pragma once

#include "cuda/core/demand/demand.hpp"

namespace moecarlo {

/// The miss rate that a rule aims at, and what it gives up to reach it.
struct MissRateTarget {
  static constexpr std::uint64_t kNone = ~std::uint64_t{0};

  std::uint64_t millionths = kNone;  ///< misses of a million different objects of a pass
  std::uint32_t least_gate = 0;      ///< from which on lower slices are asked for where nothing is given up

  MOECARLO_HOST_DEVICE constexpr bool is_set() const { return millionths != kNone; }
};

/// Makes the number of lower slices that are asked for follow the miss rate of an episode: the gate from which on a
/// choice asks for both slices rises after a pass that leaves the measured rate above the target, and falls back else.
///
/// All in integers. The measured rate is that of two sums over all layers, different objects of a pass and those of
/// them that were absent, of which an eighth fades each pass. The gate moves by a sixteenth of its way, rounded up:
/// upwards to where no choice has a lower slice any more (above 1), downwards to the rule's own. It starts there, in
/// the warm-up, too. SliceMoE (arXiv 2512.12990) has such a target; its controller is not published, this one is ours.
class MissRateController {
 public:
  MissRateController() = default;
  MOECARLO_HOST_DEVICE explicit MissRateController(const MissRateTarget& target)
      : target_(target), least_gate_(target.least_gate) {}

  MOECARLO_HOST_DEVICE bool is_set() const { return target_.is_set(); }
  /// The gate, of kGateOne, from which on a choice of this pass asks for both slices.
  MOECARLO_HOST_DEVICE std::uint32_t least_gate() const { return least_gate_; }

  /// A layer's part of a pass: different objects, and how many of them were absent.
  MOECARLO_HOST_DEVICE void add(std::uint32_t objects, std::uint32_t absent) {
    asked_ += std::uint64_t{kOne} * objects;
    absent_ += std::uint64_t{kOne} * absent;
  }

  MOECARLO_HOST_DEVICE void end_pass() {
    if (absent_ * 1'000'000 > target_.millionths * asked_) {
      least_gate_ += part_of(kGateOne + 1 - least_gate_);
    } else {
      least_gate_ -= part_of(least_gate_ - target_.least_gate);
    }
    asked_ -= asked_ / kFading;
    absent_ -= absent_ / kFading;
  }

 private:
  static constexpr std::uint32_t kOne = 256;    ///< an object in the fading sums
  static constexpr std::uint32_t kFading = 8;   ///< a pass takes this part of them
  static constexpr std::uint32_t kStride = 16;  ///< the gate goes this part of its way

  MOECARLO_HOST_DEVICE static std::uint32_t part_of(std::uint32_t way) { return (way + kStride - 1) / kStride; }

  MissRateTarget target_;
  std::uint32_t least_gate_ = 0;
  std::uint64_t asked_ = 0, absent_ = 0;
};

}  // namespace moecarlo
