#include "tests/oracle/simulate.hpp"

#include <algorithm>
#include <functional>
#include <optional>

#include "tests/oracle/demander.hpp"
#include "tests/oracle/replay.hpp"
#include "tests/oracle/requests.hpp"

namespace moecarlo::oracle {
namespace {

constexpr int kGroups = 64;

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
