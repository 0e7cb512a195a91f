#pragma once

#include <cstdint>

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

  /// The same, but never more than the slots can hold of `distinct` experts.
  double held_share(double slots, double distinct) const;

  /// Expected number of residents that so many tokens touch whose routing is restricted to `slots` residents, each
  /// equally popular.
  double residents_touched(double slots, double tokens) const;
};

/// How many independent tokens `tokens` of one request amount to, where any two of them route alike with this share:
/// 1 / (overlap + (1 - overlap) / tokens), Kish's design effect. It saturates at 1 / overlap.
double effective_tokens(double tokens, double overlap);

}  // namespace moecarlo::hw
