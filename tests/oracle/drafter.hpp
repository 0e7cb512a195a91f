#pragma once

#include <functional>
#include <vector>

#include "host/study/study.hpp"
#include "tests/oracle/random.hpp"
#include "tests/oracle/trace.hpp"

namespace moecarlo::oracle {

/// One round's draft of one request: 0 <= accepted <= drafted <= depth.
struct Draft {
  int drafted = 0, accepted = 0;
};

/// Who drafts, and how much of it is accepted, by the study's acceptance model. Recorded rounds have no drafter: they
/// are replayed.
class Drafter {
 public:
  /// cache_fraction and bits choose among captured acceptances.
  Drafter(const Trace& trace, const AcceptanceSpec& spec, int depth, double cache_fraction, int bits);

  /// The draft of a request whose last emitted token is `token`. coverage(i): share of the gate mass of the token that
  /// draft step i routes like which is resident; only the model `coverage` asks.
  Draft draft(int token, const std::function<double(int step)>& coverage, Random& random) const;

  /// That draft position `position` of a draft at `token` is accepted, given those before it.
  double odds(int token, int position, const std::function<double(int step)>& coverage) const;

 private:
  Draft look_up(int token) const;

  const Trace& trace_;
  const AcceptanceSpec& spec_;
  int depth_;
  double per_token_ = 0;          // ratio
  std::vector<double> captured_;  // [tokens]
};

}  // namespace moecarlo::oracle
