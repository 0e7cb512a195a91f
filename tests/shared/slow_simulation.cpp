#include "tests/shared/slow_simulation.hpp"

#include <algorithm>

#include "tests/shared/experts.hpp"
#include "tests/shared/slow_policies.hpp"
#include "tests/shared/slow_rounds.hpp"

namespace moecarlo::testing {
namespace {

class SlowSimulation {
 public:
  SlowSimulation(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range)
      : table_(table), plan_(plan), view_(plan.view()), main_(range.stream == Stream::main) {
    counters.assign(plan.layout.size, 0);
    const auto words = static_cast<std::size_t>(table.words);
    for (std::size_t row = 0; row < (std::size_t{table.tokens} + 1) * table.layers; ++row) {
      Experts& experts = chosen_.emplace_back();
      for (std::uint32_t e = 0; e < table.experts; ++e) {
        if ((table.masks[row * words + e / 64] >> (e % 64) & 1U) != 0) experts.insert(e);
      }
    }
    for (std::uint64_t number = range.first; number < range.last; ++number) {
      begin(range.stream, number);
      for (std::uint32_t cell = 0; cell < view_.cell_count; ++cell) {
        if (range.cell == TrajectoryRange::kAllCells || range.cell == cell) simulate_cell(cell);
      }
    }
  }

  std::vector<std::uint64_t> counters;

 private:
  void begin(Stream stream, std::uint64_t number) {
    id_ = {stream, number, 0, 0};
    const GroupLayout& groups = plan_.shape.groups;
    const GroupLayout& joint = plan_.shape.joint_groups;
    if (main_) {
      group_ = number % groups.groups;
      joint_group_ = number % joint.groups;
    } else {  // 64 populations in turn, and each of them in two halves in turn
      const std::uint64_t population = number % 64, half = number / 64 % 2;
      group_ = groups.groups + 2 * population + half;
      joint_group_ = joint.groups + 2 * (population % joint.replicates) + half;
    }
  }

  void add(std::uint64_t offset, std::uint64_t amount) { counters[offset] += amount; }

  const Experts& chosen(std::uint32_t token, std::uint32_t layer) const {
    return chosen_[std::size_t{token} * table_.layers + layer];
  }

  void simulate_cell(std::uint32_t index) {
    const Cell& cell = plan_.layout.cells[index];
    const bool enumerates = plan_.walk == Walk::enumerate;
    const Rounds rounds = rounds_of(table_, plan_, index, id_);
    for (std::uint32_t r = view_.warmup; r < rounds.size(); ++r) {
      if (!rounds[r]) continue;
      add(cell.rounds + group_, 1);
      for (std::uint32_t request = 0; request < cell.batch && !enumerates; ++request) {
        add(cell.accepted + group_ * (cell.depth + 1) + rounds[r]->accepted[request], 1);
        add(cell.drafted + group_, rounds[r]->drafted[request]);
      }
    }
    for (std::uint32_t layer = 0; layer < table_.layers; ++layer) {
      count_unions(cell, rounds, layer);
    }
    for (std::uint32_t point = 0; point < cell.points(); ++point) {
      if (plan_.shape.scope == Scope::pool) {
        count_pool(cell, rounds, point);
      } else {
        for (std::uint32_t layer = 0; layer < table_.layers; ++layer) count_point(cell, rounds, layer, point);
      }
    }
  }

  Experts experts_of(const Round& round, std::uint32_t layer) const {
    Experts all;
    for (const auto& column : round.tokens) {
      for (const std::uint32_t token : column) all = either(all, chosen(token, layer));
    }
    return all;
  }

  /// The experts that accepted columns need; when enumerating, those of columns 0 .. `length`.
  Experts accepted_experts(const Round& round, std::uint32_t layer, std::uint32_t length) const {
    Experts kept;
    for (std::uint32_t column = 0; column < round.tokens.size(); ++column) {
      for (std::uint32_t request = 0; request < round.accepted.size(); ++request) {
        const std::uint32_t last = plan_.walk == Walk::enumerate ? length : round.accepted[request];
        if (column <= last) kept = either(kept, chosen(round.tokens[column][request], layer));
      }
    }
    return kept;
  }

  void count_unions(const Cell& cell, const Rounds& rounds, std::uint32_t layer) {
    const std::uint32_t width = cell.union_width();
    const auto count = [&](std::uint32_t field, std::uint64_t amount) {
      if (main_) add(cell.unions_by_layer + layer * width + field, amount);
      add(cell.unions_by_group + group_ * width + field, amount);
    };
    for (std::uint32_t r = view_.warmup; r < rounds.size(); ++r) {
      if (!rounds[r]) continue;
      const std::size_t distinct = experts_of(*rounds[r], layer).size();
      if (main_) add(cell.distinct + layer * (table_.experts + std::uint64_t{1}) + distinct, 1);
      count(Cell::kDistinct, distinct);
      if (cell.depth > 0) count(Cell::kDraftChoices, drafted_choices(cell, *rounds[r], r, layer));
      for (std::uint32_t slice = 0; slice < cell.slices; ++slice) {
        count(Cell::kDistinctAccepted + slice, accepted_experts(*rounds[r], layer, slice).size());
      }
    }
  }

  /// The draft step of a round that is counted. 2^32 / golden ratio hashes the trajectory.
  std::uint32_t counted(std::uint32_t round, std::uint32_t depth) const {
    return static_cast<std::uint32_t>((phase() / 4096 % 65536 + round) % depth);
  }
  std::uint64_t phase() const { return id_.number * 2654435769U % (std::uint64_t{1} << 32); }

  std::uint64_t drafted_choices(const Cell& cell, const Round& round, std::uint32_t number, std::uint32_t layer) const {
    std::uint64_t choices = 0;
    for (std::uint32_t step = 0; step < cell.depth; ++step) {
      if (plan_.walk != Walk::enumerate && step != counted(number, cell.depth)) continue;
      for (const std::uint32_t token : round.tokens[step]) choices += chosen(token, layer).size();
    }
    return choices;
  }

  Policy policy_of(const Cell& cell, std::uint32_t point) const {
    return plan_.layout.policies[cell.first_policy + point / cell.capacity_count];
  }
  const Capacity& capacity_of(const Cell& cell, std::uint32_t point) const {
    return plan_.layout.capacities[cell.first_capacity + point % cell.capacity_count];
  }

  /// A pass as the objects of each token, the highest bit first; experts of a layer start at `first`.
  SlowPass pass_of(const Round& round, std::uint32_t layer, std::uint32_t first) const {
    SlowPass pass;
    for (const auto& column : round.tokens) {
      for (const std::uint32_t token : column) {
        ObjectList& objects = pass.emplace_back();
        const Experts& experts = chosen(token, layer);
        for (auto e = experts.rbegin(); e != experts.rend(); ++e) objects.push_back(first + *e);
      }
    }
    return pass;
  }

  /// Adds a round's original draft choices to fading counts, in sixteenths where they fade.
  void hear(const Cell& cell, const Round& round, std::uint32_t layer, std::uint32_t first,
            std::vector<std::uint32_t>& heat) const {
    for (std::uint32_t step = 0; step < cell.depth; ++step) {
      for (const std::uint32_t token : round.tokens[step]) {
        for (const std::uint32_t e : chosen(token, layer)) heat[first + e] += plan_.decay.shift > 0 ? 16 : 1;
      }
    }
  }
  void fade(std::vector<std::uint32_t>& heat) const {
    const std::uint32_t divisor = 1U << plan_.decay.shift;
    for (std::uint32_t& count : heat) count -= plan_.decay.shift > 0 ? (count + divisor - 1) / divisor : count;
  }

  static Experts residents_in(const SlowPolicyCache& cache, std::uint32_t first, std::uint32_t count) {
    Experts experts;
    const std::vector<bool> resident = cache.residents();
    for (std::uint32_t e = 0; e < count; ++e) {
      if (resident[first + e]) experts.insert(e);
    }
    return experts;
  }

  SlowPolicyCache::Setup setup_of(Policy policy, std::uint32_t objects, std::uint32_t slots) const {
    SlowPolicyCache::Setup setup;
    setup.policy = policy;
    setup.objects = objects;
    setup.capacity = slots;
    setup.protected_capacity = static_cast<std::uint32_t>((std::uint64_t{slots} * plan_.protected_share) >> 16);
    return setup;
  }

  /// Each eviction of a pass takes the next word.
  std::uint32_t eviction_word(std::uint32_t pass, std::uint32_t layer) {
    const std::uint32_t index = pass == last_pass_&& layer == last_layer_ ? ++evictions_ : evictions_ = 0;
    last_pass_ = pass;
    last_layer_ = layer;
    const DrawAddress at{view_.seed, id_.stream, id_.number, pass, 0, Purpose::eviction, index / 256, layer};
    return at.draw(index % 256);
  }

  void count_point(const Cell& cell, const Rounds& rounds, std::uint32_t layer, std::uint32_t point) {
    const Policy policy = policy_of(cell, point);
    SlowPolicyCache::Setup setup = setup_of(policy, table_.experts, capacity_of(cell, point).at(layer));
    for (std::uint32_t e = 0; e < setup.capacity && (plan_.warm || policy == Policy::static_residents); ++e) {
      setup.start.push_back(e);
    }
    for (const auto& round : rounds) setup.future.push_back(round ? pass_of(*round, layer, 0) : SlowPass{});
    setup.draw = [&](std::uint32_t pass, std::uint32_t) { return eviction_word(pass, layer); };
    last_pass_ = ~0U;
    SlowPolicyCache cache(setup);
    std::vector<std::uint32_t> heat(table_.experts, 0);
    for (std::uint32_t r = 0; r < rounds.size(); ++r) {
      if (!rounds[r]) continue;
      const Experts residents = residents_in(cache, 0, table_.experts);
      hear(cell, *rounds[r], layer, 0, heat);
      cache.update(setup.future[r], policy == Policy::hotness ? heat : std::vector<std::uint32_t>{});
      fade(heat);
      if (r < view_.warmup) continue;
      const std::uint64_t writes = minus(residents_in(cache, 0, table_.experts), residents).size();
      count_pass(cell, *rounds[r], layer, point, residents, writes);
      if (cell.depth > 0) count_draft(cell, *rounds[r], r, layer, point, residents);
    }
  }

  /// One pool: each layer's part of a pass is an event of its own; hotness chooses once a pass.
  void count_pool(const Cell& cell, const Rounds& rounds, std::uint32_t point) {
    const Policy policy = policy_of(cell, point);
    const std::uint32_t experts = table_.experts, layers = table_.layers;
    SlowPolicyCache::Setup setup = setup_of(policy, experts * layers, capacity_of(cell, point).total(layers));
    const std::uint32_t stride = 64 * static_cast<std::uint32_t>(table_.words);
    for (std::uint32_t i = 0; i < setup.capacity && (plan_.warm || policy == Policy::static_residents); ++i) {
      setup.start.push_back(plan_.pool_order[i] / stride * experts + plan_.pool_order[i] % stride);
    }
    for (const auto& round : rounds) {
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        setup.future.push_back(pass_of(*round, layer, layer * experts));
      }
    }
    setup.draw = [&](std::uint32_t event, std::uint32_t) { return eviction_word(event / layers, event % layers); };
    last_pass_ = ~0U;
    SlowPolicyCache cache(setup);
    std::vector<std::uint32_t> heat(experts * layers, 0);
    for (std::uint32_t r = 0; r < rounds.size(); ++r) {
      std::vector<Experts> before;
      SlowPass whole;
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        before.push_back(residents_in(cache, layer * experts, experts));
        hear(cell, *rounds[r], layer, layer * experts, heat);
        const SlowPass& event = setup.future[r * layers + layer];
        whole.insert(whole.end(), event.begin(), event.end());
        if (policy != Policy::hotness) cache.update(event);
        const std::uint64_t writes = minus(residents_in(cache, layer * experts, experts), before.back()).size();
        if (r < view_.warmup) continue;
        count_pass(cell, *rounds[r], layer, point, before.back(), policy == Policy::hotness ? 0 : writes);
        if (cell.depth > 0) count_draft(cell, *rounds[r], r, layer, point, before.back());
      }
      if (policy == Policy::hotness) {
        cache.update(whole, heat);
        for (std::uint32_t layer = 0; layer < layers && r >= view_.warmup; ++layer) {
          count_writes(cell, layer, point, minus(residents_in(cache, layer * experts, experts), before[layer]).size());
        }
      }
      fade(heat);
    }
  }

  void count_writes(const Cell& cell, std::uint32_t layer, std::uint32_t point, std::uint64_t writes) {
    count_field(cell, layer, point, Cell::kCacheWrites, writes);
    if (const JointTally* joint = joint_of(cell, point)) add(joint->writes + joint_row(cell, point, layer), writes);
  }

  void count_field(const Cell& cell, std::uint32_t layer, std::uint32_t point, std::uint32_t field,
                   std::uint64_t amount) {
    const std::uint64_t width = cell.point_width(), groups = plan_.shape.groups.total();
    if (main_) add(cell.points_by_layer + (std::uint64_t{point} * table_.layers + layer) * width + field, amount);
    add(cell.points_by_group + (point * groups + group_) * width + field, amount);
  }

  const JointTally* joint_of(const Cell& cell, std::uint32_t point) const {
    const std::uint32_t index = plan_.layout.joint_index[cell.first_joint + point];
    return index == kNoJoint ? nullptr : &plan_.layout.joints[index];
  }

  /// Index of this layer's class and this trajectory's group in [2][groups].
  std::uint64_t joint_row(const Cell& cell, std::uint32_t point, std::uint32_t layer) const {
    const Capacity& capacity = plan_.layout.capacities[cell.first_capacity + point % cell.capacity_count];
    return (layer < capacity.extra_layers ? 0 : plan_.shape.joint_groups.total()) + joint_group_;
  }

  void count_pass(const Cell& cell, const Round& round, std::uint32_t layer, std::uint32_t point,
                  const Experts& residents, std::uint64_t writes) {
    const Experts all = experts_of(round, layer);
    const std::size_t hits = common(all, residents).size();
    count_field(cell, layer, point, Cell::kHits, hits);
    count_writes(cell, layer, point, writes);
    for (std::uint32_t slice = 0; slice < cell.slices; ++slice) {
      const Experts wasted = minus(minus(all, accepted_experts(round, layer, slice)), residents);
      count_field(cell, layer, point, Cell::kRejectedOnly + slice, wasted.size());
    }
    if (const JointTally* joint = joint_of(cell, point)) {
      const std::uint64_t row = joint_row(cell, point, layer);
      add(joint->verify + (row * joint->rows + hits) * joint->columns + all.size() - hits, 1);
    }
  }

  /// Enumeration counts every draft step; trajectories count one a round, and what it touches once in 16 rounds.
  void count_draft(const Cell& cell, const Round& round, std::uint32_t number, std::uint32_t layer, std::uint32_t point,
                   const Experts& residents) {
    const bool enumerates = plan_.walk == Walk::enumerate;
    for (std::uint32_t step = 0; step < cell.depth; ++step) {
      if (!enumerates && step != counted(number, cell.depth)) continue;
      for (const std::uint32_t token : round.tokens[step]) {
        count_field(cell, layer, point, Cell::kDraftHits, common(chosen(token, layer), residents).size());
      }
    }
    const JointTally* joint = joint_of(cell, point);
    if (joint == nullptr || (!enumerates && (phase() / 268435456 + number) % 16 != 0)) return;
    const std::uint32_t step = enumerates ? 0 : counted(number, cell.depth);
    const std::size_t touched = touched_residents(round.tokens[step], layer, residents, number, step).size();
    add(joint->draft + joint_row(cell, point, layer) * joint->rows + touched, 1);
  }

  /// Each request keeps its resident choices and replaces the absent ones by residents that it did not choose.
  Experts touched_residents(const std::vector<std::uint32_t>& tokens, std::uint32_t layer, const Experts& residents,
                            std::uint32_t round, std::uint32_t step) const {
    Experts touched;
    for (std::uint32_t request = 0; request < tokens.size(); ++request) {
      const Experts& original = chosen(tokens[request], layer);
      if (original.empty()) continue;  // never drafted
      Experts used = common(original, residents), open = minus(residents, original);
      const DrawAddress at{view_.seed, id_.stream, id_.number, round, request, Purpose::draft_replacement, step, layer};
      for (std::uint32_t i = 0; used.size() < table_.top_k && !open.empty(); ++i) {
        const std::uint32_t expert = by_popularity(open, layer, at.draw(i));
        open.erase(expert);
        used.insert(expert);
      }
      touched = either(touched, used);
    }
    return touched;
  }

  std::uint32_t by_popularity(const Experts& open, std::uint32_t layer, std::uint32_t draw) const {
    const std::uint32_t* popularity =
        &table_.popularity[std::size_t{layer} * table_.experts];  // by rank, so [0] is most
    const auto tickets = [&](std::uint32_t e) {
      return std::max<std::uint64_t>(1, std::uint64_t{popularity[e]} * 65535 / std::max(1U, popularity[0]));
    };
    std::uint64_t total = 0;
    for (const std::uint32_t e : open) total += tickets(e);
    std::uint64_t passed = 0;
    const std::uint64_t ticket = (draw * total) >> 32;
    for (const std::uint32_t e : open) {
      passed += tickets(e);
      if (ticket < passed) return e;
    }
    return table_.experts;  // no such expert
  }

  const RoutingTable& table_;
  const Plan& plan_;
  PlanView view_;
  bool main_;
  std::vector<Experts> chosen_;  // [tokens][layers]
  TrajectoryId id_;
  std::uint64_t group_ = 0, joint_group_ = 0;
  std::uint32_t last_pass_ = ~0U, last_layer_ = 0, evictions_ = 0;  // of the random policy
};

}  // namespace

std::vector<std::uint64_t> simulate_slowly(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range) {
  return SlowSimulation(table, plan, range).counters;
}

}  // namespace moecarlo::testing
