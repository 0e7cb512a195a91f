#pragma once

#include "cuda/core/demand/miss_rate.hpp"
#include "cuda/core/expert_mask.hpp"

namespace moecarlo {

/// A share as a gate: below theta is what is below this.
constexpr std::uint64_t in_gates(double theta) {
  const double gate = theta * kGateOne;
  const auto below = static_cast<std::uint64_t>(gate);
  return below + (static_cast<double>(below) < gate ? 1 : 0);
}

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::uint64_t in_millionths(double share) {
  return (static_cast<std::uint64_t>(2 * share * kMillion) + 1) / 2;
}

/// The product of gate and path probability, as a threshold: kept iff c g >= this.
constexpr std::uint64_t gate_product(double theta) {
  const double product = theta * kGateOne * kGateOne;
  const auto below = static_cast<std::uint64_t>(product);
  return below + (static_cast<double>(below) < product ? 1 : 0);
}

/// A key of `[demand]` of a study that rules take: where it is a list, each value makes design points of its own.
struct DemandParameter {
  enum class Kind { numbers, integers, word, flag, file };  ///< the first two are lists

  const char* key = nullptr;
  Kind kind = Kind::numbers;
  const char* meaning = "";
  double least = 0, most = 0;                           ///< numbers, integers
  const char* words[3] = {};                            ///< word: those there are, the usual one first
  std::uint64_t (*as_integer)(double value) = nullptr;  ///< as the rule reads it; null: the integer itself
  bool is_optional = false;                             ///< a list that the rule can do without

  constexpr bool is_list() const { return kind == Kind::numbers || kind == Kind::integers; }
};

/// Why numbers of a rule do not go together; `why` is null where they do.
struct Misfit {
  const char *why = nullptr, *expected = "", *found = "";
};

/// What studies and engines ask of a demand rule: which of the experts that the router chose are asked of memory. A
/// rule derives from it and has besides its word, `static constexpr const char* kName`, and
///
///   template <class Pass> static void ask(const Pass& pass, const DemandNumbers& own);
///
/// which gives every column of a verify pass what it uses, in one layer. Of a pass it may look at
///
///   columns()               columns that are verified, in touching order: column 0 of all requests, then column 1, ...
///   chosen(i)               the experts that column i chose; none where it was never drafted
///   each_choice(i, use)     use(expert, gate) for each of them, ascending; gates of a column add up to kGateOne
///   confidence(i)           the path probability of column i, of kGateOne
///   level(i), request(i)    its place in the tree, and whose column it is
///   residents()             what is resident when the pass begins, for a rule that reads_residents
///   controller()            the MissRateController of the episode, for a rule with a miss_rate_target
///   entropy_term(gate)      of kGateOne: what a gate adds to the entropy of its column, over log k
///   knows_gates()           false where there are no weights: all gates of a column are the same then
///
/// and it calls pass.use(i, experts) once for each column, or pass.use(i, experts, whole), where of the experts that
/// are not among `whole` the upper slice is enough.
struct DemandTraits {
  static constexpr DemandParameter kParameters[1] = {};  ///< those without a key do not count
  static constexpr bool kDrops = true;                   ///< lossy: the model computes something else
  static constexpr bool kReadsGates = true;              ///< cannot do without gate weights
  static constexpr bool kReadsEntropy = false;
  static constexpr bool kReadsPaths = true;      ///< looks at path probabilities
  static constexpr bool kDraftsNearest = false;  ///< what is absent while drafting gives way to the nearest resident
  static constexpr bool kNeedsSlices = false;    ///< of experts as objects of a cache
  static constexpr bool kCalibrates = false;     ///< a number of its own depends on the calibration split
  static constexpr bool kOneList = false;        ///< of its lists a study gives one, and not the others
  static constexpr bool kSomeDecide = false;     ///< not every column chooses_channels

  static constexpr Misfit misfit(const DemandNumbers&) { return {}; }

  /// The miss rate that it aims at; it reads_residents then.
  MOECARLO_HOST_DEVICE static constexpr MissRateTarget miss_rate_target(const DemandNumbers&) { return {}; }

  /// Whether a column has a say in which input channels are loaded; else it takes what others chose.
  template <class Pass>
  MOECARLO_HOST_DEVICE static bool chooses_channels(const Pass& /*pass*/, std::uint32_t /*column*/) {
    return true;
  }

  /// Whether it looks at what is resident: its design points have cells of their own then.
  MOECARLO_HOST_DEVICE static constexpr bool reads_residents(const DemandNumbers&) { return false; }
};

/// The experts that keep within a column: those whose product with its path probability reaches a threshold.
template <class Pass>
MOECARLO_HOST_DEVICE auto strong_choices(const Pass& pass, std::uint32_t column, std::uint64_t threshold) {
  auto kept = pass.chosen(column);
  kept = {};
  const std::uint64_t confidence = pass.confidence(column);
  pass.each_choice(column, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
    if (confidence * gate >= threshold) kept.insert(expert);
  });
  return kept;
}

/// The choices of a column by their gates, the largest first, ties to the lower index.
template <int Words>
struct RankedChoices {
  std::uint32_t count = 0;
  std::uint32_t keys[64 * Words];  ///< [count] descending: a gate, and below it the index counted from the last

  MOECARLO_HOST_DEVICE std::uint32_t gate(std::uint32_t rank) const { return keys[rank] / kObjects; }
  MOECARLO_HOST_DEVICE std::uint32_t expert(std::uint32_t rank) const { return kObjects - 1 - keys[rank] % kObjects; }

  MOECARLO_HOST_DEVICE void add(std::uint32_t expert, std::uint32_t gate) {
    const std::uint32_t key = gate * kObjects + kObjects - 1 - expert;
    std::uint32_t place = count++;
    for (; place > 0 && keys[place - 1] < key; --place) keys[place] = keys[place - 1];
    keys[place] = key;
  }

 private:
  static constexpr std::uint32_t kObjects = 64 * Words;
  static_assert(std::uint64_t{kGateOne + 1} * kObjects <= std::uint64_t{1} << 32);
};

template <class Pass>
MOECARLO_HOST_DEVICE auto ranked_choices(const Pass& pass, std::uint32_t column) {
  RankedChoices<Pass::kWords> ranked;
  pass.each_choice(column,
                   [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED { ranked.add(expert, gate); });
  return ranked;
}

/// A column's first choice: the largest gate, ties to the lower index. None where it chose nothing.
template <class Pass>
MOECARLO_HOST_DEVICE auto first_choice(const Pass& pass, std::uint32_t column) {
  auto first = pass.chosen(column);
  first = {};
  std::uint32_t largest = 0, best = ~0U;
  pass.each_choice(column, [&](std::uint32_t expert, std::uint32_t gate) MOECARLO_INLINED {
    if (best != ~0U && gate <= largest) return;
    best = expert;
    largest = gate;
  });
  if (best != ~0U) first.insert(best);
  return first;
}

}  // namespace moecarlo
