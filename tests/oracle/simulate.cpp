#include "tests/oracle/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <iterator>
#include <optional>

#include "tests/oracle/caches.hpp"
#include "tests/oracle/demander.hpp"
#include "tests/oracle/foresight.hpp"
#include "tests/oracle/partial_sums.hpp"
#include "tests/oracle/requests.hpp"

namespace moecarlo::oracle {
namespace {

constexpr int kGroups = 64;

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

  static void count_demands(const Column& column, int layer, LayerCounts& counts) {
    const Experts kept = common(column.chosen[layer], column.used[layer]);
    counts.pairs += static_cast<std::int64_t>(column.chosen[layer].size());
    counts.pairs_kept += static_cast<std::int64_t>(kept.size());
    ++counts.columns;
    counts.whole_columns += kept == column.chosen[layer] ? 1 : 0;
    if (column.gate.empty()) return;
    for (const auto& [expert, gate] : column.gate[layer]) {
      counts.pair_mass += gate;
      if (kept.count(expert) == 0) counts.dropped += gate;
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
        use(column.gate[layer].at(expert),
            known ? trace_.trace.magnitude[column.of[layer].at(expert)][layer] : std::vector<int>(channels, -1));
      }
    };
    each_user([&](int gate, const std::vector<int>& magnitude) {
      for (int j = 0; j < channels; ++j) {
        const double product = static_cast<double>(gate) * magnitude[j];
        if (gate > 0 && (magnitude[j] < 0 || product >= std::ceil(*least * 65535 / trace_.trace.scale[layer]))) {
          loaded.insert(j);
        }
      }
    });
    counts.parts += (2 * static_cast<std::int64_t>(loaded.size()) * whole + channels) / (2 * channels);
    if (object >= trace_.trace.experts) return;
    each_user([&](int gate, const std::vector<int>& magnitude) {
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

Counts no_counts(const Trace& trace, const Point& point, int lengths, int rounds = 1) {
  Counts counts;
  counts.accepted.resize(point.depth + 1);
  counts.layers.resize(trace.layers);
  for (LayerCounts& layer : counts.layers) {
    layer.distinct_accepted.resize(lengths);
    layer.rejected_only.resize(lengths);
    layer.draft.assign(rounds, std::vector<DraftCounts>(point.depth));
  }
  return counts;
}

Drafter drafter_of(const RankedTrace& trace, const Study& study, const Point& point) {
  double slots = 0, objects = trace.trace.experts * (study.cache.objects == Objects::slices ? 2 : 1);
  for (const int own : point.slots) slots += own;
  return Drafter(trace.trace, study.acceptance, point.depth, slots / trace.trace.layers / objects, point.bits);
}

/// One trajectory: `rounds` counted rounds of one batch after `warmup` others.
class Trajectory {
 public:
  Trajectory(const RankedTrace& trace, const Study& study, const Point& point, const std::vector<int>& sequences,
             Random& random)
      : trace_(trace),
        study_(study),
        point_(point),
        sequences_(sequences),
        random_(random),
        drafter_(drafter_of(trace, study, point)),
        builder_(trace, study, point.depth, random),
        demander_(trace, study, point.demand),
        drafting_(trace.trace, sequences, point.batch, point.depth),
        routing_(trace.trace, sequences, point.batch, point.depth) {}

  void run(Counts& counts) {
    if (point_.fresh) return run_fresh(counts);
    drafting_.begin(random_);
    if (point_.independent) routing_.begin(random_);
    const int warmup = static_cast<int>(study_.warmup), rounds = warmup + static_cast<int>(study_.rounds);
    // Where acceptance looks at the residents, a pass is drawn when it is due; else all of them, for optima to know.
    const bool looks = study_.acceptance.model == AcceptanceModel::coverage;
    std::vector<Pass> passes;
    for (int round = 0; !looks && round < rounds; ++round) passes.push_back(draw([](int) { return 0.0; }));
    Replay replay(trace_, study_, point_, passes, random_);
    for (int round = 0; round < rounds; ++round) {
      if (looks) passes.push_back(draw([&](int token) { return replay.coverage(token); }));
      replay.run(passes[round], round < warmup ? nullptr : &counts, round - warmup);
    }
  }

 private:
  /// Every round from a fresh start: it counts where all requests have a whole draft before them.
  void run_fresh(Counts& counts) {
    Replay replay(trace_, study_, point_, {}, random_);
    for (std::uint32_t round = 0; round < study_.rounds; ++round) {
      Pass pass;
      bool fits = true;
      for (const int token : fresh_tokens(trace_.trace, sequences_, point_.batch, random_)) {
        const int sequence = trace_.trace.sequence_of(token);
        fits = fits && token + point_.depth < trace_.trace.first(sequence) + trace_.trace.lengths[sequence];
        if (fits) builder_.add(pass, token, drafter_.draft(token, {}, random_));
      }
      if (!fits) continue;
      builder_.finish(pass);
      demander_.ask(pass);
      replay.run(pass, &counts, static_cast<int>(round));
    }
  }

  /// One pass of all requests, who then go on by what was accepted and one token more.
  Pass draw(const std::function<double(int token)>& coverage) {
    Pass pass;
    for (int request = 0; request < point_.batch; ++request) {
      const int token = drafting_.token(request);
      const auto covered = [&](int step) { return coverage(token + step); };
      const Draft draft = drafter_.draft(token, covered, random_);
      const int routed = point_.independent ? routing_.token(request) : token;
      builder_.add(pass, routed, draft);
      demander_.trust(pass, request, routed, point_.depth,
                      [&](int position) { return drafter_.odds(routed, position, covered); });
      drafting_.advance(request, draft.accepted + 1, random_);
      if (point_.independent) routing_.advance(request, draft.accepted + 1, random_);
    }
    builder_.finish(pass);
    demander_.ask(pass);
    return pass;
  }

  const RankedTrace& trace_;
  const Study& study_;
  const Point& point_;
  const std::vector<int>& sequences_;
  Random& random_;
  Drafter drafter_;
  PassBuilder builder_;
  Demander demander_;
  Requests drafting_, routing_;
};

/// Gates of choices of which nothing but their number is known.
std::map<int, int> equal_gates(const Experts& chosen) {
  std::map<int, int> gates;
  for (const int expert : chosen) gates[expert] = static_cast<int>(std::lround(65535.0 / chosen.size()));
  return gates;
}

/// A recorded pass, as it was captured or as the trace routes those of its columns that it knows.
Pass recorded_pass(const RankedTrace& trace, const Trace::Round& round, bool captured) {
  Pass pass;
  pass.drafts.push_back({round.drafted, round.accepted});
  const int sequence = trace.trace.sequence_of(round.token);
  const int end = trace.trace.first(sequence) + trace.trace.lengths[sequence];
  for (int level = 0; level <= round.drafted; ++level) {
    Column& column = pass.columns.emplace_back();
    column.number = column.level = level;
    column.accepted = level <= round.accepted;
    column.drafts = level < round.drafted;
    if (!captured && round.token + level < end) {
      column.token = round.token + level;
      column.chosen = trace.chosen[column.token];
      if (!trace.mass.empty()) column.gate = trace.mass[column.token];
      for (int layer = 0; layer < trace.trace.layers; ++layer) {
        auto& of = column.of.emplace_back();
        for (const int expert : column.chosen[layer]) of[expert] = column.token;
      }
      continue;
    }
    for (int layer = 0; layer < trace.trace.layers; ++layer) {
      column.chosen.push_back(trace.ranked(layer, round.chosen[level][layer]));
      if (!trace.mass.empty()) column.gate.push_back(equal_gates(column.chosen.back()));
    }
  }
  return pass;
}

}  // namespace

std::vector<Counts> simulate(const RankedTrace& trace, const Study& study, const Point& point,
                             const std::vector<std::vector<int>>& populations, int trajectories, std::uint64_t seed) {
  Random random(seed);
  std::vector<Counts> groups(kGroups, no_counts(trace.trace, point, 1, static_cast<int>(study.rounds)));
  for (int number = 0; number < trajectories; ++number) {
    const std::vector<int>& sequences = populations[number % static_cast<int>(populations.size())];
    Trajectory(trace, study, point, sequences, random).run(groups[number % kGroups]);
  }
  return groups;
}

std::vector<Counts> prefill(const RankedTrace& trace, const Study& study, const Point& point) {
  Random random;
  const PassBuilder builder(trace, study, 0, random);
  const Demander demander(trace, study, point.demand);
  std::vector<Pass> passes;
  std::vector<std::size_t> sequence_of;
  for (std::size_t i = 0; i < trace.trace.evaluation.size(); ++i) {
    const int first = trace.trace.first(trace.trace.evaluation[i]);
    const int end = first + trace.trace.lengths[trace.trace.evaluation[i]];
    for (int token = first; token < end;) {
      Pass pass;
      for (std::uint32_t place = 0; place < study.prefill->chunk && token < end; ++place) {
        builder.add(pass, token, {});
        demander.trust(pass, static_cast<int>(place), token++, 0, [](int) { return 1.0; });
      }
      demander.ask(pass);
      passes.push_back(pass);
      sequence_of.push_back(i);
    }
  }
  Replay replay(trace, study, point, passes, random);
  std::vector<Counts> sequences(trace.trace.evaluation.size(), no_counts(trace.trace, point, 1));
  for (std::size_t i = 0; i < passes.size(); ++i) replay.run(passes[i], &sequences[sequence_of[i]]);
  return sequences;
}

std::vector<Counts> enumerate(const RankedTrace& trace, const Study& study, const Point& point) {
  Random random;
  const PassBuilder builder(trace, study, point.depth, random);
  Replay replay(trace, study, point, {}, random);
  const Drafter drafter = drafter_of(trace, study, point);
  const Demander demander(trace, study, point.demand);
  std::vector<Counts> sequences;
  for (const int sequence : trace.trace.evaluation) {
    Counts& counts = sequences.emplace_back(no_counts(trace.trace, point, point.depth + 1));
    for (int start = 0; start + point.depth < trace.trace.lengths[sequence]; ++start) {
      Pass pass;
      const int token = trace.trace.first(sequence) + start;
      builder.add(pass, token, {point.depth, 0});
      demander.trust(pass, 0, token, point.depth, [&](int position) { return drafter.odds(0, position, {}); });
      demander.ask(pass);
      replay.run(pass, &counts);
    }
  }
  return sequences;
}

std::vector<Counts> replay(const RankedTrace& trace, const Study& study, const Point& point) {
  Random random;
  const PassBuilder builder(trace, study, point.depth, random);
  const Drafter drafter = drafter_of(trace, study, point);
  std::vector<Pass> passes;
  std::vector<std::size_t> sequence_of;  // [passes] among the evaluation sequences
  const Demander demander(trace, study, point.demand);
  const auto add = [&](Pass pass, std::size_t sequence, int token) {
    demander.trust(pass, 0, token, point.depth, [&](int position) { return drafter.odds(0, position, {}); });
    demander.ask(pass);
    passes.push_back(pass);
    sequence_of.push_back(sequence);
  };
  if (study.acceptance.model == AcceptanceModel::rounds && point.depth > 0) {
    for (const Trace::Round& round : trace.trace.recorded) {
      const std::vector<int>& evaluated = trace.trace.evaluation;
      const auto found = std::find(evaluated.begin(), evaluated.end(), trace.trace.sequence_of(round.token));
      if (found == evaluated.end()) continue;
      const bool captured = study.acceptance.rejected_routing == RejectedRouting::captured;
      add(recorded_pass(trace, round, captured), static_cast<std::size_t>(found - evaluated.begin()), round.token);
    }
  } else {
    for (std::size_t i = 0; i < trace.trace.evaluation.size(); ++i) {
      const int first = trace.trace.first(trace.trace.evaluation[i]);
      for (int at = 0; at + point.depth < trace.trace.lengths[trace.trace.evaluation[i]];) {
        const Draft draft = point.depth == 0 ? Draft{} : drafter.draft(first + at, {}, random);
        Pass pass;
        builder.add(pass, first + at, draft);
        add(pass, i, first + at);
        at += draft.accepted + 1;
      }
    }
  }
  Replay replay(trace, study, point, passes, random);
  std::vector<Counts> sequences(trace.trace.evaluation.size(), no_counts(trace.trace, point, 1));
  for (std::size_t i = 0; i < passes.size(); ++i) replay.run(passes[i], &sequences[sequence_of[i]]);
  return sequences;
}

}  // namespace moecarlo::oracle
