#include "hw/study/lead.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::hw {
namespace {

constexpr double kRounding = 1e-9;

bool is_the_same(const Estimate& ratio) {
  return std::abs(ratio.value - 1) < kRounding && ratio.mc_half_width.value_or(0) < kRounding &&
         ratio.trace_half_width.value_or(0) < kRounding;
}

}  // namespace

std::optional<LeadResult> lead_of(const std::string& among, std::vector<Contender> contenders,
                                  const Sampling& sampling) {
  std::stable_sort(contenders.begin(), contenders.end(),
                   [](const Contender& a, const Contender& b) { return a.speed->value > b.speed->value; });
  for (const Contender& next : contenders) {
    const Estimate ratio = sampling.estimate(*contenders.front().speed / *next.speed);
    if (!is_the_same(ratio)) return LeadResult{among, contenders.front().row, next.row, ratio};
  }
  return std::nullopt;
}

}  // namespace moecarlo::hw
