#include "tests/oracle/foresight.hpp"

#include <algorithm>

namespace moecarlo::oracle {

Experts Foresight::predicted(const Pass& pass, const std::optional<Pass>& before, int layer, int lead) const {
  const Predictor predictor = study_.prefetch->predictor;
  const auto& stated = study_.prefetch->experts;
  Experts all;
  if (predictor == Predictor::popularity) {
    const int count = stated ? static_cast<int>(*stated) : trace_.trace.top_k;
    for (int expert = 0; expert < std::min(count, trace_.trace.experts); ++expert) all.insert(expert);
  }
  for (const Column& column : pass.columns) {
    if (predictor == Predictor::draft && column.drafts && !column.sibling) all = either(all, column.chosen[layer]);
    if (predictor != Predictor::layers || !column.verified) continue;
    for (const int expert : column.chosen[layer - lead]) {
      all = either(all, partners(expert, layer, lead, stated ? static_cast<int>(*stated) : 1));
    }
  }
  if (predictor != Predictor::previous || !before) return all;
  for (std::size_t request = 0; request < before->drafts.size(); ++request) {
    for (const Column& column : before->columns) {
      const bool newest = column.level == before->drafts[request].accepted;
      if (column.request == static_cast<int>(request) && !column.sibling && newest) {
        all = either(all, column.chosen[layer]);
      }
    }
  }
  return all;
}

/// The experts of a layer that calibration tokens chose most often which had chosen `expert` before.
Experts Foresight::partners(int expert, int layer, int lead, int count) const {
  std::vector<int> met(trace_.trace.experts, 0);
  for (const int sequence : trace_.trace.calibration) {
    for (int i = 0; i < trace_.trace.lengths[sequence]; ++i) {
      const auto& chosen = trace_.chosen[trace_.trace.first(sequence) + i];
      if (chosen[layer - lead].count(expert) == 0) continue;
      for (const int other : chosen[layer]) ++met[other];
    }
  }
  Experts best;
  for (int n = 0; n < count; ++n) {
    const auto most = std::max_element(met.begin(), met.end());
    if (*most <= 0) break;
    best.insert(static_cast<int>(most - met.begin()));
    *most = -1;
  }
  return best;
}

}  // namespace moecarlo::oracle
