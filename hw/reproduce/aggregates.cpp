#include "hw/reproduce/aggregates.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

const ReproducedCell* find(const std::vector<ReproducedCell>& cells, const TableKey& key) {
  const auto found = std::find_if(cells.begin(), cells.end(), [&](const auto& cell) { return cell.key == key; });
  return found == cells.end() ? nullptr : &*found;
}

BaselineCell evaluate(const Design& design, const RoundCost& reference, const ReproducedCell* published) {
  RoundCost token = per_token(design.step(), design.batch);
  bool drafting = false;
  if (design.scheme.drafts && published != nullptr && published->alpha()) {
    const double tokens = design.laws.draft_of(design.scheme.name).tokens(*published->alpha());
    const RoundCost drafted = per_token(design.round(), tokens * design.batch);
    drafting = drafted.seconds < token.seconds;
    if (drafting) token = drafted;
  }
  return {design.system.name,
          design.scheme.name,
          design.model.name,
          design.batch,
          drafting,
          design.system.has_cache(),
          reference.seconds / token.seconds,
          reference.joules.total() / token.joules.total()};
}

void add(MeanGain& sum, double speed, double energy) {
  ++sum.cells;
  sum.speed += speed;
  sum.energy += energy;
}

void average(MeanGain& sum) {
  if (sum.cells == 0) return;
  sum.speed /= static_cast<double>(sum.cells);
  sum.energy /= static_cast<double>(sum.cells);
}

/// Each figure over the baseline that is best in it.
void add_over_best(const ReproducedCell& cell, double speedup, double energy_gain,
                   const std::vector<BaselineCell>& baselines, bool with_near_memory, MeanGain& sum) {
  double best_speed = 1, best_energy = 1;  // the reference
  for (const BaselineCell& one : baselines) {
    if (one.model != cell.key.model || one.batch != cell.key.batch || (one.near_memory && !with_near_memory)) continue;
    best_speed = std::max(best_speed, one.speedup);
    best_energy = std::max(best_energy, one.energy_gain);
  }
  add(sum, speedup / best_speed, energy_gain / best_energy);
}

}  // namespace

std::vector<BaselineCell> evaluate_baselines(const TableLaws& laws, const std::vector<ReproducedCell>& cells) {
  const std::uint32_t largest = near_gigabytes(laws.systems.back());
  const Scheme plain = autoregressive();
  std::vector<BaselineCell> all;
  for (const Baseline& baseline : laws.baselines) {
    const Scheme scheme = find_scheme(baseline.scheme);
    for (const auto& [name, routing] : laws.routing) {
      const Model model = read_model(name);
      for (const std::uint32_t batch : kTableBatches) {
        const Design design{laws, baseline.system, model, scheme, routing, batch};
        const RoundCost reference = Design{laws, laws.reference, model, plain, routing, batch}.step();
        all.push_back(evaluate(design, per_token(reference, batch), find(cells, {largest, name, scheme.name, batch})));
      }
    }
  }
  return all;
}

TableAggregates aggregates_of(const std::vector<ReproducedCell>& cells, const std::vector<BaselineCell>& baselines) {
  TableAggregates sums;
  double small = 0, large = 0, ratios = 0;
  for (const ReproducedCell& cell : cells) {
    if (cell.key.scheme != "elastic" || !cell.sd) continue;
    const double best = std::max(cell.ar, *cell.sd);
    (cell.key.hb_gb == 4 ? sums.best_mode_4gb : sums.best_mode_8gb) += best;
    ++(cell.key.hb_gb == 4 ? small : large);
    if (cell.key.hb_gb == 8) {
      const double energy = cell.reference_token.joules.total() / cell.token.joules.total();
      add(sums.over_reference, best, energy);
      add_over_best(cell, best, energy, baselines, true, sums.over_prior);
      add_over_best(cell, best, energy, baselines, false, sums.over_far_memory_only);
    }
    if (cell.key.batch < 4) continue;
    TableKey rival = cell.key;
    rival.scheme = "eagle";
    const ReproducedCell* const eagle = find(cells, rival);
    if (eagle == nullptr || !eagle->sd) continue;
    const double ratio = *cell.sd / *eagle->sd;
    sums.elastic_over_eagle += ratio;
    sums.elastic_over_eagle_max = std::max(sums.elastic_over_eagle_max, ratio);
    ++ratios;
  }
  if (small > 0) sums.best_mode_4gb /= small;
  if (large > 0) sums.best_mode_8gb /= large;
  if (ratios > 0) sums.elastic_over_eagle /= ratios;
  for (MeanGain* sum : {&sums.over_reference, &sums.over_prior, &sums.over_far_memory_only}) average(*sum);
  return sums;
}

}  // namespace moecarlo::hw
