#include "hw/plan/plan.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "hw/machine/expert_split.hpp"

namespace moecarlo::hw {
namespace {

constexpr double activation_bytes = 2;  // of what devices exchange

RoundPart of(bool drafting, RoundPart in_draft, RoundPart in_verify) {
  return drafting ? in_draft : in_verify;
}

/// Unpacking weights, and decoding those that are stored coded.
Work unpack(const System& system, const Unit& unit, const WeightFormat& format, double weights, double bits) {
  Work work = decode(unit, weights, bits);
  if (format.decoded_per_second > 0) {
    const double seconds = weights / format.decoded_per_second;
    work.add(unit.operations, seconds / system.resources[unit.operations].seconds_per);
  }
  return work;
}

Task dense_work(const System& system, const WeightFormat& format, const LayerPass& pass,
                const std::vector<Matrix>& matrices) {
  const double helped = system.helper ? system.helper->dense_share : 0;
  const double bytes = weights(matrices) * format.stored_bits(pass.kept_bits) / bits_per_byte;
  const double multiplied = format.multiplied_share(pass.kept_bits, system.units.front().bits_per_pass);
  Task task = compute_shared(system, matrices, pass.tokens, pass.kept_bits, helped, multiplied);
  const double times = system.reads_per_row ? pass.tokens : 1;
  task += read_shared(system, system.near_dense(), times * pass.near_share * bytes, helped);
  if (pass.near_share < 1) task += read_shared(system, system.home(), times * (1 - pass.near_share) * bytes, helped);
  task.own += unpack(system, system.units.front(), format, times * weights(matrices), pass.kept_bits);
  return task;
}

/// Cached positions of some requests, and the tokens that look back at them.
struct Cached {
  double requests = 1, positions = 0, tokens = 1;
};

/// What a pass does with those of one round.
struct CachedRound {
  std::vector<Cached> all;

  double bytes(const Model& model, const Mixer& mixer) const {
    double sum = 0;
    for (const Cached& one : all)
      sum += one.requests * (model.kv_read_share * mixer.read_bytes(one.positions) + mixer.state_bytes);
    return sum;
  }
  double macs(const Mixer& mixer) const {
    double sum = 0;
    for (const Cached& one : all) sum += one.tokens * mixer.macs(one.positions);
    return sum;
  }
};

/// Of a pass of so many tokens: those of its requests, in every round that their contexts may give, then those of the
/// chunk, which look back at its middle.
std::vector<CachedRound> cached_of(const Serving& serving, const LayerPass& pass) {
  const PromptChunk* const chunk = !pass.drafting && serving.chunk ? &*serving.chunk : nullptr;
  const double tokens = chunk != nullptr ? pass.tokens - chunk->tokens : pass.tokens;
  std::vector<CachedRound> rounds;
  for (const std::vector<double>& contexts : drawn_contexts(serving.context, serving.batch)) {
    CachedRound& round = rounds.emplace_back();
    const double share = 1.0 / static_cast<double>(contexts.size());
    for (const double context : contexts) {
      if (serving.batch > 0) round.all.push_back({share * serving.batch, context, share * tokens});
    }
    if (chunk != nullptr) round.all.push_back({1, chunk->first + std::floor(chunk->tokens / 2), chunk->tokens});
    if (serving.batch == 0) break;
  }
  return rounds;
}

/// Scores and values over the cached context of every request; states are written as well as read.
Task context_work(const System& system, const Model& model, const Mixer& mixer, const CachedRound& cached) {
  const double helped = system.helper ? system.helper->cache_share : 0;
  return read_shared(system, system.near_dense(), cached.bytes(model, mixer), helped) +
         operate_shared(system, cached.macs(mixer), model.kv_bits, helped);
}

const Unit& unit_at_home(const System& system) {
  return system.misses.there > 0 ? system.units[system.misses.far_unit] : system.units.front();
}

/// Weights that lie at home, read and multiplied by whoever computes what is not near; a helper takes its share.
Task work_at_home(const System& system, const WeightFormat& format, const LayerPass& pass,
                  const std::vector<Matrix>& matrices) {
  const double bytes = weights(matrices) * format.stored_bits(pass.kept_bits) / bits_per_byte;
  const double times = system.reads_per_row ? pass.tokens : 1;
  const Unit& unit = unit_at_home(system);
  Task task;
  if (&unit == &system.units.front()) {
    const double helped = system.helper ? system.helper->dense_share : 0;
    task = compute_shared(system, matrices, pass.tokens, pass.kept_bits, helped,
                          format.multiplied_share(pass.kept_bits, unit.bits_per_pass));
    task += read_shared(system, system.home(), times * bytes, helped);
  } else {
    task.own = compute(unit, matrices, pass.tokens, pass.kept_bits,
                       format.multiplied_share(pass.kept_bits, unit.bits_per_pass));
    task.own += read(system, unit, system.home(), times * bytes);
  }
  task.own += unpack(system, unit, format, times * weights(matrices), pass.kept_bits);
  return task;
}

/// Keys and values of such layers: where another unit computes them, beside its weights; else near, as always.
Task context_at_home(const System& system, const Model& model, const Mixer& mixer, const CachedRound& cached) {
  const Unit& unit = unit_at_home(system);
  if (&unit == &system.units.front()) return context_work(system, model, mixer, cached);
  Task task;
  task.own = read(system, unit, system.home(), cached.bytes(model, mixer));
  task.own.add(unit.operations, 2 * cached.macs(mixer) * unit.passes(model.kv_bits));
  return task;
}

/// Activations of so many bytes over the link that misses take, and back.
Task there_and_back(const System& system, double bytes) {
  Task task;
  for (const std::uint8_t link : system.misses.link) task.own.add(link, 2 * bytes, 2);
  return task;
}

/// A ring: every device sends and receives the payload twice but for its own share.
Task all_reduce(const System& system, double payload_bytes) {
  const double steps = 2 * (system.devices.count - 1);
  Task task;
  task.own.add(system.devices.link, steps * payload_bytes, steps);
  return task;
}

std::vector<Pass> between(const System& system, bool drafting, double layers, double payload_bytes, double seconds) {
  std::vector<Pass> parts;
  if (system.devices.count > 1) {
    parts.push_back(
        {Part{of(drafting, RoundPart::draft_link, RoundPart::verify_link), layers, all_reduce(system, payload_bytes)}});
  }
  if (seconds > 0)
    parts.push_back({Part{of(drafting, RoundPart::draft_overhead, RoundPart::verify_overhead), 1, {}, seconds}});
  return parts;
}

/// The share of the experts that the helper can reach: all that its own memory holds.
double held_by_helper(const System& system, const Model& model) {
  return system.helper ? std::min(1.0, system.helper->capacity_bytes / experts_bytes(model)) : 0;
}

}  // namespace

std::vector<Pass> dense_parts(const System& system, const Model& model, const Serving& serving, const LayerPass& pass) {
  const RoundPart attention = of(pass.drafting, RoundPart::draft_attention, RoundPart::verify_attention);
  const RoundPart lm_head = of(pass.drafting, RoundPart::draft_lm_head, RoundPart::verify_lm_head);
  const double home = pass.layers_at_home;
  const std::vector<CachedRound> rounds = cached_of(serving, pass);
  const double share = 1.0 / static_cast<double>(rounds.size());  // of each round
  std::vector<Pass> parts;
  for (const LayerKind& kind : model.layers) {
    if (home < 1) {
      const Task weights = dense_work(system, model.dense_format, pass, kind.mixer.matrices) +
                           dense_work(system, model.dense_format, pass, kind.dense);
      for (const CachedRound& round : rounds) {
        const Task layer = weights + context_work(system, model, kind.mixer, round);
        parts.push_back({Part{attention, share * (1 - home) * kind.count, layer}});
      }
    }
    if (home > 0) {
      const Task weights = work_at_home(system, model.dense_format, pass, kind.mixer.matrices) +
                           work_at_home(system, model.dense_format, pass, kind.dense);
      for (const CachedRound& round : rounds) {
        const Task layer = weights + context_at_home(system, model, kind.mixer, round);
        parts.push_back({Part{attention, share * home * kind.count, layer}});
      }
    }
  }
  LayerPass headed = pass;
  double heads = 1;  // passes with an LM head, of this one
  if (!pass.drafting && serving.chunk) {
    headed.tokens += serving.chunk->last - serving.chunk->tokens;
    if (serving.batch == 0) heads = std::exchange(headed.tokens, 1);
  }
  if (home < 1 && heads > 0) {
    const Task head = dense_work(system, model.dense_format, headed, {model.lm_head()});
    parts.push_back({Part{lm_head, (1 - home) * heads, head}});
  }
  if (home > 0) {
    const Task head = work_at_home(system, model.dense_format, headed, {model.lm_head()});
    if (heads > 0) parts.push_back({Part{lm_head, home * heads, head}});
    if (system.misses.there > 0)
      parts.push_back({Part{of(pass.drafting, RoundPart::draft_link, RoundPart::verify_link), 1,
                            there_and_back(system, pass.tokens * model.hidden * activation_bytes)}});
  }
  return parts;
}

std::vector<Pass> parts_between(const System& system, const Model& model, const LayerPass& pass) {
  const Overheads& overheads = system.overheads;
  const double managed = pass.experts_near ? 0 : overheads.managed_layer * model.moe_layers;
  const double layers = count_layers(model);
  return between(system, pass.drafting, layers, pass.tokens * model.hidden * activation_bytes,
                 overheads.pass + layers * overheads.layer + managed);
}

std::vector<Pass> parts_between(const System& system, double layers, double hidden, double tokens) {
  return between(system, true, layers, tokens * hidden * activation_bytes,
                 system.overheads.pass + layers * system.overheads.layer);
}

ExpertsWork expert_compute(const System& system, const Model& model, double tokens, double weight_bits,
                           const Asked& asked) {
  const Unit& first = system.units.front();
  const double multiplied = asked.weights * model.expert_format.multiplied_share(weight_bits, first.bits_per_pass);
  ExpertsWork experts;
  experts.rows = tokens * model.top_k * asked.pairs;
  if (system.helper && system.helper->splits_experts) {
    const Unit& second = system.units[system.helper->unit];
    const double chance = asked.pairs * model.top_k / model.experts;
    experts.split = TokenSplit{{{}, compute(first, model.expert, 1, weight_bits, multiplied)},
                               {{}, compute(second, model.expert, 1, weight_bits, multiplied)},
                               experts.rows,
                               binomial(static_cast<std::size_t>(std::max(1.0, std::round(tokens))), chance)};
    return experts;
  }
  const double there = system.misses.there;
  if (there == 0) {
    const auto of_rows = [&](double rows, double bits) {
      const double done = asked.weights * model.expert_format.multiplied_share(bits, first.bits_per_pass);
      return compute_shared(system, model.expert, rows, bits, held_by_helper(system, model), done);
    };
    const double upper = asked.slices ? asked.slices->pairs : 0;
    experts.pass = of_rows((1 - upper) * experts.rows, weight_bits);
    if (upper > 0) experts.pass += of_rows(upper * experts.rows, weight_bits / 2);
    return experts;
  }
  const Unit& far = system.units[system.misses.far_unit];
  experts.hit_row = compute(first, model.expert, 1, weight_bits, multiplied);
  experts.miss_row =
      (1 - there) * experts.hit_row +
      there * compute(far, model.expert, 1, weight_bits, asked.weights * model.expert_format.operations_share);
  const double bytes = activation_bytes * (model.expert.front().inputs + model.expert.back().outputs);
  for (const std::uint8_t link : system.misses.link) experts.miss_row.add(link, there * bytes);
  return experts;
}

Work fetch(const System& system, std::size_t tier, double bytes) {
  return read(system, system.units.front(), tier, bytes, 1) + write(system, 0, bytes);
}

double fetched_ahead(const System& system, const Model& model) {
  const double layers = model.moe_layers;
  return system.prefetch.recall * std::max(0.0, layers - system.prefetch.layers) / layers;
}

namespace {

/// Reads of one expert, and those of each of its rows where kernels do not share them.
class ExpertReads {
 public:
  ExpertReads(const System& system, const Model& model, double weight_bits, double read_share)
      : system_(system),
        format_(model.expert_format),
        held_(held_by_helper(system, model)),
        weights_(read_share * weights(model.expert)),
        bits_(weight_bits),
        read_share_(read_share) {}

  void add_near(double bytes, Task& once, Work& row) const {
    add(once, row, read_shared(system_, 0, read_share_ * bytes, held_));
  }

  void add_at_home(double bytes, Task& once, Work& row) const {
    add(once, row, read_shared(system_, system_.home(), read_share_ * bytes, held_));
  }

  void add_unpacking(double share, const Unit& unit, Task& once, Work& row) const {
    (system_.reads_per_row ? row : once.own) += share * unpack(system_, unit, format_, weights_, bits_);
  }

  /// Of one that is not near does what misses do, from the tier where it is; `fetched`: the share of those to be
  /// fetched that were not fetched ahead.
  void add_away(std::size_t tier, const ExpertBytes& expert, double fetched, Task& once, Work& row) const {
    const double bytes = expert.home;
    const Misses& misses = system_.misses;
    const Unit& first = system_.units.front();
    const double read_bytes = read_share_ * bytes;
    if (misses.in_place > 0) add(once, row, misses.in_place * read_shared(system_, tier, read_bytes, held_));
    if (misses.fetch > 0) {
      once.own += misses.fetch * fetched * fetch(system_, tier, bytes);
      add(once, row, misses.fetch * Task{read(system_, first, 0, read_bytes), {}, {}});
    }
    if (misses.there > 0) {
      const Unit& far = system_.units[misses.far_unit];
      add(once, row, misses.there * Task{read(system_, far, tier, read_bytes), {}, {}});
      add_unpacking(expert.unpacked * misses.there, far, once, row);
    }
    add_unpacking(expert.unpacked * (1 - misses.there), first, once, row);
  }

 private:
  /// What is read by kernels that do not share reads counts for each row, what moves over a link to stay once.
  void add(Task& once, Work& row, const Task& reads) const {
    if (!system_.reads_per_row) {
      once += reads;
    } else {
      row += reads.own + reads.here;
    }
  }

  const System& system_;
  const WeightFormat& format_;
  double held_, weights_, bits_, read_share_;
};

}  // namespace

void add_reads(const System& system, const Model& model, const ExpertBytes& hit, const ExpertBytes& miss,
               double weight_bits, ExpertsWork& experts, double read_share) {
  if (experts.split) {
    const auto add = [&](const Unit& unit, TokenSplit::Unit& split) {
      Work& to = system.reads_per_row ? split.row : split.once;
      to += read(system, unit, system.home(), read_share * miss.home);
      to += unpack(system, unit, model.expert_format, read_share * weights(model.expert), weight_bits);
    };
    add(system.units.front(), experts.split->first);
    add(system.units[system.helper->unit], experts.split->second);
    return;
  }
  const ExpertReads reads(system, model, weight_bits, read_share);
  reads.add_near(hit.near, experts.hit, experts.hit_row);
  if (hit.home > 0) reads.add_at_home(hit.home, experts.hit, experts.hit_row);
  reads.add_unpacking(hit.unpacked, system.units.front(), experts.hit, experts.hit_row);
  if (miss.near > 0) reads.add_near(miss.near, experts.miss, experts.miss_row);
  if (miss.home == 0) return;
  for (std::size_t tier = 1; tier < system.home(); ++tier) {
    Task once;
    Work row = experts.miss_row;  // what is computed of it is the same
    reads.add_away(tier, miss, 1, once, row);
    experts.middle.push_back(std::move(once));
    experts.middle_row.push_back(row);
  }
  reads.add_away(system.home(), miss, 1 - fetched_ahead(system, model), experts.miss, experts.miss_row);
}

}  // namespace moecarlo::hw
