#pragma once

#include "cuda/core/demand/traits.hpp"

namespace moecarlo {

/// Whatever the router chose.
struct AllDemand : DemandTraits {
  static constexpr const char* kName = "all";
  static constexpr bool kDrops = false;
  static constexpr bool kReadsGates = false;
  static constexpr bool kReadsPaths = false;

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Pass& pass, const DemandNumbers& /*own*/) {
    for (std::uint32_t i = 0; i < pass.columns(); ++i) pass.use(i, pass.chosen(i));
  }
};

}  // namespace moecarlo
