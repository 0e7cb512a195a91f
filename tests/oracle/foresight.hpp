#pragma once

#include <optional>

#include "tests/oracle/pass.hpp"

namespace moecarlo::oracle {

/// What a predictor expects a layer to use.
class Foresight {
 public:
  Foresight(const RankedTrace& trace, const Study& study) : trace_(trace), study_(study) {}

  /// Known when the layer `lead` before it is computed. before: the pass before, if there was one.
  Experts predicted(const Pass& pass, const std::optional<Pass>& before, int layer, int lead) const;

 private:
  Experts partners(int expert, int layer, int lead, int count) const;

  const RankedTrace& trace_;
  const Study& study_;
};

}  // namespace moecarlo::oracle
