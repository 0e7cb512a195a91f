#include "tests/oracle/trace.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

namespace moecarlo::oracle {

int Trace::first(int sequence) const {
  return std::accumulate(lengths.begin(), lengths.begin() + sequence, 0);
}

int Trace::sequence_of(int token) const {
  int sequence = 0;
  while (first(sequence) + lengths[sequence] <= token) ++sequence;
  return sequence;
}

RankedTrace::RankedTrace(const Trace& of) : trace(of) {
  for (int layer = 0; layer < of.layers; ++layer) {
    std::vector<int> count(of.experts, 0), order(of.experts);
    for (const int sequence : of.calibration) {
      for (int token = of.first(sequence); token < of.first(sequence) + of.lengths[sequence]; ++token) {
        for (const int expert : of.chosen[token][layer]) ++count[expert];
      }
    }
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return count[a] > count[b]; });
    rank.emplace_back(of.experts);
    popularity.emplace_back();
    for (int r = 0; r < of.experts; ++r) {
      rank[layer][order[r]] = r;
      popularity[layer].push_back(count[order[r]]);
    }
  }
  for (int token = 0; token < of.tokens(); ++token) {
    chosen.emplace_back();
    for (int layer = 0; layer < of.layers; ++layer) chosen[token].push_back(ranked(layer, of.chosen[token][layer]));
    if (!of.weight.empty()) {
      mass.emplace_back(of.layers);
      for (int layer = 0; layer < of.layers; ++layer) {
        const std::vector<double>& weight = of.weight[token][layer];
        const double sum = std::accumulate(weight.begin(), weight.end(), 0.0);
        for (int i = 0; i < of.top_k; ++i) {
          const int expert = rank[layer][of.chosen[token][layer][i]];
          mass[token][layer][expert] = static_cast<int>(std::lround(65535 * weight[i] / sum));
        }
      }
    }
    if (of.logit.empty()) continue;
    scored.emplace_back(of.layers);
    for (int layer = 0; layer < of.layers; ++layer) {
      const std::vector<double>& logit = of.logit[token][layer];
      std::vector<int> order(of.experts);
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logit[a] > logit[b]; });
      for (const int expert : order) scored[token][layer].push_back(rank[layer][expert]);
    }
  }
}

double RankedTrace::apart(int layer, int a, int b) const {
  const auto expert = [&](int r) { return std::find(rank[layer].begin(), rank[layer].end(), r) - rank[layer].begin(); };
  return trace.apart[layer][expert(a)][expert(b)];
}

Experts RankedTrace::ranked(int layer, const std::vector<int>& experts) const {
  Experts ranks;
  for (const int expert : experts) ranks.insert(rank[layer][expert]);
  return ranks;
}

Experts either(const Experts& a, const Experts& b) {
  Experts sum = a;
  sum.insert(b.begin(), b.end());
  return sum;
}

Experts common(const Experts& a, const Experts& b) {
  Experts both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::inserter(both, both.end()));
  return both;
}

Experts without(const Experts& a, const Experts& b) {
  Experts left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::inserter(left, left.end()));
  return left;
}

}  // namespace moecarlo::oracle
