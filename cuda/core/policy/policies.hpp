#pragma once

#include <tuple>

#include "cuda/core/policy/belady.hpp"
#include "cuda/core/policy/fifo.hpp"
#include "cuda/core/policy/hotness.hpp"
#include "cuda/core/policy/lfu.hpp"
#include "cuda/core/policy/lfu_kept.hpp"
#include "cuda/core/policy/lru.hpp"
#include "cuda/core/policy/random.hpp"
#include "cuda/core/policy/slru.hpp"
#include "cuda/core/policy/static.hpp"
#include "cuda/core/policy/window.hpp"

namespace moecarlo {

/// Which experts a cache keeps: a number for each rule, in the order of `Policies`.
enum class Policy : std::uint32_t {
  static_residents,
  lru,
  fifo,
  lfu,
  slru,
  random,
  belady,
  belady_bypass,
  hotness,
  lfu_kept,
  window
};

/// All rules, each in its own header of this folder. Whoever must know every policy - names, engines, checks of
/// studies, `moecarlo cache` - goes through this list.
using Policies =
    std::tuple<StaticResidents, Lru, Fifo, Lfu, Slru, RandomEviction, Belady, BeladyBypass, Hotness, LfuKept, Window>;

constexpr std::uint32_t kPolicies = std::tuple_size_v<Policies>;

template <Policy policy>
using RuleOf = std::tuple_element_t<static_cast<std::size_t>(policy), Policies>;

/// use(rule) with the rule of a policy, an empty object of its type.
template <std::uint32_t first = 0, class Use>
MOECARLO_HOST_DEVICE constexpr decltype(auto) with_rule(Policy policy, const Use& use) {
  if constexpr (first + 1 == kPolicies) {
    return use(RuleOf<Policy{first}>{});
  } else {
    if (policy == Policy{first}) return use(RuleOf<Policy{first}>{});
    return with_rule<first + 1>(policy, use);
  }
}

/// Whether a policy keeps lists of what is referenced, see PolicyTraits.
MOECARLO_HOST_DEVICE constexpr bool references(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return RuleOfReferences<decltype(rule)>; });
}

MOECARLO_HOST_DEVICE constexpr bool walks_layers(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kWalksLayers; });
}

/// Whether it keeps them in a cache of one layer.
MOECARLO_HOST_DEVICE constexpr bool keeps_lists(Policy policy) {
  return references(policy) && !walks_layers(policy);
}

MOECARLO_HOST_DEVICE constexpr bool never_changes(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kNeverChanges; });
}
MOECARLO_HOST_DEVICE constexpr bool reads_future(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kReadsFuture; });
}
MOECARLO_HOST_DEVICE constexpr bool hears_drafts(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kHearsDrafts; });
}
MOECARLO_HOST_DEVICE constexpr bool chooses_per_pass(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kChoosesPerPass; });
}
MOECARLO_HOST_DEVICE constexpr bool draws(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kDraws; });
}
MOECARLO_HOST_DEVICE constexpr bool has_protected(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kHasProtected; });
}

MOECARLO_HOST_DEVICE constexpr bool needs_rounds(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kNeedsRounds; });
}
MOECARLO_HOST_DEVICE constexpr bool has_capacity(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED { return decltype(rule)::kHasCapacity; });
}

/// The memory that a rule of references keeps; none for the others.
MOECARLO_HOST_DEVICE constexpr CacheShape cache_shape(Policy policy) {
  return with_rule(policy, [](auto rule) MOECARLO_INLINED {
    if constexpr (RuleOfReferences<decltype(rule)>) return decltype(rule)::shape();
    return CacheShape{};
  });
}

}  // namespace moecarlo
