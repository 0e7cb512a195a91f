#include "hw/reproduce/routing_law.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace moecarlo::hw {
namespace {

/// i^-s of every expert.
std::vector<double> popularities(const RoutingLaw& law) {
  std::vector<double> all(law.experts);
  for (std::uint32_t i = 0; i < law.experts; ++i) all[i] = std::pow(i + 1, -law.popularity);
  return all;
}

double taken(const std::vector<double>& popularities, double scale) {
  double sum = 0;
  for (const double popularity : popularities) sum -= std::expm1(-scale * popularity);
  return sum;
}

/// c of the law at which so many are taken, less than there are: they grow with it, from 0 to `experts`.
double scale_for(const std::vector<double>& popularities, double count) {
  double low = 0, high = 1;
  while (taken(popularities, high) < count) high *= 2;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    if (middle == low || middle == high) break;
    (taken(popularities, middle) < count ? low : high) = middle;
  }
  return high;
}

}  // namespace

double RoutingLaw::distinct(double tokens) const {
  if (top_k >= experts) return tokens > 0 ? experts : 0;
  const std::vector<double> all = popularities(*this);
  return taken(all, tokens * scale_for(all, top_k));
}

double RoutingLaw::distinct_among(double slots, double tokens) const {
  if (top_k >= experts) return tokens > 0 ? std::min<double>(slots, experts) : 0;
  const std::vector<double> all = popularities(*this);
  const double scale = tokens * scale_for(all, top_k);
  double sum = 0;
  for (std::uint32_t i = 0; i < experts && i < slots; ++i) {
    sum -= std::min(1.0, slots - i) * std::expm1(-scale * all[i]);
  }
  return sum;
}

double RoutingLaw::hit_share(double slots) const {
  return slots < 1 ? 0 : std::pow(std::min(1.0, slots / experts), locality);
}

double RoutingLaw::request_union(std::uint32_t tokens, double reuse) const {
  double sum = tokens > 0 ? top_k : 0;
  for (std::uint32_t token = 1; token < tokens; ++token) {
    sum += top_k * (1 - std::pow(sum / experts, reuse * locality));
  }
  return std::min<double>(sum, experts);
}

double RoutingLaw::union_of_requests(double of_one, double requests) const {
  constexpr double nearly_all = 1 - 1e-9;  // all of them are touched by no finite number of independent tokens
  const std::vector<double> all = popularities(*this);
  return taken(all, requests * scale_for(all, std::min(of_one, nearly_all * experts)));
}

double RoutingLaw::held_share(double slots, double distinct, std::optional<double> degradation) const {
  if (distinct <= 0) return 0;
  RoutingLaw law = *this;
  if (degradation && experts > top_k) {
    const double grown = std::clamp((distinct - top_k) / (experts - top_k), 0.0, 1.0);
    law.locality += (1 - locality) * std::pow(grown, *degradation);
  }
  return std::min(law.hit_share(slots), slots / distinct);
}

double RoutingLaw::residents_touched(double slots, double tokens) const {
  if (slots <= top_k) return slots;
  return slots * (1 - std::pow(1 - top_k / slots, tokens));
}

}  // namespace moecarlo::hw
