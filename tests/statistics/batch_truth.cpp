#include "tests/statistics/batch_truth.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace moecarlo::testing {
namespace {

/// Of one expert in one layer: by sequence, the share of its starts whose verified (accepted) columns do not need it.
struct Absence {
  std::vector<double> verified, accepted;
};

class Starts {
 public:
  Starts(const RoutingTable& table, std::uint32_t depth, double alpha) : table_(table), depth_(depth), alpha_(alpha) {}

  bool chooses(std::uint32_t token, std::uint32_t layer, std::uint32_t expert) const {
    return table_.view().mask<1>(token, layer).contains(expert);
  }

  Absence absence(std::uint32_t layer, std::uint32_t expert) const {
    Absence shares;
    for (const std::uint32_t s : table_.split.evaluation) {
      const Sequence& sequence = table_.sequences[s];
      double verified = 0, accepted = 0;
      for (std::uint32_t start = 0; start + depth_ < sequence.length; ++start) {
        const std::uint32_t columns = columns_without(sequence.first + start, layer, expert);
        if (columns > depth_) verified += 1;
        accepted += columns == 0       ? 0
                    : columns > depth_ ? 1
                                       : 1 - std::pow(alpha_, columns);  // accepted length below it
      }
      const double starts = sequence.length - depth_;
      shares.verified.push_back(verified / starts);
      shares.accepted.push_back(accepted / starts);
    }
    return shares;
  }

  /// Share of the choices of all draft steps of all starts that are below `capacity` in a layer.
  double covered(std::uint32_t layer, std::uint32_t capacity) const {
    double hits = 0, choices = 0;
    for (const std::uint32_t s : table_.split.evaluation) {
      const Sequence& sequence = table_.sequences[s];
      for (std::uint32_t start = 0; start + depth_ < sequence.length; ++start) {
        for (std::uint32_t step = 0; step < depth_; ++step) {
          for (std::uint32_t e = 0; e < capacity; ++e) hits += chooses(sequence.first + start + step, layer, e) ? 1 : 0;
          choices += table_.top_k;
        }
      }
    }
    return hits / choices;
  }

 private:
  /// Columns of a round before the first that chooses the expert; depth + 1 where none does.
  std::uint32_t columns_without(std::uint32_t token, std::uint32_t layer, std::uint32_t expert) const {
    std::uint32_t column = 0;
    while (column <= depth_ && !chooses(token + column, layer, expert)) ++column;
    return column;
  }

  const RoutingTable& table_;
  std::uint32_t depth_;
  double alpha_;
};

/// P(no request needs it): the first `distinct` stand on different sequences, the others anywhere. The mean over all
/// choices of different sequences is an elementary symmetric mean.
double none_needs(const std::vector<double>& by_sequence, std::uint32_t batch, std::uint32_t distinct) {
  const std::size_t sequences = by_sequence.size();
  std::vector<double> mean(distinct + 1, 0);  // over the subsets of the sequences so far
  mean[0] = 1;
  std::vector<double> sums = mean;
  for (const double share : by_sequence) {
    for (std::uint32_t size = distinct; size > 0; --size) sums[size] += share * sums[size - 1];
  }
  double subsets = 1;
  for (std::uint32_t i = 0; i < distinct; ++i) subsets *= static_cast<double>(sequences - i) / (i + 1);
  const double any = std::accumulate(by_sequence.begin(), by_sequence.end(), 0.0) / static_cast<double>(sequences);
  return sums[distinct] / subsets * std::pow(any, batch - distinct);
}

/// Requests that are kept apart: all or none of an episode's, and of shared starts those that have twice as many
/// sequences as requests up to them.
std::uint32_t kept_apart(const CellShape& cell, std::size_t sequences) {
  const auto half = static_cast<std::uint32_t>(sequences / 2);
  if (cell.apart) return cell.batch <= half ? cell.batch : 0;
  return std::min(cell.batch, half);
}

}  // namespace

std::map<std::string, double> batch_truth(const RoutingTable& table, const CellShape& cell, std::uint32_t capacity,
                                          double alpha) {
  const Starts starts(table, cell.depth, alpha);
  const std::uint32_t distinct = kept_apart(cell, table.split.evaluation.size());
  double touched = 0, needed = 0, hits = 0, rejected_only = 0, covered = 0;
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    for (std::uint32_t expert = 0; expert < table.experts; ++expert) {
      const Absence absent = starts.absence(layer, expert);
      const double in_union = 1 - none_needs(absent.verified, cell.batch, distinct);
      const double in_accepted = 1 - none_needs(absent.accepted, cell.batch, distinct);
      touched += in_union;
      needed += in_accepted;
      (expert < capacity ? hits : rejected_only) += expert < capacity ? in_union : in_union - in_accepted;
    }
    if (cell.depth > 0) covered += starts.covered(layer, capacity) / table.layers;
  }
  double accepted = 0;
  for (std::uint32_t i = 1; i <= cell.depth; ++i) accepted += std::pow(alpha, i);
  const double layers = table.layers;
  return {{"tokens_per_round", 1 + accepted},
          {"accepted_length", accepted},
          {"distinct_experts", touched / layers},
          {"distinct_experts_accepted", needed / layers},
          {"hits", hits / layers},
          {"misses", (touched - hits) / layers},
          {"hit_rate", hits / touched},
          {"rejected_only", rejected_only / layers},
          {"draft_coverage", covered},
          {"cache_writes", 0}};
}

}  // namespace moecarlo::testing
