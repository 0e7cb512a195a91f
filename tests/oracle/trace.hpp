#pragma once

#include <map>
#include <set>
#include <vector>

// The independent slow simulation: the oracle of every engine. It is written from the design document in plain lists
// and sets, shares no rule with the core, and draws its own paths with a generator of its own. So it agrees with an
// engine in the mean, and to the last count where nothing is drawn. It may include the study, and nothing else of the
// project.

namespace moecarlo::oracle {

/// What a router did. Tokens of all sequences stand one after the other.
struct Trace {
  /// Captured acceptance of a draft that held a share of the experts and kept so many bits of each weight.
  struct Configuration {
    double cache_fraction = 0;
    int bits = 0;
    std::vector<double> probability;  ///< [tokens] that the draft token proposed for this position is accepted
  };
  /// A recorded verify pass: column 0 stands at `token`.
  struct Round {
    int token = 0, drafted = 0, accepted = 0;
    std::vector<std::vector<std::vector<int>>> chosen;  ///< [drafted + 1][layers][top_k]
  };

  int layers = 0, experts = 0, top_k = 0;
  bool sigmoid = false;                                  ///< scores are the logits' sigmoids, not their softmax
  std::vector<int> lengths;                              ///< tokens of each sequence
  std::vector<std::vector<std::vector<int>>> chosen;     ///< [tokens][layers][top_k], the best first
  std::vector<std::vector<std::vector<double>>> weight;  ///< of the choices; empty where not known
  std::vector<std::vector<std::vector<double>>> logit;   ///< [tokens][layers][experts]; empty where not known
  std::vector<int> word;                                 ///< [tokens] token ids; empty where not known
  std::vector<std::vector<std::vector<double>>> apart;  ///< [layers][experts][experts] distances; empty where not known
  std::vector<std::vector<std::vector<int>>> magnitude;  ///< [tokens][layers][channels] 0 .. 255; empty where not known
  std::vector<double> scale;                             ///< [layers] of magnitudes
  std::vector<double> drafted;  ///< [tokens] the drafter's own probability; empty where not known
  std::vector<Configuration> captured;
  std::vector<Round> recorded;

  std::vector<int> calibration, evaluation;  ///< sequences that rank the experts, and those that are simulated

  int first(int sequence) const;
  int sequence_of(int token) const;
  int tokens() const { return static_cast<int>(chosen.size()); }
};

/// Experts of one layer by their rank: 0 is the one that the calibration sequences chose most often, ties to the lower
/// expert index.
using Experts = std::set<int>;

/// A trace with its experts named by rank.
struct RankedTrace {
  explicit RankedTrace(const Trace& of);

  const Trace& trace;
  std::vector<std::vector<int>> rank;                 ///< [layers][experts]
  std::vector<std::vector<int>> popularity;           ///< [layers][experts] calibration choices, by rank
  std::vector<std::vector<Experts>> chosen;           ///< [tokens][layers]
  std::vector<std::vector<std::map<int, int>>> mass;  ///< [tokens][layers] gate mass by rank: all choices sum to 65535
  std::vector<std::vector<std::vector<int>>> scored;  ///< [tokens][layers][experts] ranks, the best score first

  /// Of experts by rank.
  double apart(int layer, int a, int b) const;

  Experts ranked(int layer, const std::vector<int>& experts) const;
};

Experts either(const Experts& a, const Experts& b);
Experts common(const Experts& a, const Experts& b);
Experts without(const Experts& a, const Experts& b);

}  // namespace moecarlo::oracle
