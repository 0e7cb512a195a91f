#include "tests/oracle/drafter.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::oracle {
namespace {

/// The per-token acceptance under which the accepted share of a draft is alpha.
double per_token_of(double alpha, int depth) {
  double low = 0, high = 1;
  while (high - low > 1e-12) {
    const double middle = (low + high) / 2;
    double length = 0;
    for (int i = 1; i <= depth; ++i) length += std::pow(middle, i);
    (length / depth < alpha ? low : high) = middle;
  }
  return high;
}

/// Acceptance of each token at the captured number of bits nearest to `bits` (the fewer on ties), linear between the
/// two captured cache fractions around `fraction`.
std::vector<double> captured_at(const Trace& trace, double fraction, int bits) {
  int nearest = trace.captured.front().bits;
  for (const Trace::Configuration& one : trace.captured) {
    const int closer = std::abs(one.bits - bits) - std::abs(nearest - bits);
    if (closer < 0 || (closer == 0 && one.bits < nearest)) nearest = one.bits;
  }
  const Trace::Configuration *below = nullptr, *above = nullptr;
  for (const Trace::Configuration& one : trace.captured) {
    if (one.bits != nearest) continue;
    if (one.cache_fraction <= fraction && (!below || one.cache_fraction > below->cache_fraction)) below = &one;
    if (one.cache_fraction >= fraction && (!above || one.cache_fraction < above->cache_fraction)) above = &one;
  }
  if (!below || !above || below == above) return (below ? below : above)->probability;
  const double share = (fraction - below->cache_fraction) / (above->cache_fraction - below->cache_fraction);
  std::vector<double> mixed;
  for (int token = 0; token < trace.tokens(); ++token) {
    mixed.push_back((1 - share) * below->probability[token] + share * above->probability[token]);
  }
  return mixed;
}

}  // namespace

Drafter::Drafter(const Trace& trace, const AcceptanceSpec& spec, int depth, double cache_fraction, int bits)
    : trace_(trace), spec_(spec), depth_(depth) {
  if (spec.model == AcceptanceModel::ratio && depth > 0) per_token_ = per_token_of(*spec.alpha, depth);
  if (spec.model == AcceptanceModel::captured) captured_ = captured_at(trace, cache_fraction, bits);
}

Draft Drafter::draft(int token, const std::function<double(int)>& coverage, Random& random) const {
  if (spec_.model == AcceptanceModel::ngram) return look_up(token);
  if (spec_.model == AcceptanceModel::lengths) {
    std::discrete_distribution<int> length(spec_.lengths.begin(), spec_.lengths.end());
    return {depth_, std::min(depth_, length(random))};
  }
  int accepted = 0;
  while (accepted < depth_ && happens(random, odds(token, accepted, coverage))) ++accepted;
  return {depth_, accepted};
}

double Drafter::odds(int token, int position, const std::function<double(int)>& coverage) const {
  switch (spec_.model) {
    case AcceptanceModel::ratio:
      return per_token_;
    case AcceptanceModel::positions:
      return spec_.positions[position];
    case AcceptanceModel::captured:
      return captured_[token + 1 + position];  // of the token that is proposed
    case AcceptanceModel::coverage:
      return 1 / (1 + std::exp(-(*spec_.b0 + *spec_.b1 * coverage(position))));
    default:
      return *spec_.alpha;
  }
}

/// Prompt lookup: what followed the most recent earlier occurrence of the longest suffix that has one.
Draft Drafter::look_up(int token) const {
  const int sequence = trace_.sequence_of(token), first = trace_.first(sequence);
  const std::vector<int> text(trace_.word.begin() + first, trace_.word.begin() + first + trace_.lengths[sequence]);
  const int last = token - first;
  for (int n = static_cast<int>(spec_.longest); n >= 1; --n) {
    for (int end = last - 1; end >= n - 1; --end) {
      bool same = last >= n - 1;
      for (int i = 0; i < n && same; ++i) same = text[end - i] == text[last - i];
      if (!same) continue;
      Draft draft{std::min(depth_, last - end), 0};
      while (draft.accepted < draft.drafted && last + 1 + draft.accepted < static_cast<int>(text.size()) &&
             text[end + 1 + draft.accepted] == text[last + 1 + draft.accepted]) {
        ++draft.accepted;
      }
      return draft;
    }
  }
  return {};
}

}  // namespace moecarlo::oracle
