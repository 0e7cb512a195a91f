#include <gtest/gtest.h>

#include <cmath>

#include "host/study/acceptance.hpp"
#include "tests/oracle/trace.hpp"
#include "tests/simulate/simulated.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;
using oracle::common;
using oracle::either;
using oracle::Experts;
using oracle::without;

Study exhaustive_study() {
  Study study = small_study();
  study.mode = Mode::exhaustive;
  study.grid.batch = {1};
  study.grid.depth = {0, 1, 4};
  study.grid.policy = {Policy::static_residents};
  study.grid.capacity = {3, 7};
  return study;
}

Experts experts_at(const RoutingTable& table, std::uint32_t token, std::uint32_t layer) {
  Experts experts;
  const auto mask = table.view().mask<1>(token, layer);
  for (std::uint32_t e = 0; e < table.experts; ++e) {
    if (mask.contains(e)) experts.insert(static_cast<int>(e));
  }
  return experts;
}

/// Sums over all starts of all evaluation sequences and all layers, by brute force.
struct BruteForce {
  double starts = 0, distinct = 0, hits = 0, draft_hits = 0;
  std::vector<double> accepted_distinct, rejected_only;  // [accepted length]

  BruteForce(const RoutingTable& table, std::uint32_t depth, std::uint32_t capacity)
      : accepted_distinct(depth + 1, 0.0), rejected_only(depth + 1, 0.0) {
    for (const std::uint32_t s : table.split.evaluation) {
      const Sequence& sequence = table.sequences[s];
      for (std::uint32_t start = 0; start + depth < sequence.length; ++start) {
        ++starts;
        for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
          add(table, sequence.first + start, depth, capacity, layer);
        }
      }
    }
  }

 private:
  void add(const RoutingTable& table, std::uint32_t token, std::uint32_t depth, std::uint32_t capacity,
           std::uint32_t layer) {
    Experts residents, all;
    for (std::uint32_t e = 0; e < capacity; ++e) residents.insert(e);
    for (std::uint32_t c = 0; c <= depth; ++c) all = either(all, experts_at(table, token + c, layer));
    distinct += static_cast<double>(all.size());
    hits += static_cast<double>(common(all, residents).size());
    for (std::uint32_t c = 0; c < depth; ++c) {
      draft_hits += static_cast<double>(common(experts_at(table, token + c, layer), residents).size());
    }
    Experts kept;
    for (std::uint32_t a = 0; a <= depth; ++a) {
      kept = either(kept, experts_at(table, token + a, layer));
      accepted_distinct[a] += static_cast<double>(kept.size());
      rejected_only[a] += static_cast<double>(without(without(all, kept), residents).size());
    }
  }
};

TEST(Exhaustive, equals_brute_force_over_all_starts) {
  for (const std::uint32_t seed : {1U, 2U, 3U}) {
    TableSpec spec;
    spec.lengths = {12, 3, 9, 1, 20, 5};
    spec.calibrating = seed == 1 ? 0 : 2;
    spec.layers = 3;
    spec.skew = 1;
    spec.seed = seed;
    const RoutingTable table = random_table(spec);
    const Study study = exhaustive_study();
    const Tallies tallies = simulate(study, table, 0);
    for (std::size_t c = 0; c < tallies.layout.cells.size(); ++c) {
      const Cell& cell = tallies.layout.cells[c];
      for (std::uint32_t k = 0; k < cell.capacity_count; ++k) {
        const BruteForce truth(table, cell.depth, study.grid.capacity[k]);
        const auto by_group = [&](std::uint64_t offset, std::uint64_t width, std::uint64_t field) {
          double sum = 0;
          for (std::uint32_t g = 0; g < tallies.shape.groups.total(); ++g)
            sum += sum_of(tallies, offset + g * width + field, 1);
          return sum;
        };
        const std::uint64_t point =
            cell.points_by_group + std::uint64_t{k} * tallies.shape.groups.total() * cell.point_width();
        EXPECT_EQ(sum_of(tallies, cell.rounds, tallies.shape.groups.total()), truth.starts);
        EXPECT_EQ(by_group(cell.unions_by_group, cell.union_width(), 0), truth.distinct);
        EXPECT_EQ(by_group(point, cell.point_width(), kHits), truth.hits);
        EXPECT_EQ(by_group(point, cell.point_width(), kDraftHits), truth.draft_hits);
        for (std::uint32_t a = 0; a <= cell.depth; ++a) {
          EXPECT_EQ(by_group(cell.unions_by_group, cell.union_width(), kDistinctAccepted + a),
                    truth.accepted_distinct[a]);
          EXPECT_EQ(by_group(point, cell.point_width(), kRejectedOnly + a), truth.rejected_only[a]);
        }
      }
    }
  }
}

/// A ratio of sums over the batch-means groups of the main family, and its standard error.
struct Ratio {
  double value = 0, error = 0;
};

template <class Numerator, class Denominator>
Ratio ratio_over_groups(const Tallies& tallies, Numerator&& numerator, Denominator&& denominator) {
  const std::uint32_t groups = tallies.shape.groups.groups;
  double y = 0, x = 0, squares = 0;
  for (std::uint32_t g = 0; g < groups; ++g) {
    y += numerator(g);
    x += denominator(g);
  }
  for (std::uint32_t g = 0; g < groups; ++g) squares += std::pow(numerator(g) - y / x * denominator(g), 2);
  return {y / x, std::sqrt(squares * groups / (groups - 1.0)) / x};
}

constexpr double kStudent95 = 1.998;  // 63 degrees of freedom

TEST(Exhaustive, is_the_limit_of_random_stateless_simulation) {
  const RoutingTable table = small_table();
  Study study = exhaustive_study();
  study.mode = Mode::random;
  study.seed = 12;
  study.acceptance.alpha = 0.7;
  const Tallies sampled = simulate(study, table, 20'000);
  for (std::size_t c = 0; c < sampled.layout.cells.size(); ++c) {
    const Cell& cell = sampled.layout.cells[c];
    const BruteForce truth(table, cell.depth, 3);
    const std::vector<double> law = accepted_length_law(acceptance_thresholds(study.acceptance, cell.depth));
    double expected_accepted = 0, expected_rejected_only = 0;
    for (std::uint32_t a = 0; a <= cell.depth; ++a) {
      expected_accepted += law[a] * truth.accepted_distinct[a] / truth.starts;
      expected_rejected_only += law[a] * truth.rejected_only[a] / truth.starts;
    }
    const auto rounds = [&](std::uint32_t g) { return sum_of(sampled, cell.rounds + g, 1); };
    const auto unions = [&](std::uint32_t field) {
      return [&, field](std::uint32_t g) {
        return sum_of(sampled, cell.unions_by_group + g * cell.union_width() + field, 1);
      };
    };
    const auto point = [&](std::uint32_t field) {
      return [&, field](std::uint32_t g) {
        return sum_of(sampled, cell.points_by_group + g * cell.point_width() + field, 1);
      };
    };
    const auto expect = [&](const Ratio& ratio, double exact, const char* what) {
      EXPECT_NEAR(ratio.value, exact, kStudent95 * ratio.error) << what << ", depth " << cell.depth;
      EXPECT_LE(ratio.error, 0.02 * exact) << what << ": too few trajectories to tell";
    };
    expect(ratio_over_groups(sampled, unions(0), rounds), truth.distinct / truth.starts, "distinct");
    expect(ratio_over_groups(sampled, unions(kDistinctAccepted), rounds), expected_accepted, "accepted");
    expect(ratio_over_groups(sampled, point(kHits), rounds), truth.hits / truth.starts, "hits");
    expect(ratio_over_groups(sampled, point(kRejectedOnly), rounds), expected_rejected_only, "rejected-only");
    if (cell.depth == 0) continue;
    expect(ratio_over_groups(sampled, point(kDraftHits), rounds), truth.draft_hits / truth.starts / cell.depth,
           "draft hits, one step a round");
  }
}

TEST(Exhaustive, static_hit_rate_without_draft_is_the_popularity_mass_of_the_residents) {
  TableSpec spec;
  spec.skew = 0.8;
  spec.layers = 4;
  const RoutingTable table = random_table(spec);  // all sequences both calibrate and count
  Study study = exhaustive_study();
  study.grid.depth = {0};
  study.grid.capacity = {1, 2, 3, 5, 8, 13, 16};
  const Tallies tallies = simulate(study, table, 0);
  for (std::uint32_t layer = 0; layer < table.layers; ++layer) {
    for (std::uint32_t c = 0; c < study.grid.capacity.size(); ++c) {
      const std::uint32_t* popularity = &table.popularity[std::size_t{layer} * table.experts];
      double mass = 0;
      for (std::uint32_t rank = 0; rank < study.grid.capacity[c]; ++rank) mass += popularity[rank];
      const Totals totals = layer_totals(tallies, 0, 0, c, layer);
      EXPECT_EQ(totals.hits, mass);
      EXPECT_EQ(totals.distinct, table.tokens * table.top_k);
    }
  }
}

}  // namespace
}  // namespace moecarlo
