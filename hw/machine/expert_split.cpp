#include "hw/machine/expert_split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moecarlo::hw {

ExpertSplit split_by_tokens(std::vector<double> tokens, const ExpertSeconds& first, const ExpertSeconds& second) {
  std::sort(tokens.begin(), tokens.end());
  ExpertSplit split;
  for (const double n : tokens) split.first += first(n);
  for (const double n : tokens) {
    ExpertSplit next{split.moved + 1, split.first - first(n), split.second + second(n)};
    if (next.moved == tokens.size()) next.first = 0;  // no rounding is left behind
    if (!(next.seconds() < split.seconds())) break;
    split = next;
  }
  return split;
}

std::vector<double> binomial(std::size_t tokens, double chance) {
  const auto total = static_cast<double>(tokens);
  std::vector<double> law(tokens + 1, 0);
  if (chance >= 1) {
    law.back() = 1;
    return law;
  }
  for (std::size_t n = 0; n <= tokens; ++n) {
    const auto at = static_cast<double>(n);
    law[n] = std::exp(std::lgamma(total + 1) - std::lgamma(at + 1) - std::lgamma(total - at + 1) +
                      at * std::log(chance) + (total - at) * std::log1p(-chance));
  }
  return law;
}

std::vector<double> tokens_of_touched(const std::vector<double>& law, std::size_t touched, double rows) {
  const double all = std::accumulate(law.begin() + 1, law.end(), 0.0);
  std::vector<double> tokens;
  double below = 0, sum = 0;
  std::size_t n = 1;
  for (std::size_t e = 0; e < touched; ++e) {
    const double at = (static_cast<double>(e) + 0.5) / static_cast<double>(touched) * all;
    while (n + 1 < law.size() && below + law[n] < at) below += law[n++];
    tokens.push_back(static_cast<double>(n));
    sum += tokens.back();
  }
  for (double& one : tokens) one *= rows / sum;
  return tokens;
}

std::vector<double> mean_tokens_per_expert(std::size_t experts, double top_k, std::size_t tokens) {
  const std::vector<double> law = binomial(tokens, top_k / static_cast<double>(experts));
  std::vector<double> counts;
  double below = 0;
  std::size_t n = 0;
  for (std::size_t e = 0; e < experts; ++e) {
    const double at = (static_cast<double>(e) + 0.5) / static_cast<double>(experts);
    while (n < tokens && below + law[n] < at) below += law[n++];
    if (n > 0) counts.push_back(static_cast<double>(n));
  }
  return counts;
}

}  // namespace moecarlo::hw
