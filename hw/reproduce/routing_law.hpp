#pragma once

#include <cstdint>
#include <optional>

namespace moecarlo::hw {

/// Routing in closed form, as published tables imply it where there is no trace: every token takes experts
/// independently of all others, and a cache hits with a power of its share of the experts.
struct RoutingLaw {
  std::uint32_t experts = 0, top_k = 0;
  double popularity = 0;  ///< exponent s >= 0: expert i is chosen in proportion to about (i + 1)^-s; 0: uniformly
  double locality = 1;    ///< exponent of the hit share

  /// Expected number of distinct experts of so many independent tokens, which need not be whole. A token takes expert i
  /// with probability 1 - exp(-c (i + 1)^-s), c such that it takes top_k in the mean.
  double distinct(double tokens) const;

  /// The same of the `slots` most popular ones alone, the last of which may count in part.
  double distinct_among(double slots, double tokens) const;

  /// Share of the distinct experts that a cache of so many whole experts holds: (slots / experts)^locality, and 0 below
  /// one slot. It does not ask whether that many fit: see held_share.
  double hit_share(double slots) const;

  /// Expected number of distinct experts of `tokens` tokens of one request, whose routing is alike: every further token
  /// adds the share of its choices that a cache of the earlier ones' union would miss, were the locality `reuse` times
  /// what it is. 0: a token adds nothing new.
  double request_union(std::uint32_t tokens, double reuse) const;

  /// Of so many requests, independent of each other, whose own unions have this size.
  double union_of_requests(double of_one, double requests) const;

  /// The hit share, but never more than the slots can hold of `distinct` experts. With a degradation x the locality
  /// grows from its own at a union of top_k experts to 1 at one of all: by ((distinct - top_k) / (experts - top_k))^x
  /// of what is missing. A union of all experts hits what is held, whatever the locality.
  double held_share(double slots, double distinct, std::optional<double> degradation = std::nullopt) const;

  /// Expected number of residents that so many tokens touch whose routing is restricted to `slots` residents, each
  /// equally popular.
  double residents_touched(double slots, double tokens) const;
};

}  // namespace moecarlo::hw
