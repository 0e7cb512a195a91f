#include "hw/reproduce/routing_law.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {
namespace {

double taken_by_one(const RoutingLaw& law, double scale) {
  double taken = 0;
  for (std::uint32_t i = 1; i <= law.experts; ++i) taken -= std::expm1(-scale * std::pow(i, -law.popularity));
  return taken;
}

/// c of the law: the choices of one token grow with it, from 0 to `experts`.
double scale_of(const RoutingLaw& law) {
  double low = 0, high = 1;
  while (taken_by_one(law, high) < law.top_k) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (taken_by_one(law, middle) < law.top_k ? low : high) = middle;
  }
  return high;
}

}  // namespace

double RoutingLaw::distinct(double tokens) const {
  if (top_k >= experts) return tokens > 0 ? experts : 0;
  const double scale = scale_of(*this);
  double sum = 0;
  for (std::uint32_t i = 1; i <= experts; ++i) sum -= std::expm1(-tokens * scale * std::pow(i, -popularity));
  return sum;
}

double RoutingLaw::distinct_among(double slots, double tokens) const {
  if (top_k >= experts) return tokens > 0 ? std::min<double>(slots, experts) : 0;
  const double scale = scale_of(*this);
  double sum = 0;
  for (std::uint32_t i = 1; i <= experts && i < slots + 1; ++i) {
    sum -= std::min(1.0, slots + 1 - i) * std::expm1(-tokens * scale * std::pow(i, -popularity));
  }
  return sum;
}

double RoutingLaw::hit_share(double slots) const {
  return slots < 1 ? 0 : std::pow(std::min(1.0, slots / experts), locality);
}

double RoutingLaw::held_share(double slots, double distinct) const {
  return distinct > 0 ? std::min(hit_share(slots), slots / distinct) : 0;
}

double RoutingLaw::residents_touched(double slots, double tokens) const {
  if (slots <= top_k) return slots;
  return slots * (1 - std::pow(1 - top_k / slots, tokens));
}

double effective_tokens(double tokens, double overlap) {
  return 1 / (overlap + (1 - overlap) / tokens);
}

}  // namespace moecarlo::hw
