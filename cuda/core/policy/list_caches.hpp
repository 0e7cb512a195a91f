#pragma once

#include "cuda/core/plan.hpp"
#include "cuda/core/policy/list_cache.hpp"
#include "cuda/core/policy/reference_order.hpp"

namespace moecarlo {

/// The list cache of a design point in its scratch.
MOECARLO_HOST_DEVICE ListCache list_cache(const PlanView& plan, Policy policy, std::uint32_t objects,
                                          std::uint32_t slots, std::uint64_t* block) {
  const std::uint64_t share_of_all = has_protected(policy) ? plan.parameter(policy) : 0;  // of 2^16
  const auto share = static_cast<std::uint32_t>(slots * share_of_all >> 16);
  return ListCache::over(block, policy, objects, slots, share);
}

/// Random words for the victims of one pass: each eviction takes the next one. See also reference_four.
struct Eviction {
  DrawAddress at;
  std::uint32_t used = 0;
  RandomBlock block{};

  MOECARLO_HOST_DEVICE std::uint32_t next() {
    at.column = used / DrawAddress::kDraws;
    if (used % 4 == 0) block = at.block(used % DrawAddress::kDraws / 4);
    return block.word[used++ % 4];
  }
};

/// References one pass under a policy that `references`: first_object + the bits of `last`, see last_touches.
/// first_object is a multiple of 64.
template <int Words>
MOECARLO_OUTLINED void reference_pass(Policy policy, const ListCache& cache, const ExpertMask<Words>* last,
                                      std::uint32_t tokens, std::uint32_t first_object, Eviction eviction) {
  if (cache.capacity == 0) return;
  with_rule(policy, [&](auto rule) MOECARLO_INLINED {
    using Rule = decltype(rule);
    if constexpr (RuleOfReferences<Rule>) {
      const auto use = [&](std::uint32_t bit) MOECARLO_INLINED {
        const bool draws = Rule::kDraws && cache.full();
        Rule::reference(cache, first_object + bit, draws ? eviction.next() : 0);
      };
      if constexpr (Rule::kHitsChangeNothing) {
        for_each_absent_reference(last, tokens, cache.bits + first_object / 64, use);
      } else {
        for_each_reference(last, tokens, use);
      }
    }
  });
}

/// One reference outside any pass: how a warm cache is filled.
MOECARLO_HOST_DEVICE void reference_one(Policy policy, const ListCache& cache, std::uint32_t object) {
  const auto bit = ExpertMask<1>{{std::uint64_t{1} << (object % 64)}};
  reference_pass(policy, cache, &bit, 1, object / 64 * 64, Eviction{});
}

}  // namespace moecarlo
