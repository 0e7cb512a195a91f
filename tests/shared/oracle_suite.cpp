#include "tests/shared/oracle_suite.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/simulate/sources.hpp"
#include "host/trace/routing_table_builder.hpp"
#include "host/trace/score_order.hpp"
#include "tests/oracle/simulate.hpp"
#include "tests/shared/dice.hpp"
#include "tests/shared/random_study.hpp"

namespace moecarlo::testing {
namespace {

using oracle::Counts;
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

/// All comparisons of one design point in one family of trajectories.
class Comparison {
 public:
  Comparison(const Prepared& prepared, const PointOf& of, const std::vector<std::uint64_t>& engine,
             const std::vector<Counts>& slow, Stream stream, Deviations& deviations)
      : prepared_(prepared), of_(of), engine_(engine), slow_(slow), stream_(stream), deviations_(deviations) {}

  void means() {
    const auto rounds = [](const Counts& counts) { return static_cast<double>(counts.rounds); };
    const Numbers own_rounds = by_group([&](std::size_t g) { return of_.cell->rounds + g; });
    const auto compare_to_rounds = [&](const std::string& name, const Numbers& own, const auto& of_slow) {
      compare(name, {own, own_rounds}, slow_numbers(of_slow, rounds));
    };
    const Cell& cell = *of_.cell;
    for (std::uint32_t a = 0; a <= cell.depth; ++a) {
      compare_to_rounds(fmt::format("accepted length {}", a),
                        by_group([&](std::size_t g) { return cell.accepted + g * (cell.depth + 1) + a; }),
                        [&](const Counts& counts) { return static_cast<double>(counts.accepted[a]); });
    }
    compare_to_rounds("drafted", by_group([&](std::size_t g) { return cell.drafted + g; }),
                      [](const Counts& counts) { return static_cast<double>(counts.drafted); });
    for (const auto& field : layer_fields()) {
      const auto of_all = [&](const Counts& counts) { return sum_of_layers(counts, field.of); };
      compare_to_rounds(field.name, numbers_of(field), of_all);
      if (stream_ == Stream::main) compare_layers(field, own_rounds, rounds);
    }
    draft_means(own_rounds, rounds);
    if (stream_ == Stream::main) compare_distinct(own_rounds, rounds);
    if (of_.joint != nullptr) compare_joint();
  }

  /// Every count is the same, in each sequence: number `group` of the engine's is sequence of_group(group).
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
      for (const auto& field : layer_fields()) {
        expect_same(field.name, field.group(g), std::llround(sum_of_layers(counts, field.of)));
      }
      for (const auto& field : draft_fields()) {
        expect_same(field.name, field.group(g), std::llround(sum_of_layers(counts, field.of)),
                    field.rounded ? 1e-4 : 0);
      }
    }
    for (std::uint32_t layer = 0; layer < prepared_.plan.shape.layers; ++layer) {
      for (const auto& field : layer_fields()) {
        double sum = 0;
        for (const Counts& counts : slow_) sum += field.of(counts.layers[layer]);
        expect_same(field.name + " by layer", field.layer(layer), std::llround(sum));
      }
    }
    if (of_.joint == nullptr) return;
    for (int which = 0; which < 2; ++which) {
      for (std::uint32_t hits = 0; hits < of_.joint->rows; ++hits) {
        for (std::uint32_t misses = 0; misses < of_.joint->columns; ++misses) {
          expect_sum("hits and misses", joint_cells(which, hits, misses), slow_joint(which, hits, misses));
        }
      }
    }
  }

 private:
  /// A number of each layer: its name, where the engine keeps it, and the oracle's.
  struct Field {
    std::string name;
    std::function<std::uint64_t(std::size_t)> group, layer;
    std::function<double(const LayerCounts&)> of;
    bool rounded = false;  ///< its parts are rounded from floating-point numbers
  };

  Field union_field(const std::string& name, std::uint32_t index, std::function<double(const LayerCounts&)> of) const {
    const Cell& cell = *of_.cell;
    return {name, [&cell, index](std::size_t g) { return cell.unions_by_group + g * cell.union_width() + index; },
            [&cell, index](std::size_t layer) { return cell.unions_by_layer + layer * cell.union_width() + index; },
            std::move(of)};
  }
  Field point_field(const std::string& name, std::uint32_t index, std::function<double(const LayerCounts&)> of) const {
    const Cell& cell = *of_.cell;
    const std::uint64_t width = cell.point_width(), groups = prepared_.plan.shape.groups.total();
    const std::uint64_t layers = prepared_.plan.shape.layers, number = of_.number;
    return {name, [=, &cell](std::size_t g) { return cell.points_by_group + (number * groups + g) * width + index; },
            [=, &cell](std::size_t layer) { return cell.points_by_layer + (number * layers + layer) * width + index; },
            std::move(of)};
  }

  std::vector<Field> layer_fields() const {
    const auto number = [](std::int64_t LayerCounts::*member) {
      return [member](const LayerCounts& layer) { return static_cast<double>(layer.*member); };
    };
    const auto length = [](std::vector<std::int64_t> LayerCounts::*member, std::uint32_t index) {
      return [member, index](const LayerCounts& layer) { return static_cast<double>((layer.*member)[index]); };
    };
    std::vector<Field> fields = {union_field("distinct", Cell::kDistinct, number(&LayerCounts::distinct)),
                                 point_field("hits", Cell::kHits, number(&LayerCounts::hits)),
                                 point_field("writes", Cell::kCacheWrites, number(&LayerCounts::writes))};
    if (prepared_.plan.shape.slices > 1) {
      fields.push_back(point_field("upper hits", Cell::kUpperHits, number(&LayerCounts::upper_hits)));
    }
    for (std::uint32_t a = 0; a < of_.cell->slices; ++a) {
      fields.push_back(union_field(fmt::format("distinct of accepted columns {}", a), Cell::kDistinctAccepted + a,
                                   length(&LayerCounts::distinct_accepted, a)));
      fields.push_back(point_field(fmt::format("rejected only {}", a), Cell::kRejectedOnly + a,
                                   length(&LayerCounts::rejected_only, a)));
    }
    return fields;
  }

  std::vector<Field> draft_fields() const {
    if (of_.cell->depth == 0) return {};
    const auto number = [](std::int64_t LayerCounts::*member) {
      return [member](const LayerCounts& layer) { return static_cast<double>(layer.*member); };
    };
    std::vector<Field> fields = {union_field("draft choices", Cell::kDraftChoices, number(&LayerCounts::draft_choices)),
                                 point_field("draft hits", Cell::kDraftHits, number(&LayerCounts::draft_hits))};
    if (!prepared_.counts_mass()) return fields;
    fields.push_back(union_field("draft mass", Cell::kDraftMass, number(&LayerCounts::draft_mass)));
    fields.push_back(point_field("resident mass", Cell::kResidentMass, number(&LayerCounts::resident_mass)));
    fields[2].rounded = fields[3].rounded = true;
    return fields;
  }

  static double sum_of_layers(const Counts& counts, const std::function<double(const LayerCounts&)>& of) {
    double sum = 0;
    for (const LayerCounts& layer : counts.layers) sum += of(layer);
    return sum;
  }

  // ---- where the engine's groups lie -----------------------------------------------------------------------------
  std::size_t groups(const GroupLayout& layout) const {
    return stream_ == Stream::main ? layout.groups : 2 * std::size_t{layout.replicates};
  }
  std::size_t first_group(const GroupLayout& layout) const { return stream_ == Stream::main ? 0 : layout.groups; }

  /// The engine's number in each group. Both halves of a replicate are one group.
  template <class Offset>
  Numbers by_group(const Offset& offset, bool joint = false) const {
    const GroupLayout& layout = joint ? prepared_.plan.shape.joint_groups : prepared_.plan.shape.groups;
    const std::size_t count = groups(layout), first = first_group(layout);
    const std::size_t halves = stream_ == Stream::main ? 1 : 2;
    Numbers numbers(count / halves);
    for (std::size_t g = 0; g < count; ++g) {
      numbers[g / halves] += static_cast<double>(engine_[offset(first + g)]);
    }
    return numbers;
  }
  Numbers numbers_of(const Field& field) const { return by_group(field.group); }

  template <class Of, class Per>
  Grouped slow_numbers(const Of& of, const Per& per) const {
    Grouped numbers;
    for (const Counts& counts : slow_) {
      numbers.count.push_back(of(counts));
      numbers.per.push_back(per(counts));
    }
    return numbers;
  }

  // ---- comparisons -----------------------------------------------------------------------------------------------
  void compare(const std::string& name, const Grouped& own, const Grouped& slow) {
    deviate(name, own.ratio() - slow.ratio(), own.variance(), own.count.size(), slow);
  }

  void deviate(const std::string& name, double difference, double own_variance, std::size_t own_groups,
               const Grouped& slow) {
    difference = std::abs(difference);
    const double per = std::accumulate(slow.per.begin(), slow.per.end(), 0.0), slow_variance = slow.variance();
    if (per == 0 || difference <= 1e-12 * slow.ratio()) return deviations_.add(0, describe(name));
    const double variance = own_variance + slow_variance;
    const double parts = own_variance * own_variance / (static_cast<double>(own_groups) - 1) +
                         slow_variance * slow_variance / (static_cast<double>(slow.count.size()) - 1);
    const double degrees = parts > 0 ? variance * variance / parts : 1e9;
    // Of events that are too rare for the groups to know their variance, n happen or not with a deviation of sqrt(n).
    const double floored = std::max(variance, difference / per);
    deviations_.add(normal_deviate(difference / std::sqrt(floored), degrees), describe(name));
  }

  std::string describe(const std::string& name) const {
    return fmt::format("{}: {} of policy {}, batch {}, depth {}, slots {}{}{}", prepared_.random.description, name,
                       static_cast<int>(of_.point.policy), of_.point.batch, of_.point.depth, of_.point.slots.front(),
                       of_.point.independent ? ", control" : "", stream_ == Stream::main ? "" : ", replicates");
  }

  /// Layers have no groups in the engine: its variance is taken to be the oracle's.
  template <class Per>
  void compare_layers(const Field& field, const Numbers& own_rounds, const Per& rounds) {
    const double all = std::accumulate(own_rounds.begin(), own_rounds.end(), 0.0);
    double sum = 0;
    for (std::uint32_t layer = 0; layer < prepared_.plan.shape.layers; ++layer) {
      const auto own = static_cast<double>(engine_[field.layer(layer)]);
      sum += own;
      const Grouped slow = slow_numbers([&](const Counts& counts) { return field.of(counts.layers[layer]); }, rounds);
      deviate(fmt::format("{} in layer {}", field.name, layer), all > 0 ? own / all - slow.ratio() : 0, slow.variance(),
              slow_.size(), slow);
    }
    const Numbers by_groups = numbers_of(field);
    EXPECT_EQ(sum, std::accumulate(by_groups.begin(), by_groups.end(), 0.0)) << describe(field.name);
  }

  /// Draft steps are sampled: one of each round, and its gate mass in one round of sixteen. So hits are compared per
  /// choice, and resident mass per mass.
  template <class Per>
  void draft_means(const Numbers& own_rounds, const Per& rounds) {
    const std::vector<Field> fields = draft_fields();
    if (fields.empty()) return;
    compare(fields[0].name, {numbers_of(fields[0]), own_rounds},
            slow_numbers([&](const Counts& counts) { return sum_of_layers(counts, fields[0].of) / of_.cell->depth; },
                         rounds));
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2) {
      compare(fields[i + 1].name, {numbers_of(fields[i + 1]), numbers_of(fields[i])},
              slow_numbers([&](const Counts& counts) { return sum_of_layers(counts, fields[i + 1].of); },
                           [&](const Counts& counts) { return sum_of_layers(counts, fields[i].of); }));
    }
  }

  template <class Per>
  void compare_distinct(const Numbers& own_rounds, const Per& rounds) {
    const double all = std::accumulate(own_rounds.begin(), own_rounds.end(), 0.0);
    const std::uint32_t most = prepared_.plan.shape.experts;
    for (std::uint32_t layer = 0; layer < prepared_.plan.shape.layers; ++layer) {
      for (std::uint32_t size = 0; size <= most; ++size) {
        const std::uint64_t offset = of_.cell->distinct + std::uint64_t{layer} * (most + 1) + size;
        const auto own = static_cast<double>(engine_[offset]);
        const Grouped slow = slow_numbers(
            [&](const Counts& counts) {
              const auto& passes = counts.layers[layer].distinct_passes;
              const auto found = passes.find(static_cast<int>(size));
              return found == passes.end() ? 0.0 : static_cast<double>(found->second);
            },
            rounds);
        if (own + slow.total() == 0) continue;
        deviate(fmt::format("passes of {} distinct in layer {}", size, layer), own / all - slow.ratio(),
                slow.variance(), slow_.size(), slow);
      }
    }
  }

  // ---- joint histograms, [classes][groups][hits][misses] ------------------------------------------------------------
  bool in_class(std::uint32_t layer, int which) const { return (layer < of_.extra_layers ? 0 : 1) == which; }
  std::uint64_t joint_row(int which, std::size_t g) const {
    return std::uint64_t(which) * prepared_.plan.shape.joint_groups.total() + g;
  }
  Numbers joint_cells(int which, std::uint32_t hits, std::uint32_t misses) const {
    return by_group(
        [&](std::size_t g) {
          return of_.joint->verify + (joint_row(which, g) * of_.joint->rows + hits) * of_.joint->columns + misses;
        },
        true);
  }
  double slow_joint(const Counts& counts, int which, std::uint32_t hits, std::uint32_t misses) const {
    double sum = 0;
    for (std::uint32_t layer = 0; layer < counts.layers.size(); ++layer) {
      const auto& passes = counts.layers[layer].hits_and_misses;
      const auto found = passes.find({static_cast<int>(hits), static_cast<int>(misses)});
      if (in_class(layer, which) && found != passes.end()) sum += static_cast<double>(found->second);
    }
    return sum;
  }
  double slow_joint(int which, std::uint32_t hits, std::uint32_t misses) const {
    double sum = 0;
    for (const Counts& counts : slow_) sum += slow_joint(counts, which, hits, misses);
    return sum;
  }
  double slow_touched(const Counts& counts, int which, std::uint32_t size) const {
    double sum = 0;
    for (std::uint32_t layer = 0; layer < counts.layers.size(); ++layer) {
      for (const auto& steps : counts.layers[layer].touched) {
        const auto found = steps.find(static_cast<int>(size));
        if (in_class(layer, which) && found != steps.end()) sum += static_cast<double>(found->second);
      }
    }
    return sum;
  }

  static void add_to(Numbers& sum, const Numbers& more) {
    sum.resize(more.size());
    std::transform(sum.begin(), sum.end(), more.begin(), sum.begin(), std::plus<>());
  }

  void compare_joint() {
    for (int which = 0; which < 2; ++which) {
      Numbers passes, steps;
      for (std::uint32_t hits = 0; hits < of_.joint->rows; ++hits) {
        for (std::uint32_t misses = 0; misses < of_.joint->columns; ++misses) {
          add_to(passes, joint_cells(which, hits, misses));
        }
        add_to(steps, touched_cells(which, hits));
      }
      for (std::uint32_t hits = 0; hits < of_.joint->rows; ++hits) {
        for (std::uint32_t misses = 0; misses < of_.joint->columns; ++misses) {
          compare(fmt::format("passes of {} hits and {} misses", hits, misses),
                  {joint_cells(which, hits, misses), passes},
                  slow_numbers([&](const Counts& counts) { return slow_joint(counts, which, hits, misses); },
                               [&](const Counts& counts) { return class_passes(counts, which); }));
        }
        compare(fmt::format("draft steps that touch {}", hits), {touched_cells(which, hits), steps},
                slow_numbers([&](const Counts& counts) { return slow_touched(counts, which, hits); },
                             [&](const Counts& counts) { return class_passes(counts, which) * of_.point.depth; }));
      }
    }
  }
  Numbers touched_cells(int which, std::uint32_t size) const {
    return by_group([&](std::size_t g) { return of_.joint->draft + joint_row(which, g) * of_.joint->rows + size; },
                    true);
  }
  double class_passes(const Counts& counts, int which) const {
    double layers = 0;
    for (std::uint32_t layer = 0; layer < counts.layers.size(); ++layer) layers += in_class(layer, which) ? 1 : 0;
    return layers * static_cast<double>(counts.rounds);
  }

  // ---- exact counts ------------------------------------------------------------------------------------------------
  void expect_same(const std::string& name, std::uint64_t offset, std::int64_t expected, double tolerance = 0) {
    ++deviations_.comparisons;
    EXPECT_NEAR(static_cast<double>(engine_[offset]), static_cast<double>(expected),
                tolerance * static_cast<double>(expected))
        << describe(name);
  }
  void expect_sum(const std::string& name, const Numbers& numbers, double expected) {
    ++deviations_.comparisons;
    EXPECT_EQ(std::accumulate(numbers.begin(), numbers.end(), 0.0), expected) << describe(name);
  }

  const Prepared& prepared_;
  const PointOf& of_;
  const std::vector<std::uint64_t>& engine_;
  const std::vector<Counts>& slow_;
  Stream stream_;
  Deviations& deviations_;
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
  const Study& study = prepared.random.study;
  const oracle::RankedTrace trace(prepared.random.trace);
  const bool has_replicates = plan.shape.groups.replicates > 0;
  expect_same_integers(prepared, ways, Stream::main);
  if (has_replicates) expect_same_integers(prepared, ways, Stream::replicates);

  const auto trajectories = static_cast<std::uint64_t>(trajectories_of(prepared, scale));
  const std::vector<std::uint64_t> main =
      counters_of(prepared, ways.front(), {Stream::main, 0, plan.trajectories(trajectories)});
  std::vector<std::uint64_t> replicates;
  if (has_replicates) replicates = counters_of(prepared, ways.front(), {Stream::replicates, 0, trajectories});
  Dice dice(number);
  for (int i = 0; i < kPoints; ++i) {
    const auto cell = dice.below(static_cast<std::uint32_t>(plan.layout.cells.size()));
    const PointOf of(plan, cell, dice.below(plan.layout.cells[cell].points()));
    if (plan.walk == Walk::enumerate) {
      const std::vector<Counts> slow = oracle::enumerate(trace, study, of.point);
      Comparison(prepared, of, main, slow, Stream::main, deviations).expect_same_counts([&](std::size_t g) {
        const std::vector<int>& sequences = prepared.random.trace.evaluation;
        const int sequence = prepared.random.trace.sequence_of(static_cast<int>(plan.entries[g].first));
        return static_cast<std::size_t>(std::find(sequences.begin(), sequences.end(), sequence) - sequences.begin());
      });
    } else if (plan.walk == Walk::replay) {
      const std::vector<Counts> slow = oracle::replay(trace, study, of.point);
      Comparison(prepared, of, main, slow, Stream::main, deviations).expect_same_counts([](std::size_t g) {
        return g;
      });
    } else {
      const std::uint64_t seed = 1'000'000 + 100 * std::uint64_t{number} + static_cast<std::uint64_t>(i);
      const auto count = static_cast<int>(trajectories);
      const auto slow = oracle::simulate(trace, study, of.point, {prepared.random.trace.evaluation}, count, seed);
      Comparison(prepared, of, main, slow, Stream::main, deviations).means();
      if (i > 0 || !has_replicates) continue;
      const auto drawn =
          oracle::simulate(trace, study, of.point, populations_of(prepared, plan.layout.cells[cell]), count, seed + 50);
      Comparison(prepared, of, replicates, drawn, Stream::replicates, deviations).means();
    }
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
