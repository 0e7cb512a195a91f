#include "hw/plan/experts_done.hpp"

#include <cmath>

#include "hw/machine/expert_split.hpp"

namespace moecarlo::hw {
namespace {

Work of_expert(const TokenSplit::Unit& unit, double tokens) {
  Work work = unit.once;
  work.add(tokens, unit.row);
  return work;
}

/// `touched`: whole but where means are asked for.
Done split_done(const System& system, const TokenSplit& split, double touched, const std::vector<double>& counted) {
  if (touched == 0) return {};
  const auto experts = static_cast<std::size_t>(std::max(1.0, std::round(touched)));
  const double scale = touched / static_cast<double>(experts);
  const std::vector<double> tokens =
      tokens_of_touched(counted.empty() ? split.law : counted, experts, split.rows / scale);
  const auto seconds_on = [&](const TokenSplit::Unit& unit) {
    return [&](double n) { return seconds_of(system, of_expert(unit, n)); };
  };
  const ExpertSplit best = split_by_tokens(tokens, seconds_on(split.first), seconds_on(split.second));
  Done done{scale * best.seconds(), {}};
  for (std::size_t e = 0; e < experts; ++e)
    done.work.add(scale, of_expert(e < best.moved ? split.second : split.first, tokens[e]));
  return done;
}

}  // namespace

Done experts_done(const System& system, const ExpertsWork& experts, const FoundExperts& found) {
  const auto& [hits, misses, by_tier, tokens] = found;
  if (experts.split) return split_done(system, *experts.split, hits + misses, tokens);
  const double near = by_tier.empty() ? hits : by_tier.front() * hits;
  return run(system, experts.at(hits, misses, by_tier), coupled_load(system, near));
}

}  // namespace moecarlo::hw
