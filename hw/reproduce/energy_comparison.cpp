#include "hw/reproduce/energy_comparison.hpp"

namespace moecarlo::hw {

EnergyGain& EnergyGain::operator+=(const EnergyGain& other) {
  cells += other.cells;
  mean += other.mean;
  without_assumed_own += other.without_assumed_own;
  published_only += other.published_only;
  return *this;
}

void EnergyGain::average() {
  const auto count = static_cast<double>(cells);
  mean /= count;
  without_assumed_own /= count;
  published_only /= count;
}

EnergyComparison compare_energy(const TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  EnergyComparison sums;
  double watts_per_gain = 0;  // what a watt more on the reference adds to the mean gain
  for (const ReproducedCell& cell : cells) {
    if (cell.key.scheme != "elastic" || cell.key.hb_gb != 8 || !cell.sd) continue;
    const JoulesByStanding &own = cell.token.joules, &reference = cell.reference_token.joules;
    EnergyGain gain{1, reference.total() / own.total(), reference.total() / (own.published + own.derived),
                    (reference.published + reference.derived) / (own.published + own.derived)};
    for (EnergyGain* into : {&sums.all, &sums.by_model[cell.key.model]}) *into += gain;
    watts_per_gain += cell.reference_token.seconds / own.total();
  }
  if (sums.all.cells == 0) return sums;
  watts_per_gain /= static_cast<double>(sums.all.cells);
  for (auto& [model, gain] : sums.by_model) gain.average();
  sums.all.average();
  sums.missing_watts = (laws.published.energy_gain - sums.all.mean) / watts_per_gain;
  return sums;
}

}  // namespace moecarlo::hw
