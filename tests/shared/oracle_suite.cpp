#include "tests/shared/oracle_suite.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/core/draft.hpp"
#include "host/simulate/sources.hpp"
#include "host/study/names.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/score_order.hpp"
#include "tests/oracle/simulate.hpp"
#include "tests/shared/dice.hpp"
#include "tests/shared/random_study.hpp"

namespace moecarlo::testing {
namespace {

using oracle::Counts;
using oracle::DraftCounts;
using oracle::LayerCounts;
using Numbers = std::vector<double>;

constexpr int kPoints = 3;         // design points of a study that the oracle simulates
constexpr double kWork = 100'000;  // columns x layers of one of them, at scale 1

/// A study with its trace as the program reads it.
struct Prepared {
  RandomStudy random;
  RoutingTable table;
  Plan plan;

  explicit Prepared(std::uint32_t number) : random(random_study(number)) {
    const auto file = std::filesystem::temp_directory_path() /
                      fmt::format("moecarlo-oracle-{}-{}.h5", static_cast<long>(getpid()), number);
    write_trace(random.trace, file);
    TableOptions options;
    options.calibration_share = random.study.calibration;
    options.threads = 1;
    const auto evaluated = [](const std::vector<std::uint32_t>& sequences) {
      return std::vector<int>(sequences.begin(), sequences.end());
    };
    try {
      table = build_routing_table(file, options);
      random.study.trace = file;
      random.study.run.threads = 1;
      TraceSources sources = load_sources(random.study, table);
      if (!random.trace.logit.empty() && !random.implied.empty() && random.study.mode != Mode::perturbed &&
          random.study.draft.replacements == Replacements::scores) {
        sources.score_order = read_score_order(file, table);
      }
      if (random.study.cache.objects == Objects::slices) table = with_slices(std::move(table));
      plan =
          make_plan(random.study, make_grid(random.study, random.implied, {table.layers}), table, std::move(sources));
    } catch (...) {
      std::filesystem::remove(file);
      throw;
    }
    std::filesystem::remove(file);
    random.trace.calibration = evaluated(table.split.calibration);
    random.trace.evaluation = evaluated(table.split.evaluation);
  }

  bool counts_mass() const { return !plan.sources.gate_mass.empty() && random.study.mode != Mode::perturbed; }
};

/// One design point of a cell, as engine and oracle name it.
struct PointOf {
  const Cell* cell = nullptr;
  std::uint32_t number = 0;  ///< among the cell's points
  const JointTally* joint = nullptr;
  std::uint32_t extra_layers = 0;
  oracle::Point point;

  PointOf(const Plan& plan, std::size_t cell_index, std::uint32_t point_number)
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
    point.independent = shape.acceptance.independent;
    point.fresh = plan.walk == Walk::samples && !cell->apart;
    const std::uint32_t index = plan.layout.joint_index[cell->first_joint + number];
    if (index != kNoJoint) joint = &plan.layout.joints[index];
    point.joint = joint != nullptr;
    extra_layers = capacity.extra_layers;
  }
};

/// Numbers of one kind in each group, and what they are counted per.
struct Grouped {
  Numbers count, per;

  double total() const { return std::accumulate(count.begin(), count.end(), 0.0); }
  double ratio() const {
    const double all = std::accumulate(per.begin(), per.end(), 0.0);
    return all > 0 ? total() / all : 0;
  }
  /// Of the ratio, by its residuals.
  double variance() const {
    const double r = ratio(), all = std::accumulate(per.begin(), per.end(), 0.0);
    double sum = 0;
    for (std::size_t g = 0; g < count.size(); ++g) sum += std::pow(count[g] - r * per[g], 2);
    const auto groups = static_cast<double>(count.size());
    return all > 0 ? sum * groups / (groups - 1) / all / all : 0;
  }
};

/// The normal deviate that is as unlikely as Student's t with so many degrees of freedom (Wallace 1959).
double normal_deviate(double t, double degrees) {
  return (8 * degrees + 1) / (8 * degrees + 3) * std::sqrt(degrees * std::log1p(t * t / degrees));
}

/// What an engine counted: in blocks of trajectories, as many in each.
struct Engine {
  std::vector<std::vector<std::uint64_t>> blocks;
  Stream stream = Stream::main;
  std::uint64_t trajectories = 0;
};

/// All comparisons of one design point in one family of trajectories.
class Comparison {
 public:
  Comparison(const Prepared& prepared, const PointOf& of, const Engine& engine, const std::vector<Counts>& slow,
             Deviations& deviations)
      : prepared_(prepared), of_(of), engine_(engine), slow_(slow), deviations_(deviations) {}

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
    for (const Field& field : layer_fields()) {
      compare(field.name, in_blocks(field.group), [&](const Counts& counts) { return of_layers(counts, field.of); });
      if (is_main()) compare_layers(field);
    }
    if (is_main()) compare_distinct();
    if (cell.depth > 0) compare_drafts();
    if (of_.joint != nullptr) compare_joint();
  }

  /// Every count is the same in each sequence: group `g` of the engine is number of_group(g) of the oracle's.
  template <class OfGroup>
  void expect_same_counts(const OfGroup& of_group) {
    const Cell& cell = *of_.cell;
    const bool enumerates = prepared_.plan.walk == Walk::enumerate;
    for (std::size_t g = 0; g < slow_.size(); ++g) {
      const Counts& counts = slow_[of_group(g)];
      expect_same("rounds", cell.rounds + g, counts.rounds);
      for (std::uint32_t a = 0; a <= cell.depth && !enumerates; ++a) {
        expect_same("accepted", cell.accepted + g * (cell.depth + 1) + a, counts.accepted[a]);
      }
      if (!enumerates) expect_same("drafted", cell.drafted + g, counts.drafted);
      for (const Field& field : layer_fields()) {
        expect_same(field.name, field.group(g), std::llround(of_layers(counts, field.of)));
      }
      for (const DraftField& field : draft_fields()) {
        const auto all = [&](const LayerCounts& layer) { return of_steps(layer, field.of, {}); };
        expect_same(field.name, field.group(g), std::llround(of_layers(counts, all)), field.rounded ? 1e-4 : 0);
      }
    }
    for (const Field& field : layer_fields()) {
      for (std::uint32_t layer = 0; layer < prepared_.plan.shape.layers; ++layer) {
        double sum = 0;
        for (const Counts& counts : slow_) sum += field.of(counts.layers[layer]);
        expect_same(field.name + " by layer", field.layer(layer), std::llround(sum));
      }
    }
    if (of_.joint != nullptr) expect_same_joint();
  }

 private:
  /// A number of each layer: its name, where the engine keeps it, and the oracle's.
  struct Field {
    std::string name;
    std::function<std::uint64_t(std::size_t)> group, layer;
    std::function<double(const LayerCounts&)> of;
  };
  /// The same of draft steps.
  struct DraftField {
    std::string name;
    std::function<std::uint64_t(std::size_t)> group;
    std::function<double(const DraftCounts&)> of;
    bool rounded = false;  ///< its parts are rounded from floating-point numbers; engines count it in few rounds
  };
  /// How many trajectories count this step of this round: [rounds][depth]; all of them where it is empty.
  using Weights = std::vector<Numbers>;

  bool is_main() const { return engine_.stream == Stream::main; }

  // ---- where the engine keeps its counts
  // -----------------------------------------------------------------------------
  std::function<std::uint64_t(std::size_t)> union_group(std::uint32_t index) const {
    return [&cell = *of_.cell, index](std::size_t g) { return cell.unions_by_group + g * cell.union_width() + index; };
  }
  std::function<std::uint64_t(std::size_t)> union_layer(std::uint32_t index) const {
    return [&cell = *of_.cell, index](std::size_t layer) {
      return cell.unions_by_layer + layer * cell.union_width() + index;
    };
  }
  std::function<std::uint64_t(std::size_t)> point_group(std::uint32_t index) const {
    const std::uint64_t first = of_.number * std::uint64_t{prepared_.plan.shape.groups.total()};
    return [&cell = *of_.cell, index, first](std::size_t g) {
      return cell.points_by_group + (first + g) * cell.point_width() + index;
    };
  }
  std::function<std::uint64_t(std::size_t)> point_layer(std::uint32_t index) const {
    const std::uint64_t first = of_.number * std::uint64_t{prepared_.plan.shape.layers};
    return [&cell = *of_.cell, index, first](std::size_t layer) {
      return cell.points_by_layer + (first + layer) * cell.point_width() + index;
    };
  }

  std::vector<Field> layer_fields() const {
    const auto number = [](std::int64_t LayerCounts::*member) {
      return [member](const LayerCounts& layer) { return static_cast<double>(layer.*member); };
    };
    const auto length = [](std::vector<std::int64_t> LayerCounts::*member, std::uint32_t index) {
      return [member, index](const LayerCounts& layer) { return static_cast<double>((layer.*member)[index]); };
    };
    const auto of_point = [&](const std::string& name, std::uint32_t index, const auto& of) {
      return Field{name, point_group(index), point_layer(index), of};
    };
    std::vector<Field> fields = {
        {"distinct", union_group(Cell::kDistinct), union_layer(Cell::kDistinct), number(&LayerCounts::distinct)},
        of_point("hits", Cell::kHits, number(&LayerCounts::hits)),
        of_point("writes", Cell::kCacheWrites, number(&LayerCounts::writes))};
    if (prepared_.plan.shape.slices > 1) {
      fields.push_back(of_point("upper hits", Cell::kUpperHits, number(&LayerCounts::upper_hits)));
    }
    for (std::uint32_t a = 0; a < of_.cell->slices; ++a) {
      fields.push_back({fmt::format("distinct of accepted columns {}", a), union_group(Cell::kDistinctAccepted + a),
                        union_layer(Cell::kDistinctAccepted + a), length(&LayerCounts::distinct_accepted, a)});
      fields.push_back(of_point(fmt::format("rejected only {}", a), Cell::kRejectedOnly + a,
                                length(&LayerCounts::rejected_only, a)));
    }
    return fields;
  }

  std::vector<DraftField> draft_fields() const {
    if (of_.cell->depth == 0) return {};
    const auto number = [](std::int64_t DraftCounts::*member) {
      return [member](const DraftCounts& step) { return static_cast<double>(step.*member); };
    };
    std::vector<DraftField> fields = {
        {"draft choices", union_group(Cell::kDraftChoices), number(&DraftCounts::choices)},
        {"draft hits", point_group(Cell::kDraftHits), number(&DraftCounts::hits)}};
    if (!prepared_.counts_mass()) return fields;
    fields.push_back({"draft mass", union_group(Cell::kDraftMass), number(&DraftCounts::mass), true});
    fields.push_back({"resident mass", point_group(Cell::kResidentMass), number(&DraftCounts::resident_mass), true});
    return fields;
  }

  /// The engine's number in each block, of all groups of the family.
  template <class Offset>
  Numbers in_blocks(const Offset& offset, bool joint = false) const {
    const GroupLayout& layout = joint ? prepared_.plan.shape.joint_groups : prepared_.plan.shape.groups;
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
  void compare(const std::string& name, const Numbers& own, const Of& of) {
    Grouped slow;
    for (const Counts& counts : slow_) {
      slow.count.push_back(of(counts));
      slow.per.push_back(static_cast<double>(counts.rounds));
    }
    deviate(name, {own, rounds_}, slow);
  }

  /// Per trajectory.
  template <class Of>
  void compare_by_trajectory(const std::string& name, const Numbers& own, const Of& of) {
    const auto all = static_cast<double>(engine_.trajectories);
    Grouped slow;
    for (const Counts& counts : slow_) slow.count.push_back(of(counts));
    slow.per.assign(slow_.size(), all / static_cast<double>(slow_.size()));
    deviate(name, {own, Numbers(own.size(), all / static_cast<double>(own.size()))}, slow);
  }

  void deviate(const std::string& name, const Grouped& own, const Grouped& slow) {
    const double difference = std::abs(own.ratio() - slow.ratio());
    const double per = std::accumulate(slow.per.begin(), slow.per.end(), 0.0);
    if (per == 0 || difference <= 1e-12 * slow.ratio()) return deviations_.add(0, describe(name));
    const double own_variance = own.variance(), slow_variance = slow.variance();
    const double variance = own_variance + slow_variance;
    const double parts = own_variance * own_variance / (static_cast<double>(own.count.size()) - 1) +
                         slow_variance * slow_variance / (static_cast<double>(slow.count.size()) - 1);
    const double degrees = parts > 0 ? variance * variance / parts : 1e9;
    // Of events that are too rare for the groups to know their variance, n happen or not with a deviation of sqrt(n).
    const double floored = std::max(variance, difference / per);
    deviations_.add(normal_deviate(difference / std::sqrt(floored), degrees), describe(name));
  }

  std::string describe(const std::string& name) const {
    return fmt::format("{}: {} of policy {}, batch {}, depth {}, slots {}{}{}", prepared_.random.description, name,
                       to_string(of_.point.policy), of_.point.batch, of_.point.depth, of_.point.slots.front(),
                       of_.point.independent ? ", control" : "", is_main() ? "" : ", replicates");
  }

  void compare_layers(const Field& field) {
    const Numbers all = in_blocks(field.group);
    double sum = std::accumulate(all.begin(), all.end(), 0.0);
    for (std::uint32_t layer = 0; layer < prepared_.plan.shape.layers; ++layer) {
      const Numbers own = one_in_blocks(field.layer(layer));
      sum -= std::accumulate(own.begin(), own.end(), 0.0);
      compare(fmt::format("{} in layer {}", field.name, layer), own,
              [&](const Counts& counts) { return field.of(counts.layers[layer]); });
    }
    EXPECT_EQ(sum, 0) << describe(field.name) << ": layers and groups have different sums";
  }

  void compare_distinct() {
    const std::uint32_t most = prepared_.plan.shape.experts;
    for (std::uint32_t layer = 0; layer < prepared_.plan.shape.layers; ++layer) {
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
    const Plan& plan = prepared_.plan;
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
    for (const DraftField& field : draft_fields()) {
      compare_by_trajectory(field.name, in_blocks(field.group), [&](const Counts& counts) {
        return of_layers(counts, [&](const LayerCounts& layer) {
          return of_steps(layer, field.of, field.rounded ? few_rounds : all_rounds);
        });
      });
    }
    if (of_.joint == nullptr) return;
    for (int which = 0; which < 2; ++which) {
      for (std::uint32_t size = 0; size < of_.joint->rows; ++size) {
        compare_by_trajectory(fmt::format("draft steps that touch {}", size), touched_in_blocks(which, size),
                              [&](const Counts& counts) { return touched(counts, which, size, few_rounds); });
      }
    }
  }

  // ---- joint histograms, [classes][groups][hits][misses]
  // -------------------------------------------------------------
  std::uint64_t joint_row(int which, std::size_t g) const {
    return static_cast<std::uint64_t>(which) * prepared_.plan.shape.joint_groups.total() + g;
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
      if ((layer < of_.extra_layers ? 0 : 1) == which) sum += of(counts.layers[layer]);
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
    for (int which = 0; which < 2; ++which) {
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

  const Prepared& prepared_;
  const PointOf& of_;
  const Engine& engine_;
  const std::vector<Counts>& slow_;
  Deviations& deviations_;
  Numbers rounds_;  // of the engine, in blocks
};

/// Multiples of 64 so that all groups are alike.
int trajectories_of(const Prepared& prepared, double scale) {
  const Plan& plan = prepared.plan;
  double most = 1;
  for (const Cell& cell : plan.layout.cells) {
    most = std::max(most, static_cast<double>(cell.batch) * cell.columns() * (plan.rounds + plan.warmup));
  }
  const double objects = prepared.table.experts * (plan.shape.scope == Scope::pool ? prepared.table.layers : 1);
  const double wanted = scale * kWork / (most * prepared.table.layers * (1 + objects / 32));
  return 64 * std::max(4, static_cast<int>(wanted / 64));
}

/// Sequences of each population that the replicates draw from.
std::vector<std::vector<int>> populations_of(const Prepared& prepared, const Cell& cell) {
  const Plan& plan = prepared.plan;
  std::vector<std::vector<int>> populations;
  for (std::uint32_t p = 1; p <= plan.shape.groups.populations; ++p) {
    const std::uint32_t first = plan.start_tables[cell.first_start + p].first_entry;
    const std::size_t last = p < plan.shape.groups.populations ? plan.start_tables[cell.first_start + p + 1].first_entry
                                                               : plan.entries.size();
    std::vector<int>& population = populations.emplace_back();
    for (std::size_t entry = first; entry < last; ++entry) {
      population.push_back(prepared.random.trace.sequence_of(static_cast<int>(plan.entries[entry].first)));
    }
  }
  return populations;
}

std::vector<std::uint64_t> counters_of(const Prepared& prepared, const Simulate& way, const TrajectoryRange& range) {
  std::vector<std::uint64_t> counters(prepared.plan.layout.size, 0);
  way(prepared.table, prepared.plan, range, counters);
  return counters;
}

/// One block where the number of trajectories is not for us to choose.
Engine run_engine(const Prepared& prepared, const Simulate& way, Stream stream, int trajectories) {
  const Plan& plan = prepared.plan;
  Engine engine{{}, stream, plan.trajectories(static_cast<std::uint64_t>(trajectories))};
  const bool fixed = plan.walk == Walk::enumerate || plan.walk == Walk::replay;
  const std::uint64_t blocks = fixed ? 1 : plan.layout.size > 100'000 ? 16 : 64;
  for (std::uint64_t b = 0; b < blocks; ++b) {
    const std::uint64_t first = engine.trajectories * b / blocks, last = engine.trajectories * (b + 1) / blocks;
    engine.blocks.push_back(counters_of(prepared, way, {stream, first, last}));
  }
  return engine;
}

void expect_same_integers(const Prepared& prepared, const std::vector<Simulate>& ways, Stream stream) {
  const std::uint64_t count = std::min<std::uint64_t>(40, prepared.plan.trajectories(40));
  const std::vector<std::uint64_t> first = counters_of(prepared, ways.front(), {stream, 0, count});
  for (std::size_t way = 1; way < ways.size(); ++way) {
    EXPECT_EQ(first == counters_of(prepared, ways[way], {stream, 0, count}), true)
        << prepared.random.description << ": way " << way << " adds other integers";
  }
}

}  // namespace

void Deviations::add(double deviate, const std::string& name) {
  ++comparisons;
  sum_of_squares += deviate * deviate;
  if (std::abs(deviate) <= largest) return;
  largest = std::abs(deviate);
  where = name;
}

void compare_with_oracle(std::uint32_t number, const std::vector<Simulate>& ways, double scale,
                         Deviations& deviations) {
  const Prepared prepared(number);
  const Plan& plan = prepared.plan;
  const oracle::RankedTrace trace(prepared.random.trace);
  const std::vector<int>& evaluation = prepared.random.trace.evaluation;
  const bool has_replicates = plan.shape.groups.replicates > 0;
  expect_same_integers(prepared, ways, Stream::main);
  if (has_replicates) expect_same_integers(prepared, ways, Stream::replicates);

  const int trajectories = trajectories_of(prepared, scale);
  const Engine main = run_engine(prepared, ways.front(), Stream::main, trajectories);
  Dice dice(number);
  for (int i = 0; i < kPoints; ++i) {
    const auto cell = dice.below(static_cast<std::uint32_t>(plan.layout.cells.size()));
    const PointOf of(plan, cell, dice.below(plan.layout.cells[cell].points()));
    const auto compare = [&](const Engine& engine, const std::vector<Counts>& slow) {
      return Comparison(prepared, of, engine, slow, deviations);
    };
    if (plan.walk == Walk::enumerate) {
      compare(main, oracle::enumerate(trace, prepared.random.study, of.point)).expect_same_counts([&](std::size_t g) {
        const int sequence = prepared.random.trace.sequence_of(static_cast<int>(plan.entries[g].first));
        return static_cast<std::size_t>(std::find(evaluation.begin(), evaluation.end(), sequence) - evaluation.begin());
      });
      continue;
    }
    if (plan.walk == Walk::replay) {
      compare(main, oracle::replay(trace, prepared.random.study, of.point)).expect_same_counts([](std::size_t g) {
        return g;
      });
      continue;
    }
    const auto simulate = [&](const std::vector<std::vector<int>>& populations, std::uint64_t part) {
      const std::uint64_t seed = 1'000'000 + 100 * std::uint64_t{number} + 2 * static_cast<std::uint64_t>(i) + part;
      return oracle::simulate(trace, prepared.random.study, of.point, populations, trajectories, seed);
    };
    compare(main, simulate({evaluation}, 0)).means();
    if (i > 0 || !has_replicates) continue;
    const Engine replicates = run_engine(prepared, ways.front(), Stream::replicates, trajectories);
    compare(replicates, simulate(populations_of(prepared, plan.layout.cells[cell]), 1)).means();
  }
}

double largest_deviate(std::size_t comparisons, double probability) {
  const double each = probability / 2 / static_cast<double>(comparisons);
  double low = 0, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (std::erfc(middle / std::sqrt(2)) / 2 > each ? low : high) = middle;
  }
  return high;
}

}  // namespace moecarlo::testing
