#pragma once

#include <tuple>

#include "cuda/core/demand/all.hpp"
#include "cuda/core/demand/budget.hpp"
#include "cuda/core/demand/half.hpp"
#include "cuda/core/demand/nearest.hpp"
#include "cuda/core/demand/salient.hpp"
#include "cuda/core/demand/slices.hpp"
#include "cuda/core/demand/threshold.hpp"
#include "cuda/core/demand/top_p.hpp"

namespace moecarlo {

/// All rules, each in its own header of this folder. Words, keys of studies, files, checks and engines follow from this
/// list.
using Demands = std::tuple<AllDemand, ThresholdDemand, BudgetDemand, HalfDemand, SalientDemand, SlicesDemand,
                           NearestDemand, TopPDemand>;

constexpr std::uint32_t kDemands = std::tuple_size_v<Demands>;
static_assert(std::is_same_v<std::tuple_element_t<static_cast<std::size_t>(DemandRule::all), Demands>, AllDemand>);

/// use(rule) with the rule of a demand, an empty object of its type.
template <std::uint32_t first = 0, class Use>
MOECARLO_HOST_DEVICE constexpr decltype(auto) with_demand(DemandRule rule, const Use& use) {
  using Rule = std::tuple_element_t<first, Demands>;
  if constexpr (first + 1 == kDemands) {
    return use(Rule{});
  } else {
    if (rule == DemandRule{first}) return use(Rule{});
    return with_demand<first + 1>(rule, use);
  }
}

/// Gives the columns of a pass what they use. A function of its own, one in each file that is compiled: of all rules
/// inlined into one large function the compiler takes twice the time.
#if defined(__CUDACC__)
#define MOECARLO_APART static __host__ __device__ __noinline__
#else
#define MOECARLO_APART static __attribute__((noinline))
#endif
template <class Pass>
MOECARLO_APART void ask_apart(const Demand& demand, const Pass& pass) {
  with_demand(demand.rule, [&](auto rule) MOECARLO_INLINED { decltype(rule)::ask(pass, demand.numbers); });
}

/// The rules as engines call them (coupled.hpp).
struct DemandRules {
  static constexpr bool kAsk = true;

  template <class Pass>
  MOECARLO_HOST_DEVICE static void ask(const Demand& demand, const Pass& pass) {
    ask_apart(demand, pass);
  }

  MOECARLO_HOST_DEVICE static constexpr MissRateTarget miss_rate_target(const Demand& demand) {
    return with_demand(demand.rule,
                       [&](auto rule) MOECARLO_INLINED { return decltype(rule)::miss_rate_target(demand.numbers); });
  }

  /// Whether a demand looks at what is resident.
  MOECARLO_HOST_DEVICE static constexpr bool read_residents(const Demand& demand) {
    return with_demand(demand.rule,
                       [&](auto rule) MOECARLO_INLINED { return decltype(rule)::reads_residents(demand.numbers); });
  }
};

}  // namespace moecarlo
