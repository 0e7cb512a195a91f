#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// Experts that matter enough: c g, path probability times gate, reaches theta. A column's first choice always does.
///
/// Over a pass (the default) an expert is loaded iff it matters enough to one of its columns, and every column that
/// chose it uses it; else a column uses what itself kept. Source: the coarse masks of SMoLPU's TaER, in our reading, as
/// neither rule nor thresholds are published.
struct ThresholdDemand : DemandTraits {
  static constexpr const char* kName = "threshold";
  static constexpr DemandParameter kParameters[] = {
      {"theta",
       DemandParameter::Kind::numbers,
       "least product of path probability and gate that is asked for",
       0,
       1,
       {},
       gate_product},
      {"scope", DemandParameter::Kind::word, "who uses what matters to one column of a pass", 0, 0, {"pass", "token"}}};
  enum Place : std::uint32_t { kLeast, kScope };

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& own) {
    const bool of_token = own.of[kScope] == 1;
    auto loaded = pass.chosen(0);
    loaded = {};
    for (std::uint32_t i = 0; i < pass.columns(); ++i) {
      const auto kept = strong_choices(pass, i, own.of[kLeast]) | first_choice(pass, i);
      if (of_token) pass.use(i, kept);
      loaded |= kept;
    }
    for (std::uint32_t i = 0; !of_token && i < pass.columns(); ++i) pass.use(i, pass.chosen(i) & loaded);
  }
};

}  // namespace moecarlo
