#include "tests/shared/oracle_comparison.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/core/draft.hpp"
#include "tests/shared/oracle_fields.hpp"

namespace moecarlo::testing {
namespace {

using oracle::Counts;
using oracle::DraftCounts;
using oracle::LayerCounts;

class Comparison {
 public:
  Comparison(const Counted& counted, Deviations& deviations)
      : plan_(counted.plan),
        of_(counted.of),
        engine_(counted.engine),
        slow_(counted.slow),
        name_(counted.name),
        deviations_(deviations) {}

  void means() {
    const Cell& cell = *of_.cell;
    rounds_ = in_blocks([&](std::size_t g) { return cell.rounds + g; });
    for (std::uint32_t a = 0; a <= cell.depth; ++a) {
      compare(fmt::format("accepted length {}", a),
              in_blocks([&](std::size_t g) { return cell.accepted + g * (cell.depth + 1) + a; }),
              [&](const Counts& counts) { return static_cast<double>(counts.accepted[a]); });
    }
    compare("drafted", in_blocks([&](std::size_t g) { return cell.drafted + g; }),
            [](const Counts& counts) { return static_cast<double>(counts.drafted); });
    for (const Field& field : layer_fields(plan_, of_)) {
      compare(
          field.name, in_blocks(field.group), [&](const Counts& counts) { return of_layers(counts, field.of); },
          field.rounding);
      if (is_main()) compare_layers(field);
    }
    if (is_main()) compare_distinct();
    if (cell.depth > 0) compare_drafts();
    if (of_.joint != nullptr) compare_joint();
  }

  void expect_same(const std::function<std::size_t(std::size_t)>& sequence_of) {
    const Cell& cell = *of_.cell;
    const bool enumerates = plan_.walk == Walk::enumerate;
    for (std::size_t g = 0; g < slow_.size(); ++g) {
      const Counts& counts = slow_[sequence_of(g)];
      expect_same("rounds", cell.rounds + g, counts.rounds);
      for (std::uint32_t a = 0; a <= cell.depth && !enumerates; ++a) {
        expect_same("accepted", cell.accepted + g * (cell.depth + 1) + a, counts.accepted[a]);
      }
      if (!enumerates) expect_same("drafted", cell.drafted + g, counts.drafted);
      for (const Field& field : layer_fields(plan_, of_)) {
        expect_same(field.name, field.group(g), std::llround(of_layers(counts, field.of)), field.rounding);
      }
      for (const DraftField& field : draft_fields(plan_, of_)) {
        const auto all = [&](const LayerCounts& layer) { return of_steps(layer, field.of, {}); };
        expect_same(field.name, field.group(g), std::llround(of_layers(counts, all)), field.rounded ? 1e-4 : 0);
      }
    }
    for (const Field& field : layer_fields(plan_, of_)) {
      for (std::uint32_t layer = 0; layer < plan_.shape.layers; ++layer) {
        double sum = 0;
        for (const Counts& counts : slow_) sum += field.of(counts.layers[layer]);
        expect_same(field.name + " by layer", field.layer(layer), std::llround(sum), field.rounding);
      }
    }
    if (of_.joint == nullptr) return;
    expect_same_joint();
    // Nothing is drawn where scores say what stands in for an absent expert. Of a start that is enumerated, step 0
    // alone is looked at: it is column 0 of another one.
    if (of_.cell->depth > 0 && !plan_.sources.score_order.empty()) {
      Weights steps(1, Numbers(cell.depth, enumerates ? 0 : 1));
      steps[0][0] = 1;
      expect_same_touched(steps);
    }
  }

 private:
  /// How many trajectories count this step of this round: [rounds][depth]; all of them where it is empty.
  using Weights = std::vector<Numbers>;

  bool is_main() const { return engine_.stream == Stream::main; }

  /// The engine's number in each block, of all groups of the family.
  template <class Offset>
  Numbers in_blocks(const Offset& offset, bool joint = false) const {
    const GroupLayout& layout = joint ? plan_.shape.joint_groups : plan_.shape.groups;
    const std::size_t first = is_main() ? 0 : layout.groups, last = is_main() ? layout.groups : layout.total();
    Numbers numbers;
    for (const std::vector<std::uint64_t>& block : engine_.blocks) {
      double& sum = numbers.emplace_back(0);
      for (std::size_t g = first; g < last; ++g) sum += static_cast<double>(block[offset(g)]);
    }
    return numbers;
  }
  Numbers one_in_blocks(std::uint64_t offset) const {
    Numbers numbers;
    for (const std::vector<std::uint64_t>& block : engine_.blocks) {
      numbers.push_back(static_cast<double>(block[offset]));
    }
    return numbers;
  }

  // ---- sums of the oracle's counts
  // -----------------------------------------------------------------------------------
  template <class Of>
  static double of_layers(const Counts& counts, const Of& of) {
    double sum = 0;
    for (const LayerCounts& layer : counts.layers) sum += of(layer);
    return sum;
  }
  template <class Of>
  static double of_steps(const LayerCounts& layer, const Of& of, const Weights& weights) {
    double sum = 0;
    for (std::size_t round = 0; round < layer.draft.size(); ++round) {
      for (std::size_t step = 0; step < layer.draft[round].size(); ++step) {
        sum += of(layer.draft[round][step]) * (weights.empty() ? 1 : weights[round][step]);
      }
    }
    return sum;
  }
  template <class Key>
  static double passes_of(const std::map<Key, std::int64_t>& passes, const Key& key) {
    const auto found = passes.find(key);
    return found == passes.end() ? 0 : static_cast<double>(found->second);
  }

  // ---- comparisons
  // ---------------------------------------------------------------------------------------------------
  /// Per round.
  template <class Of>
  void compare(const std::string& name, const Numbers& own, const Of& of, double rounding = 0) {
    Grouped slow;
    for (const Counts& counts : slow_) {
      slow.count.push_back(of(counts));
      slow.per.push_back(static_cast<double>(counts.rounds));
    }
    deviations_.add({own, rounds_}, slow, describe(name), std::max(1e-12, rounding));
  }

  /// Per trajectory.
  template <class Of>
  void compare_by_trajectory(const std::string& name, const Numbers& own, const Of& of) {
    const auto all = static_cast<double>(engine_.trajectories);
    Grouped slow;
    for (const Counts& counts : slow_) slow.count.push_back(of(counts));
    slow.per.assign(slow_.size(), all / static_cast<double>(slow_.size()));
    deviations_.add({own, Numbers(own.size(), all / static_cast<double>(own.size()))}, slow, describe(name));
  }

  std::string describe(const std::string& what) const { return name_ + ": " + what; }

  void compare_layers(const Field& field) {
    const Numbers all = in_blocks(field.group);
    double sum = std::accumulate(all.begin(), all.end(), 0.0);
    for (std::uint32_t layer = 0; layer < plan_.shape.layers; ++layer) {
      const Numbers own = one_in_blocks(field.layer(layer));
      sum -= std::accumulate(own.begin(), own.end(), 0.0);
      compare(
          fmt::format("{} in layer {}", field.name, layer), own,
          [&](const Counts& counts) { return field.of(counts.layers[layer]); }, field.rounding);
    }
    EXPECT_EQ(sum, 0) << describe(field.name) << ": layers and groups have different sums";
  }

  void compare_distinct() {
    const std::uint32_t most = plan_.shape.experts;
    for (std::uint32_t layer = 0; layer < plan_.shape.layers; ++layer) {
      for (std::uint32_t size = 0; size <= most; ++size) {
        const Numbers own = one_in_blocks(of_.cell->distinct + std::uint64_t{layer} * (most + 1) + size);
        const auto of = [&](const Counts& counts) {
          return passes_of(counts.layers[layer].distinct_passes, static_cast<int>(size));
        };
        const bool never = std::all_of(own.begin(), own.end(), [](double count) { return count == 0; }) &&
                           std::all_of(slow_.begin(), slow_.end(), [&](const Counts& c) { return of(c) == 0; });
        if (!never) compare(fmt::format("passes of {} distinct in layer {}", size, layer), own, of);
      }
    }
  }

  /// Engines sample draft steps, one of each round, and in few rounds the gate mass and what is touched: the oracle's
  /// steps count as often as the trajectories of the engine count them.
  Weights step_weights(bool few_rounds) const {
    const Plan& plan = plan_;
    Weights weights(plan.rounds, Numbers(of_.cell->depth, 0));
    for (std::uint64_t number = 0; number < engine_.trajectories; ++number) {
      for (std::uint32_t round = 0; round < plan.rounds; ++round) {
        if (few_rounds && !counts_touched(number, plan.warmup + round)) continue;
        weights[round][counted_step(number, plan.warmup + round, of_.cell->depth)] +=
            1 / static_cast<double>(engine_.trajectories);
      }
    }
    return weights;
  }

  void compare_drafts() {
    const Weights all_rounds = step_weights(false), few_rounds = step_weights(true);
    for (const DraftField& field : draft_fields(plan_, of_)) {
      compare_by_trajectory(field.name, in_blocks(field.group), [&](const Counts& counts) {
        return of_layers(counts, [&](const LayerCounts& layer) {
          return of_steps(layer, field.of, field.rounded ? few_rounds : all_rounds);
        });
      });
    }
    if (of_.joint == nullptr) return;
    for (int which = 0; which < classes(); ++which) {
      for (std::uint32_t size = 0; size < of_.joint->rows; ++size) {
        compare_by_trajectory(fmt::format("draft steps that touch {}", size), touched_in_blocks(which, size),
                              [&](const Counts& counts) { return touched(counts, which, size, few_rounds); });
      }
    }
  }

  // ---- joint histograms, [classes][groups][hits][misses]
  // -------------------------------------------------------------
  int classes() const { return 2 * static_cast<int>(plan_.shape.ranges.count); }
  std::uint64_t joint_row(int which, std::size_t g) const {
    return static_cast<std::uint64_t>(which) * plan_.shape.joint_groups.total() + g;
  }
  Numbers touched_in_blocks(int which, std::uint32_t size) const {
    return in_blocks([&](std::size_t g) { return of_.joint->draft + joint_row(which, g) * of_.joint->rows + size; },
                     true);
  }
  Numbers passes_in_blocks(int which, std::uint32_t hits, std::uint32_t misses) const {
    return in_blocks(
        [&](std::size_t g) {
          return of_.joint->verify + (joint_row(which, g) * of_.joint->rows + hits) * of_.joint->columns + misses;
        },
        true);
  }
  /// A sum over the layers of a class.
  template <class Of>
  double of_class(const Counts& counts, int which, const Of& of) const {
    double sum = 0;
    for (std::uint32_t layer = 0; layer < counts.layers.size(); ++layer) {
      int own = layer < of_.extra_layers ? 0 : 1;  // the class; two more for each range that begins up to here
      for (std::uint32_t range = 1; range < plan_.shape.ranges.count; ++range) {
        if (layer >= plan_.shape.ranges.first[range]) own += 2;
      }
      if (own == which) sum += of(counts.layers[layer]);
    }
    return sum;
  }
  double touched(const Counts& counts, int which, std::uint32_t size, const Weights& weights) const {
    return of_class(counts, which, [&](const LayerCounts& layer) {
      return of_steps(
          layer, [&](const DraftCounts& step) { return passes_of(step.touched, static_cast<int>(size)); }, weights);
    });
  }
  double passes(const Counts& counts, int which, std::uint32_t hits, std::uint32_t misses) const {
    const std::pair<int, int> key{static_cast<int>(hits), static_cast<int>(misses)};
    return of_class(counts, which, [&](const LayerCounts& layer) { return passes_of(layer.hits_and_misses, key); });
  }

  template <class Use>
  void for_each_joint(const Use& use) const {
    for (int which = 0; which < classes(); ++which) {
      for (std::uint32_t hits = 0; hits < of_.joint->rows; ++hits) {
        for (std::uint32_t misses = 0; misses < of_.joint->columns; ++misses) use(which, hits, misses);
      }
    }
  }

  void compare_joint() {
    for_each_joint([&](int which, std::uint32_t hits, std::uint32_t misses) {
      compare(fmt::format("passes of {} hits and {} misses", hits, misses), passes_in_blocks(which, hits, misses),
              [&](const Counts& counts) { return passes(counts, which, hits, misses); });
    });
  }

  void expect_same_joint() {
    const auto sum = [&](const auto& of) { return std::accumulate(slow_.begin(), slow_.end(), 0.0, of); };
    for_each_joint([&](int which, std::uint32_t hits, std::uint32_t misses) {
      expect_sum(
          "hits and misses", passes_in_blocks(which, hits, misses),
          sum([&](double before, const Counts& counts) { return before + passes(counts, which, hits, misses); }));
    });
  }

  void expect_same_touched(const Weights& weights) {
    for (int which = 0; which < classes(); ++which) {
      for (std::uint32_t size = 0; size < of_.joint->rows; ++size) {
        double sum = 0;
        for (const Counts& counts : slow_) sum += touched(counts, which, size, weights);
        expect_sum("draft steps by what they touch", touched_in_blocks(which, size), sum);
      }
    }
  }

  // ---- exact counts
  // --------------------------------------------------------------------------------------------------
  void expect_same(const std::string& name, std::uint64_t offset, std::int64_t expected, double tolerance = 0) {
    ++deviations_.comparisons;
    EXPECT_NEAR(static_cast<double>(engine_.blocks.front()[offset]), static_cast<double>(expected),
                tolerance * static_cast<double>(expected))
        << describe(name);
  }
  void expect_sum(const std::string& name, const Numbers& numbers, double expected) {
    ++deviations_.comparisons;
    EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), 0.0), expected) << describe(name);
  }

  const Plan& plan_;
  const PointOf& of_;
  const Engine& engine_;
  const std::vector<Counts>& slow_;
  const std::string& name_;
  Deviations& deviations_;
  Numbers rounds_;  // of the engine, in blocks
};

}  // namespace

PointOf::PointOf(const Plan& plan, std::size_t cell_index, std::uint32_t point_number)
    : cell(&plan.layout.cells[cell_index]), number(point_number) {
  const CellShape& shape = plan.shape.cells[cell_index];
  const Capacity& capacity = shape.capacities[number % shape.capacities.size()];
  point.batch = static_cast<int>(shape.batch);
  point.depth = static_cast<int>(shape.depth);
  point.policy = shape.policies[number / shape.capacities.size()];
  if (plan.shape.scope == Scope::pool) {
    point.slots = {static_cast<int>(capacity.total(plan.shape.layers))};
  } else {
    for (std::uint32_t layer = 0; layer < plan.shape.layers; ++layer) {
      point.slots.push_back(static_cast<int>(capacity.at(layer)));
    }
  }
  point.bits = static_cast<int>(shape.bits);
  point.demand = shape.demand.label;
  point.independent = shape.acceptance.independent;
  point.fresh = plan.walk == Walk::samples && !cell->apart;
  const std::uint32_t index = plan.layout.joint_index[cell->first_joint + number];
  if (index != kNoJoint) joint = &plan.layout.joints[index];
  point.joint = joint != nullptr;
  extra_layers = capacity.extra_layers;
}

void compare_means(const Counted& counted, Deviations& deviations) {
  Comparison(counted, deviations).means();
}

void expect_same_counts(const Counted& counted, const std::function<std::size_t(std::size_t)>& sequence_of,
                        Deviations& deviations) {
  Comparison(counted, deviations).expect_same(sequence_of);
}

}  // namespace moecarlo::testing
