#pragma once

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>
#include <random>

#include "tests/oracle/caches.hpp"
#include "tests/oracle/demander.hpp"
#include "tests/oracle/foresight.hpp"
#include "tests/oracle/partial_sums.hpp"
#include "tests/oracle/simulate.hpp"

namespace moecarlo::oracle {

/// The passes of one design point, judged and counted.
class Replay {
 public:
  Replay(const RankedTrace& trace, const Study& study, const Point& point, const std::vector<Pass>& future,
         Random& random)
      : trace_(trace),
        study_(study),
        point_(point),
        random_(random),
        caches_(trace, study, point, future, random),
        demander_(trace, study, point.demand),
        foresight_(trace, study) {}

  /// Draft, verification, then the caches; counts go to `counts`, those of draft steps under their round, or nowhere.
  void run(Pass pass, Counts* counts, int round = 0) {
    const int layers = trace_.trace.layers;
    for (int layer = 0; counts && layer < layers; ++layer) count_draft(pass, layer, counts->layers[layer].draft[round]);
    if (counts) count_lengths(pass, *counts);
    caches_.hear_draft(pass);
    for (int layer = 0; layer < layers; ++layer) {
      if (demander_.reads_residents()) demander_.ask_layer(pass, layer, caches_.residents(layer));
      if (counts) count_verify(pass, layer, counts->layers[layer]);
      const ObjectSet before = caches_.residents(layer);
      demander_.hear(used_by(pass, layer), before);
      caches_.update(pass, layer);
      if (counts) counts->layers[layer].writes += new_residents(layer, before);
    }
    std::vector<ObjectSet> before;
    for (int layer = 0; layer < layers; ++layer) before.push_back(caches_.residents(layer));
    caches_.end_pass(pass);
    demander_.end_pass();
    before_ = pass;
    for (int layer = 0; counts && layer < layers; ++layer) {
      counts->layers[layer].writes += new_residents(layer, before[layer]);
    }
  }

  /// Share of a token's gate mass, over all layers, that is resident.
  double coverage(int token) const {
    double all = 0, resident = 0;
    for (int layer = 0; layer < trace_.trace.layers; ++layer) {
      const ObjectSet residents = caches_.residents(layer);
      for (const auto& [expert, share] : trace_.mass[token][layer]) {
        all += share;
        if (residents.count(expert) > 0) resident += share;
      }
    }
    return resident / all;
  }

 private:
  static ObjectSet used_by(const Pass& pass, int layer) {
    ObjectSet used;
    for (const Column& column : pass.columns) {
      if (column.verified) used = either(used, column.used[layer]);
    }
    return used;
  }

  std::int64_t new_residents(int layer, const ObjectSet& before) const {
    return static_cast<std::int64_t>(without(caches_.residents(layer), before).size());
  }

  static void count_lengths(const Pass& pass, Counts& counts) {
    ++counts.rounds;
    for (const Draft& draft : pass.drafts) {
      counts.drafted += draft.drafted;
      ++counts.accepted[draft.accepted];
    }
  }

  /// What the draft steps of the path chose, and how much of it was resident.
  void count_draft(const Pass& pass, int layer, std::vector<DraftCounts>& steps) const {
    const ObjectSet residents = caches_.residents(layer);
    for (const Column& column : pass.columns) {
      if (!column.drafts || column.sibling) continue;
      DraftCounts& counts = steps[column.level];
      counts.choices += static_cast<std::int64_t>(column.chosen[layer].size());
      counts.hits += static_cast<std::int64_t>(common(column.chosen[layer], residents).size());
      if (trace_.mass.empty() || study_.mode == Mode::perturbed || column.token < 0) continue;
      for (const auto& [expert, share] : trace_.mass[column.token][layer]) {
        counts.mass += share;
        if (residents.count(expert) > 0) counts.resident_mass += share;
      }
    }
    for (int step = 0; point_.joint && step < point_.depth; ++step) {
      Experts touched;
      for (const Column& column : pass.columns) {
        if (column.level != step || pass.drafts[column.request].drafted <= step) continue;
        touched = either(touched, drafted_with(column, layer, residents));
      }
      ++steps[step].touched[static_cast<int>(touched.size())];
    }
  }

  /// The resident experts that a draft step uses in place of its choices: the resident choices themselves, and for each
  /// absent one the nearest resident where a demand rule says so; else then the
  /// best-scoring residents, or where scores are not known residents that it did not choose, drawn by popularity.
  Experts drafted_with(const Column& column, int layer, const ObjectSet& residents) const {
    Experts held;  // what can draft: upper slices
    for (const int object : residents) {
      if (object < trace_.trace.experts) held.insert(object);
    }
    Experts used = common(column.chosen[layer], held);
    if (demander_.is("nearest")) {
      for (const int absent : without(column.chosen[layer], held)) {
        int nearest = -1;
        for (const int expert : held) {
          if (nearest < 0 || trace_.apart(layer, absent, expert) < trace_.apart(layer, absent, nearest)) {
            nearest = expert;
          }
        }
        if (nearest >= 0) used.insert(nearest);
      }
      return used;
    }
    const std::size_t wanted = std::min<std::size_t>(column.chosen[layer].size(), held.size());
    if (!trace_.scored.empty() && study_.draft.replacements == Replacements::scores && column.token >= 0 &&
        study_.mode != Mode::perturbed) {
      for (const int expert : trace_.scored[column.token][layer]) {
        if (used.size() < wanted && held.count(expert) > 0) used.insert(expert);
      }
      return used;
    }
    std::vector<double> weights(trace_.trace.experts, 0);
    const double most = std::max(1, trace_.popularity[layer].front());
    for (const int expert : without(held, column.chosen[layer])) {
      weights[expert] = std::max(1.0, 65535 * trace_.popularity[layer][expert] / most);
    }
    while (used.size() < wanted) {
      const int expert = std::discrete_distribution<int>(weights.begin(), weights.end())(random_);
      used.insert(expert);
      weights[expert] = 0;
    }
    return used;
  }

  void count_demands(const Column& column, int layer, LayerCounts& counts) const {
    const Experts kept = common(column.chosen[layer], column.used[layer]);
    counts.pairs += static_cast<std::int64_t>(column.chosen[layer].size());
    counts.pairs_kept += static_cast<std::int64_t>(kept.size());
    ++counts.columns;
    counts.whole_columns += kept == column.chosen[layer] ? 1 : 0;
    const auto lacks_lower = [&](int expert) {
      return study_.cache.objects == Objects::slices && column.used[layer].count(trace_.trace.experts + expert) == 0;
    };
    counts.pairs_upper += std::count_if(kept.begin(), kept.end(), lacks_lower);
    if (column.gate.empty()) return;
    for (const auto& [expert, gate] : column.gate[layer]) {
      counts.pair_mass += gate;
      if (kept.count(expert) == 0) counts.dropped += gate;
      if (kept.count(expert) > 0 && lacks_lower(expert)) counts.upper_mass += gate;
    }
  }

  /// What is loaded of an object, and what of its users' gates is lost with the other channels.
  void count_parts(const Pass& pass, int layer, int object, LayerCounts& counts) const {
    const int whole = study_.cache.objects == Objects::slices ? 128 : 256, expert = object % trace_.trace.experts;
    const std::optional<double> least = demander_.least_channel();
    if (!least) {
      counts.parts += whole;
      return;
    }
    const int channels = static_cast<int>(trace_.trace.magnitude.front().front().size());
    std::set<int> loaded;
    const auto each_user = [&](const auto& use) {
      for (const Column& column : pass.columns) {
        if (!column.verified || column.used[layer].count(object) == 0) continue;
        const bool known = !column.of.empty();
        use(column, column.gate[layer].at(expert),
            known ? trace_.trace.magnitude[column.of[layer].at(expert)][layer] : std::vector<int>(channels, -1));
      }
    };
    const auto wants = [&](int gate, int magnitude) {
      const double product = static_cast<double>(gate) * magnitude;
      return gate > 0 && (magnitude < 0 || product >= std::ceil(*least * 65535 / trace_.trace.scale[layer]));
    };
    each_user([&](const Column& column, int gate, const std::vector<int>& magnitude) {
      if (!demander_.chooses_channels(pass, column)) return;
      for (int j = 0; j < channels; ++j) {
        if (wants(gate, magnitude[j])) loaded.insert(j);
      }
    });
    counts.parts += (2 * static_cast<std::int64_t>(loaded.size()) * whole + channels) / (2 * channels);
    if (object >= trace_.trace.experts) return;
    each_user([&](const Column& column, int gate, const std::vector<int>& magnitude) {
      for (int j = 0; j < channels && !demander_.chooses_channels(pass, column); ++j) {
        if (!wants(gate, magnitude[j])) continue;
        ++counts.channels_wanted;
        counts.channels_covered += static_cast<std::int64_t>(loaded.count(j));
      }
      std::int64_t sum = 0, lost = 0;
      for (int j = 0; j < channels && magnitude[j] >= 0; ++j) {
        sum += magnitude[j];
        lost += loaded.count(j) > 0 ? 0 : magnitude[j];
      }
      if (sum > 0) counts.channels_dropped += gate * lost / sum;
    });
  }

  /// Which experts are not loaded, or loaded in vain, and why.
  void count_causes(const Pass& pass, int layer, LayerCounts& counts) const {
    Experts chosen, used, chosen_accepted, used_accepted;
    for (const Column& column : pass.columns) {
      if (!column.verified) continue;
      const Experts kept = common(column.chosen[layer], column.used[layer]);
      chosen = either(chosen, column.chosen[layer]);
      used = either(used, kept);
      if (!column.accepted) continue;
      chosen_accepted = either(chosen_accepted, column.chosen[layer]);
      used_accepted = either(used_accepted, kept);
    }
    const auto size = [](const Experts& experts) { return static_cast<std::int64_t>(experts.size()); };
    const Experts dropped = without(chosen, used), redundant = without(used, used_accepted);
    counts.dropped_small += size(common(dropped, chosen_accepted));
    counts.dropped_rejected += size(without(dropped, chosen_accepted));
    counts.redundant_small += size(common(redundant, chosen_accepted));
    counts.redundant_rejected += size(without(redundant, chosen_accepted));
  }

  /// Of each expert that is chosen the largest product, rounded down to 1/256; 256 of a first choice.
  void count_products(const Pass& pass, int layer, LayerCounts& counts) const {
    std::map<int, std::int64_t> largest;
    for (const Column& column : pass.columns) {
      if (!column.verified || column.gate.empty()) continue;
      const int first = Demander::first_choice(column.gate[layer]);
      for (const auto& [expert, gate] : column.gate[layer]) {
        const std::int64_t own = expert == first ? 65535LL * 65535 : std::int64_t{column.confidence} * gate;
        largest[expert] = std::max(largest[expert], own);
      }
    }
    for (const auto& [expert, product] : largest)
      ++counts.products[static_cast<int>(product * 256 / (65535LL * 65535))];
  }

  /// Union, hits and waste of the verification. When enumerating, for each accepted length that there could be.
  void count_verify(const Pass& pass, int layer, LayerCounts& counts) const {
    const ObjectSet residents = caches_.residents(layer);
    const int lengths = static_cast<int>(counts.distinct_accepted.size());
    ObjectSet all;
    std::vector<ObjectSet> accepted(lengths);
    for (const Column& column : pass.columns) {
      if (!column.verified) continue;
      const ObjectSet& objects = column.used[layer];
      count_demands(column, layer, counts);
      all = either(all, objects);
      for (int length = 0; length < lengths; ++length) {
        if (lengths == 1 ? column.accepted : column.level <= length) {
          accepted[length] = either(accepted[length], objects);
        }
      }
    }
    const ObjectSet hits = common(all, residents);
    const int distinct = static_cast<int>(all.size()), hit = static_cast<int>(hits.size());
    counts.distinct += distinct;
    counts.upper += std::distance(all.begin(), all.lower_bound(trace_.trace.experts));
    for (const int object : all) count_parts(pass, layer, object, counts);
    count_causes(pass, layer, counts);
    count_products(pass, layer, counts);
    ++counts.distinct_passes[distinct];
    counts.hits += hit;
    counts.upper_hits += std::distance(hits.begin(), hits.lower_bound(trace_.trace.experts));
    for (int length = 0; length < lengths; ++length) {
      counts.distinct_accepted[length] += static_cast<std::int64_t>(accepted[length].size());
      counts.rejected_only[length] +=
          static_cast<std::int64_t>(without(without(all, accepted[length]), residents).size());
    }
    ++counts.hits_and_misses[{hit, distinct - hit}];
    ++counts.residents[static_cast<int>(residents.size())];
    count_by_depth(pass, layer, counts);
    if (study_.prefill) count_partial_sums(pass, layer, counts);
    if (study_.prefetch) count_prefetch(pass, layer, all, residents, counts);
    for (const int object : all) {
      const auto uses = std::count_if(pass.columns.begin(), pass.columns.end(), [&](const Column& column) {
        return column.verified && column.used[layer].count(object) > 0;
      });
      ++counts.tokens[{static_cast<int>(uses), residents.count(object) > 0}];
    }
  }

  void count_prefetch(const Pass& pass, int layer, const ObjectSet& used, const ObjectSet& residents,
                      LayerCounts& counts) const {
    const auto& leads = study_.prefetch->leads;
    for (std::size_t i = 0; i < leads.size(); ++i) {
      if (static_cast<int>(leads[i]) > layer) continue;
      const Experts predicted = foresight_.predicted(pass, before_, layer, static_cast<int>(leads[i]));
      const Experts fetched = without(predicted, residents);
      const int room = has_capacity(point_.policy) ? point_.slots[layer] - static_cast<int>(residents.size()) : 1 << 20;
      const int gone = std::clamp(static_cast<int>(fetched.size()) - room, 0, static_cast<int>(residents.size()));
      const auto add = [&](std::size_t kind, std::size_t experts) {
        counts.prefetch[static_cast<int>(kind * leads.size() + i)] += static_cast<std::int64_t>(experts);
      };
      add(0, common(fetched, used).size());
      add(1, without(fetched, used).size());
      add(2, static_cast<std::size_t>(gone));
      add(3, without(without(used, residents), predicted).size());
    }
  }

  void count_partial_sums(const Pass& pass, int layer, LayerCounts& counts) const {
    Uses tokens;
    for (const Column& column : pass.columns) tokens.push_back(column.used[layer]);
    const std::vector<int> order = load_order(tokens);
    ++counts.high_water[high_water(tokens, order)];
    if (!study_.prefill->psum_slots) return;
    const int slots = static_cast<int>(*study_.prefill->psum_slots);
    ++counts.spills[spills(tokens, order, slots, study_.prefill->psum_forced)];
  }

  /// What the columns of each depth use, and what each two of one request have in common.
  static void count_by_depth(const Pass& pass, int layer, LayerCounts& counts) {
    std::map<int, ObjectSet> by_depth;
    for (auto one = pass.columns.begin(); one != pass.columns.end(); ++one) {
      if (!one->verified) continue;
      by_depth[one->level] = either(by_depth[one->level], one->used[layer]);
      for (auto other = std::next(one); other != pass.columns.end(); ++other) {
        if (!other->verified || other->request != one->request || other->level != one->level) continue;
        if (one->used[layer].empty() || other->used[layer].empty()) continue;
        ++counts.shared[static_cast<int>(common(one->used[layer], other->used[layer]).size())];
      }
    }
    for (const auto& [depth, objects] : by_depth) counts.by_depth[depth] += static_cast<std::int64_t>(objects.size());
  }

  const RankedTrace& trace_;
  const Study& study_;
  const Point& point_;
  Random& random_;
  Caches caches_;
  Demander demander_;
  Foresight foresight_;
  std::optional<Pass> before_;  // the last pass
};

}  // namespace moecarlo::oracle
