#pragma once

#include <set>
#include <vector>

namespace moecarlo::oracle {

/// The tokens of a chunk by the experts that they use.
using Uses = std::vector<std::set<int>>;

/// In which order experts are loaded: next the one that completes most partial sums that are open, ties to the lower
/// number.
std::vector<int> load_order(const Uses& tokens);

/// The most partial sums that there are while one expert is at work.
int high_water(const Uses& tokens, const std::vector<int>& order);

/// Partial sums that go out, each of which comes back once. An expert adds to its tokens in their order. A token that
/// needs a slot where none is free has the one go out whose next use is farthest: the lowest of the tokens in the
/// slots, or, unless it is forced in, rather itself.
int spills(const Uses& tokens, const std::vector<int>& order, int slots, bool forced);

}  // namespace moecarlo::oracle
