#pragma once

#include <cstddef>
#include <functional>
#include <vector>

namespace moecarlo::hw {

/// One layer's experts shared between two units that work side by side.
struct ExpertSplit {
  std::size_t moved = 0;         ///< experts that the second unit takes: those with the fewest tokens
  double first = 0, second = 0;  ///< seconds of either
  double seconds() const { return first > second ? first : second; }
};

/// Seconds of one expert with so many tokens.
using ExpertSeconds = std::function<double(double tokens)>;

/// The rule of Duplex (arXiv 2409.01141): all experts start on the first unit, and those with the fewest tokens move to
/// the second while the longer of the two times falls. `tokens` of each expert that is touched, in any order. Of all
/// splits by number of tokens none ends earlier, where more tokens never take less time.
ExpertSplit split_by_tokens(std::vector<double> tokens, const ExpertSeconds& first, const ExpertSeconds& second);

/// The tokens of each expert, fewest first, in the middle of what independent tokens give: quantiles of the binomial of
/// `tokens` tokens that take an expert with a chance of top_k / experts, those of 0 left out.
std::vector<double> mean_tokens_per_expert(std::size_t experts, double top_k, std::size_t tokens);

/// The same of so many touched experts that share `rows` tokens: quantiles of `law`, how often an expert has 0, 1, 2,
/// ... tokens, those of 0 left out; in proportion, so that they add up to `rows`.
std::vector<double> tokens_of_touched(const std::vector<double>& law, std::size_t touched, double rows);

/// P(an expert gets n of so many independent tokens), n = 0 .. tokens, where each takes it with this chance.
std::vector<double> binomial(std::size_t tokens, double chance);

}  // namespace moecarlo::hw
