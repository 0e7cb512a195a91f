#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <list>
#include <set>

#include "cuda/core/plan.hpp"

namespace moecarlo::testing {

using Experts = std::set<std::uint32_t>;

inline Experts either(const Experts& a, const Experts& b) {
  Experts sum = a;
  sum.insert(b.begin(), b.end());
  return sum;
}

inline Experts common(const Experts& a, const Experts& b) {
  Experts both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}

inline Experts minus(const Experts& a, const Experts& b) {
  Experts left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(left, left.end()));
  return left;
}

/// A cache of one layer: a list of experts, the most recent first. A static one never changes and always starts full.
class SlowCache {
 public:
  SlowCache(Policy policy, std::uint32_t capacity, bool warm) : policy_(policy), capacity_(capacity) {
    const bool full = warm || policy == Policy::static_residents;
    for (std::uint32_t rank = 0; full && rank < capacity; ++rank) order_.push_back(rank);
  }

  Experts residents() const { return {order_.begin(), order_.end()}; }

  /// One token: its experts one by one, the highest rank first.
  void touch(const Experts& chosen) {
    if (policy_ == Policy::static_residents) return;
    for (auto expert = chosen.rbegin(); expert != chosen.rend(); ++expert) {
      order_.remove(*expert);
      order_.push_front(*expert);
      if (order_.size() > capacity_) order_.pop_back();
    }
  }

 private:
  Policy policy_;
  std::uint32_t capacity_;
  std::list<std::uint32_t> order_;
};

}  // namespace moecarlo::testing
