#include "hw/study/rates.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace moecarlo::hw {

Rates rates_of(const Sampling& sampling, const Projection& projection, bool lengths_read_trace, bool certain) {
  std::vector<double> rounds, tokens, seconds, joules, mixed;
  for (const GroupTotals& group : projection.groups) {
    rounds.push_back(group.rounds);
    tokens.push_back(group.tokens);
    seconds.push_back(group.seconds);
    joules.push_back(group.joules);
    mixed.push_back(group.mixed);
  }
  Quantity tokens_per_round = sampling.ratio(tokens, rounds);
  if (!lengths_read_trace) tokens_per_round = without_trace_error(std::move(tokens_per_round));
  const Quantity seconds_per_round = sampling.ratio(seconds, rounds);
  Rates rates{tokens_per_round,
              tokens_per_round / seconds_per_round,
              seconds_per_round / tokens_per_round,
              sampling.ratio(joules, rounds) / tokens_per_round,
              {}};
  if (std::any_of(mixed.begin(), mixed.end(), [](double chunks) { return chunks > 0; }))
    rates.seconds_per_chunk = sampling.ratio(seconds, mixed);
  if (certain) {
    for (Quantity* rate : {&rates.tokens_per_second, &rates.seconds_per_token, &rates.joules_per_token})
      *rate = without_error(*rate);
  }
  return rates;
}

}  // namespace moecarlo::hw
