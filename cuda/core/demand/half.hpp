#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// The first half of its choices, rounded up, for a token that is not important, all of them for one that is. A token
/// is not important where
///   mass         the first half holds theta of its gate mass or more,
///   entropy      the entropy of its gates is below theta, of log k,
///   acceptance   its path probability is below theta;
/// theta is given, or chosen so that this share of the calibration tokens is not important. Source: MoBiLE
/// (arXiv 2510.12357), whose own rule for importance is not published: these three are ours.
struct HalfDemand : DemandTraits {
  static constexpr const char* kName = "half";
  static constexpr DemandParameter kParameters[] = {
      {"theta",
       DemandParameter::Kind::numbers,
       "by which a token is important, where unimportant is not given",
       0,
       1,
       {},
       in_gates},
      {"unimportant",
       DemandParameter::Kind::numbers,
       "share of the calibration tokens that are not important, in place of theta",
       0,
       1,
       {},
       in_millionths},
      {"importance", DemandParameter::Kind::word, "of a token", 0, 0, {"mass", "entropy", "acceptance"}}};
  static constexpr bool kOneList = true;
  static constexpr bool kReadsEntropy = true;
  static constexpr bool kCalibrates = true;
  enum Place : std::uint32_t { kLeast, kUnimportant, kImportance };
  enum Importance : std::uint64_t { mass, entropy, acceptance };

  static constexpr Misfit misfit(const DemandNumbers& own) {
    if (own.of[kImportance] != acceptance || !is_calibrated(own)) return {};
    return {"knows path probabilities of drafts, which a calibration split has not", "theta", "unimportant"};
  }
  static constexpr bool is_calibrated(const DemandNumbers& own) { return own.of[kUnimportant] != ~std::uint64_t{0}; }

  /// Chooses the threshold by what is measured of the calibration tokens, ascending.
  static constexpr void calibrate(DemandNumbers& own, const std::uint64_t* measures, std::uint64_t count) {
    const std::uint64_t unimportant = (2 * own.of[kUnimportant] * count + kMillion) / (2 * kMillion);
    if (own.of[kImportance] == mass) {
      own.of[kLeast] = unimportant == 0 ? ~std::uint64_t{0} : measures[count - unimportant];
    } else {
      own.of[kLeast] = unimportant == 0 ? 0 : measures[unimportant - 1] + 1;
    }
  }

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& own) {
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      const auto half = first_half(pass, i);
      const bool is_unimportant =
          own.of[kImportance] == mass ? half.mass >= own.of[kLeast] : measure(pass, i, own) < own.of[kLeast];
      pass.use(i, is_unimportant ? half.experts : pass.chosen(i));
    }
  }

  template <class Mask>
  struct Half {
    Mask experts;
    std::uint64_t mass = 0;
  };

  template <class Pass>
  MOECARLO_HOST_DEVICE static auto first_half(const Pass& pass, std::uint32_t i) {
    const auto ranked = ranked_choices(pass, i);
    Half<typename Pass::Mask> half;
    for (std::uint32_t rank = 0; rank < (ranked.count + 1) / 2; ++rank) {
      half.experts.insert(ranked.expert(rank));
      half.mass += ranked.gate(rank);
    }
    return half;
  }

  /// What `importance` looks at, of kGateOne.
  template <class Pass>
  MOECARLO_HOST_DEVICE static std::uint64_t measure(const Pass& pass, std::uint32_t i, const DemandNumbers& own) {
    if (own.of[kImportance] == mass) return first_half(pass, i).mass;
    if (own.of[kImportance] == acceptance) return pass.confidence(i);
    std::uint64_t sum = 0;
    pass.each_choice(i, [&](std::uint32_t, std::uint32_t gate) MOECARLO_INLINED { sum += pass.entropy_term(gate); });
    return sum;
  }
};

}  // namespace moecarlo
