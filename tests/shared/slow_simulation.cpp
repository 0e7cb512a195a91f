#include "tests/shared/slow_simulation.hpp"

#include <algorithm>

#include "tests/shared/slow_cache.hpp"
#include "tests/shared/slow_rounds.hpp"

namespace moecarlo::testing {
namespace {

class SlowSimulation {
 public:
  SlowSimulation(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range)
      : table_(table), plan_(plan), view_(plan.view()), main_(range.stream == Stream::main) {
    counters.assign(plan.layout.size, 0);
    const auto words = static_cast<std::size_t>(table.words);
    for (std::size_t row = 0; row < std::size_t{table.tokens} * table.layers; ++row) {
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
      for (const std::uint32_t length : rounds[r]->accepted) {
        if (!enumerates) add(cell.accepted + group_ * (cell.depth + 1) + length, 1);
      }
    }
    for (std::uint32_t layer = 0; layer < table_.layers; ++layer) {
      count_unions(cell, rounds, layer);
      for (std::uint32_t point = 0; point < plan_.shape.policies.size() * cell.capacity_count; ++point) {
        count_point(cell, rounds, layer, point);
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
      count(0, distinct);
      for (std::uint32_t slice = 0; slice < cell.slices; ++slice) {
        count(1 + slice, accepted_experts(*rounds[r], layer, slice).size());
      }
    }
  }

  void count_point(const Cell& cell, const Rounds& rounds, std::uint32_t layer, std::uint32_t point) {
    const Capacity& capacity = plan_.layout.capacities[cell.first_capacity + point % cell.capacity_count];
    const std::uint32_t held = capacity.base + (layer < capacity.extra_layers ? 1 : 0);
    SlowCache cache(plan_.shape.policies[point / cell.capacity_count], held, plan_.warm);
    for (std::uint32_t r = 0; r < rounds.size(); ++r) {
      if (!rounds[r]) continue;
      const Experts residents = cache.residents();
      for (const auto& column : rounds[r]->tokens) {
        for (const std::uint32_t token : column) cache.touch(chosen(token, layer));
      }
      if (r < view_.warmup) continue;
      const std::uint64_t writes = minus(cache.residents(), residents).size();
      count_pass(cell, *rounds[r], layer, point, residents, writes);
      if (cell.depth > 0) count_draft(cell, *rounds[r], r, layer, point, residents);
    }
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
    count_field(cell, layer, point, kHits, hits);
    count_field(cell, layer, point, kCacheWrites, writes);
    for (std::uint32_t slice = 0; slice < cell.slices; ++slice) {
      const Experts wasted = minus(minus(all, accepted_experts(round, layer, slice)), residents);
      count_field(cell, layer, point, kRejectedOnly + slice, wasted.size());
    }
    if (const JointTally* joint = joint_of(cell, point)) {
      const std::uint64_t row = joint_row(cell, point, layer);
      add(joint->verify + (row * joint->rows + hits) * joint->columns + all.size() - hits, 1);
      add(joint->writes + row, writes);
    }
  }

  /// Enumeration counts every draft step; trajectories count one a round, and what it touches once in 16 rounds.
  void count_draft(const Cell& cell, const Round& round, std::uint32_t number, std::uint32_t layer, std::uint32_t point,
                   const Experts& residents) {
    const bool enumerates = plan_.walk == Walk::enumerate;
    const std::uint64_t phase = id_.number * 2654435769U % (std::uint64_t{1} << 32);  // 2^32 / golden ratio
    const auto counted = static_cast<std::uint32_t>((phase / 4096 % 65536 + number) % cell.depth);
    for (std::uint32_t step = 0; step < cell.depth; ++step) {
      if (!enumerates && step != counted) continue;
      for (const std::uint32_t token : round.tokens[step]) {
        count_field(cell, layer, point, kDraftHits, common(chosen(token, layer), residents).size());
      }
    }
    const JointTally* joint = joint_of(cell, point);
    if (joint == nullptr || (!enumerates && (phase / 268435456 + number) % 16 != 0)) return;
    const std::uint32_t step = enumerates ? 0 : counted;
    const std::size_t touched = touched_residents(round.tokens[step], layer, residents, number, step).size();
    add(joint->draft + joint_row(cell, point, layer) * joint->rows + touched, 1);
  }

  /// Each request keeps its resident choices and replaces the absent ones by residents that it did not choose.
  Experts touched_residents(const std::vector<std::uint32_t>& tokens, std::uint32_t layer, const Experts& residents,
                            std::uint32_t round, std::uint32_t step) const {
    Experts touched;
    for (std::uint32_t request = 0; request < tokens.size(); ++request) {
      const Experts& original = chosen(tokens[request], layer);
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
};

}  // namespace

std::vector<std::uint64_t> simulate_slowly(const RoutingTable& table, const Plan& plan, const TrajectoryRange& range) {
  return SlowSimulation(table, plan, range).counters;
}

}  // namespace moecarlo::testing
