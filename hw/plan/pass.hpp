#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "host/statistics/breakdown.hpp"
#include "hw/machine/task.hpp"

namespace moecarlo::hw {

/// A piece of a pass that does not depend on the routing, done `count` times one after the other.
struct Part {
  RoundPart label{};
  double count = 1;
  Task task;
  double seconds = 0;  ///< that no resource explains, of one
};

/// Experts that either of two units takes, each whole: what it reads of one, and does for each of its tokens.
struct TokenSplit {
  struct Unit {
    Work once, row;
  };
  Unit first, second;
  double rows = 0;          ///< pairs of a token and an expert that it takes
  std::vector<double> law;  ///< how often an expert has 0, 1, 2, ... tokens if tokens are independent
};

/// The experts of one MoE layer in one pass, as a function of how many distinct ones were found in the cache and not.
struct ExpertsWork {
  Task pass;                 ///< done once as soon as any expert is touched
  Task hit, miss;            ///< of each distinct expert; a hit is in the nearest tier
  std::vector<Task> middle;  ///< of one in each tier between the nearest and home
  /// Of each of `rows` pairs of a token and an expert that it takes, which hits and misses share as they share the
  /// distinct experts.
  Work hit_row, miss_row;
  std::vector<Work> middle_row;
  double rows = 0;
  std::optional<TokenSplit> split;  ///< in place of all that

  /// Of so many that are in a tier before home and so many that are not. `by_tier`: shares of the first, nearest tier
  /// first; empty where all are in the nearest.
  Task at(double hits, double misses, const std::vector<double>& by_tier = {}) const;
  /// What a hit does on the average of these shares.
  Task mean_hit(const std::vector<double>& by_tier) const;
};

/// The experts of all MoE layers, or of those from a share of their number to another.
struct RoutedPart {
  RoundPart label{};
  bool drafting = false;  ///< counted in draft steps, else in verifications
  ExpertsWork work;
  double from = 0, to = 1;
};

struct Pass;

/// One after the other.
struct Then {
  std::vector<Pass> passes;
};

/// The same so many times, which may be an expectation.
struct Times {
  double count = 1;
  std::vector<Pass> pass;  ///< one
};

/// Two at the same time, on what they share as on what they do not: the time of both is that of the longer one, and no
/// less than any resource needs for both. Of means over many layers and passes that is a lower bound.
struct Beside {
  std::vector<Pass> passes;  ///< two
};

/// What a round does, as an expression.
struct Pass {
  std::variant<Then, Part, RoutedPart, Times, Beside> what;
};

Pass then(std::vector<Pass> passes);
Pass times(double count, Pass pass);
Pass beside(Pass a, Pass b);

/// What a pass does in the layers from a share of their number to another: the experts of these, and of everything else
/// that share.
Pass layers_of(Pass pass, double from, double to);

/// The first part of a pass with this label; null where it has none.
const Part* find_part(const Pass& pass, RoundPart label);
const RoutedPart* find_routed(const Pass& pass, RoundPart label);

/// The pass that the first Times in it repeats: a draft step. Null where nothing is repeated.
const Pass* find_repeated(const Pass& pass);

}  // namespace moecarlo::hw
