#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <set>

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

}  // namespace moecarlo::testing
