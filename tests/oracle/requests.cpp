#include "tests/oracle/requests.hpp"

#include <algorithm>

namespace moecarlo::oracle {
namespace {

/// A number with probability proportional to its weight.
int weighted(const std::vector<int>& weights, Random& random) {
  return std::discrete_distribution<int>(weights.begin(), weights.end())(random);
}

}  // namespace

Requests::Requests(const Trace& trace, const std::vector<int>& sequences, int batch, int depth)
    : trace_(trace), depth_(depth), places_(batch) {
  for (const int sequence : sequences) {
    if (trace.lengths[sequence] > depth) sequences_.push_back(sequence);
  }
  apart_ = static_cast<int>(sequences_.size()) >= 2 * batch;
}

bool Requests::is_taken(int entry, int self) const {
  for (int other = 0; other < static_cast<int>(places_.size()); ++other) {
    if (other != self && places_[other].entry == entry) return true;
  }
  return false;
}

void Requests::begin(Random& random) {
  std::vector<int> weights;
  for (int entry = 0; entry < static_cast<int>(sequences_.size()); ++entry) weights.push_back(starts(entry));
  for (Place& place : places_) place = {};
  for (int request = 0; request < static_cast<int>(places_.size()); ++request) {
    int entry = weighted(weights, random);
    while (apart_ && is_taken(entry, request)) entry = weighted(weights, random);
    places_[request] = {entry, below(random, starts(entry))};
  }
}

void Requests::advance(int request, int tokens, Random& random) {
  Place& place = places_[request];
  for (int i = 0; i < tokens; ++i) {
    if (++place.position < starts(place.entry)) continue;
    int entry = below(random, static_cast<int>(sequences_.size()));
    while (apart_ && is_taken(entry, request)) entry = below(random, static_cast<int>(sequences_.size()));
    place = {entry, 0};
  }
}

std::vector<int> fresh_tokens(const Trace& trace, const std::vector<int>& sequences, int batch, Random& random) {
  std::vector<int> weights, entries, tokens;
  for (const int sequence : sequences) weights.push_back(trace.lengths[sequence]);
  for (int request = 0; request < batch; ++request) {
    const bool apart = static_cast<int>(sequences.size()) >= 2 * (request + 1);
    int entry = weighted(weights, random);
    while (apart && std::count(entries.begin(), entries.end(), entry) > 0) entry = weighted(weights, random);
    entries.push_back(entry);
    tokens.push_back(trace.first(sequences[entry]) + below(random, weights[entry]));
  }
  return tokens;
}

}  // namespace moecarlo::oracle
