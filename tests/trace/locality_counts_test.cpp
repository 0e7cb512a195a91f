#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <numeric>
#include <random>
#include <set>

#include "host/trace/locality.hpp"
#include "host/trace/locality_counts.hpp"

namespace moecarlo {
namespace {

/// A small run with a drifting preference, so that experts do come back.
struct SmallRun {
  std::uint32_t top_k = 0, experts = 0;
  std::vector<std::uint16_t> ids;

  LayerRun view() const { return {ids, top_k, experts}; }
};

SmallRun random_run(std::mt19937& random, std::uint32_t tokens, std::uint32_t top_k, std::uint32_t experts) {
  SmallRun run{top_k, experts, {}};
  std::vector<std::uint16_t> order(experts);
  std::iota(order.begin(), order.end(), 0);
  for (std::uint32_t token = 0; token < tokens; ++token) {
    for (std::uint32_t swaps = 0; swaps < top_k; ++swaps)
      std::swap(order[random() % experts], order[random() % experts]);
    run.ids.insert(run.ids.end(), order.begin(), order.begin() + top_k);
  }
  return run;
}

/// Calls body(run) for many random shapes, runs of one token among them.
template <class Body>
void for_small_runs(int cases, Body body) {
  std::mt19937 random(7);
  for (int i = 0; i < cases; ++i) {
    const std::uint32_t experts = 1 + random() % 10, top_k = 1 + random() % experts, tokens = 1 + random() % 14;
    body(random_run(random, tokens, top_k, experts));
  }
}

std::set<std::uint16_t> distinct_in(const LayerRun& run, std::uint64_t first, std::uint64_t count) {
  const auto ids = run.ids.subspan(first * run.top_k, count * run.top_k);
  return {ids.begin(), ids.end()};
}

std::uint64_t hits_at(const std::vector<std::uint64_t>& depth, std::uint32_t capacity) {
  return std::accumulate(depth.begin(), depth.begin() + capacity, std::uint64_t{0});
}

/// Hits of one LRU cache kept as a list, the most recent in front.
std::uint64_t slow_lru_hits(const LayerRun& run, std::uint32_t capacity) {
  std::list<std::uint16_t> cache;
  std::uint64_t hits = 0;
  for (std::uint64_t token = 0; token < run.tokens(); ++token) {
    for (const auto expert : run.at(token)) hits += std::count(cache.begin(), cache.end(), expert) > 0;
    for (const auto expert : run.at(token)) {
      cache.remove(expert);
      cache.push_front(expert);
      if (cache.size() > capacity) cache.pop_back();
    }
  }
  return hits;
}

/// Hits of one cache that counts the uses ahead of every resident afresh at each eviction.
std::uint64_t slow_sch_hits(const LayerRun& run, std::uint32_t m, std::uint32_t capacity) {
  std::list<std::uint16_t> cache;  // the most recent in front
  std::uint64_t hits = 0;
  for (std::uint64_t token = 0; token < run.tokens(); ++token) {
    const auto chosen = run.at(token);
    for (const auto expert : chosen) hits += std::count(cache.begin(), cache.end(), expert) > 0;
    for (std::size_t slot = 0; slot < chosen.size(); ++slot) {
      const auto uses_ahead = [&](std::uint16_t expert) {
        const auto untouched = chosen.subspan(slot + 1);
        auto uses = std::count(untouched.begin(), untouched.end(), expert);
        for (std::uint64_t ahead = token + 1; ahead < std::min(token + m, run.tokens()); ++ahead) {
          uses += std::count(run.at(ahead).begin(), run.at(ahead).end(), expert);
        }
        return uses;
      };
      if (std::count(cache.begin(), cache.end(), chosen[slot]) > 0) {
        cache.remove(chosen[slot]);
      } else if (cache.size() == capacity) {
        // From the least recent on, the first with strictly fewer uses ahead goes.
        const auto victim = std::min_element(cache.rbegin(), cache.rend(), [&](std::uint16_t a, std::uint16_t b) {
          return uses_ahead(a) < uses_ahead(b);
        });
        cache.erase(std::next(victim).base());
      }
      cache.push_front(chosen[slot]);
    }
  }
  return hits;
}

TEST(LocalityCounts, LruDepthsGiveTheHitsOfEveryListOfThatCapacity) {
  for_small_runs(600, [](const SmallRun& run) {
    std::vector<std::uint64_t> depth(run.experts + 1);
    count_lru_depths(run.view(), depth);
    EXPECT_EQ(hits_at(depth, run.experts + 1), run.ids.size());
    for (std::uint32_t capacity = 1; capacity <= run.experts; ++capacity) {
      ASSERT_EQ(hits_at(depth, capacity), slow_lru_hits(run.view(), capacity)) << "capacity " << capacity;
    }
  });
}

TEST(LocalityCounts, OneSchStackGivesTheHitsOfEveryCapacity) {
  for_small_runs(600, [](const SmallRun& run) {
    for (const std::uint32_t m : {1U, 2U, 3U, 5U, 20U}) {
      std::vector<std::uint64_t> depth(run.experts + 1);
      count_sch_depths(run.view(), m, depth);
      EXPECT_EQ(hits_at(depth, run.experts + 1), run.ids.size());
      for (std::uint32_t capacity = 1; capacity <= run.experts; ++capacity) {
        ASSERT_EQ(hits_at(depth, capacity), slow_sch_hits(run.view(), m, capacity)) << "m " << m << " C " << capacity;
      }
    }
  });
}

TEST(LocalityCounts, SegmentUsesAreThoseOfEverySegmentCountedAfresh) {
  for_small_runs(400, [](const SmallRun& run) {
    for (const std::uint32_t m : {1U, 2U, 3U, 7U, 14U}) {
      std::vector<std::uint64_t> pairs(m + 1), slow(m + 1);
      count_segment_uses(run.view(), m, pairs);
      for (std::uint64_t first = 0; first + m <= run.view().tokens(); ++first) {
        const auto segment = run.view().ids.subspan(first * run.top_k, m * run.top_k);
        for (std::uint16_t expert = 0; expert < run.experts; ++expert) {
          ++slow[static_cast<std::size_t>(std::count(segment.begin(), segment.end(), expert))];
        }
      }
      ASSERT_EQ(pairs, slow) << "m " << m;
    }
  });
}

TEST(LocalityCounts, WindowsAndOverlapAreThoseOfExplicitSets) {
  for_small_runs(400, [](const SmallRun& run) {
    const LocalityLengths lengths = {{1, 2, 3, 8}, {}};
    LayerCounts counts(run.experts, lengths);
    const LayerRun view = run.view();
    count_reuse(view, lengths.windows, counts);
    for (std::size_t i = 0; i < lengths.windows.size(); ++i) {
      std::uint64_t distinct = 0;
      for (std::uint64_t first = 0; first + lengths.windows[i] <= view.tokens(); ++first) {
        distinct += distinct_in(view, first, lengths.windows[i]).size();
      }
      ASSERT_EQ(counts.distinct[i], distinct) << "window " << lengths.windows[i];
    }
    std::uint64_t kept = 0;
    for (std::uint64_t token = 1; token < view.tokens(); ++token) {
      const auto before = distinct_in(view, token - 1, 1);
      for (const auto expert : view.at(token)) kept += before.count(expert);
    }
    EXPECT_EQ(counts.kept_from_previous, kept);
    for (std::uint16_t expert = 0; expert < run.experts; ++expert) {
      EXPECT_EQ(counts.choices[expert], std::count(run.ids.begin(), run.ids.end(), expert));
    }
  });
}

TEST(LocalityCounts, SchWithoutAViewOfTheFutureIsLruForOneChoicePerToken) {
  std::mt19937 random(5);
  for (int i = 0; i < 100; ++i) {
    const SmallRun run = random_run(random, 20, 1, 6);
    std::vector<std::uint64_t> sch(run.experts + 1), lru(run.experts + 1);
    count_sch_depths(run.view(), 1, sch);
    count_lru_depths(run.view(), lru);
    EXPECT_EQ(sch, lru);
  }
}

TEST(LocalityCounts, CountsAddUpOverRuns) {
  std::mt19937 random(11);
  const LocalityLengths lengths = {{2, 3}, {2, 4}};
  const SmallRun a = random_run(random, 9, 2, 6), b = random_run(random, 5, 2, 6);
  LayerCounts both(6, lengths), only_a(6, lengths), only_b(6, lengths);
  count_run(a.view(), lengths, both);
  count_run(b.view(), lengths, both);
  count_run(a.view(), lengths, only_a);
  count_run(b.view(), lengths, only_b);
  for (std::size_t d = 0; d <= 6; ++d) {
    EXPECT_EQ(both.lru_depth[d], only_a.lru_depth[d] + only_b.lru_depth[d]);
    EXPECT_EQ(both.sch_depth[1][d], only_a.sch_depth[1][d] + only_b.sch_depth[1][d]);
  }
  EXPECT_EQ(both.distinct[1], only_a.distinct[1] + only_b.distinct[1]);
  EXPECT_EQ(both.kept_from_previous, only_a.kept_from_previous + only_b.kept_from_previous);
}

TEST(Srp, IsTheBestOverAllThresholdsCountedByTheDefinition) {
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::vector<std::uint64_t> pairs(2 + random() % 9);
    for (auto& count : pairs) count = random() % 50;
    pairs.back() += 1;
    const auto m = pairs.size() - 1;
    double activations = 0, best = 0;
    for (std::size_t uses = 0; uses <= m; ++uses) activations += static_cast<double>(uses * pairs[uses]);
    for (std::size_t threshold = 0; threshold <= m; ++threshold) {
      double matches = 0, predictions = 0;
      for (std::size_t uses = threshold; uses <= m; ++uses) {
        matches += static_cast<double>(uses * pairs[uses]);
        predictions += static_cast<double>(m * pairs[uses]);
      }
      best = std::max(best, 2 * matches / (predictions + activations));
    }
    EXPECT_DOUBLE_EQ(best_segment_routing(pairs).value, best);
  }
}

TEST(Srp, OfOneSegmentIsWhatPencilAndPaperSay) {
  // m = 2, three experts used 2, 1 and 0 times: threshold 2 predicts 2 and matches 2 of 3 activations, 2 x 2 / (2 + 3);
  // threshold 1 predicts 4 and matches all 3, 2 x 3 / (4 + 3); threshold 0 predicts 6, 2 x 3 / (6 + 3).
  const std::vector<std::uint64_t> pairs = {1, 1, 1};
  EXPECT_DOUBLE_EQ(best_segment_routing(pairs).value, 6.0 / 7.0);
  EXPECT_DOUBLE_EQ(best_segment_routing(pairs).group, 4.0 / 3.0);
}

TEST(Srp, GroupIsThatOfTheSmallestThresholdOnTies) {
  // m = 4, one pair of 2 uses, two of 1: threshold 2 gives 2 x 2 / (4 + 4), threshold 1 gives 2 x 4 / (12 + 4).
  const std::vector<std::uint64_t> pairs = {9, 2, 1, 0, 0};
  EXPECT_DOUBLE_EQ(best_segment_routing(pairs).value, 0.5);
  EXPECT_DOUBLE_EQ(best_segment_routing(pairs).group, 3.0);
}

TEST(Srp, IsOneWhereTheSameExpertsServeEveryToken) {
  SmallRun run{2, 5, {}};
  for (int token = 0; token < 9; ++token) run.ids.insert(run.ids.end(), {3, 1});
  std::vector<std::uint64_t> pairs(5);
  count_segment_uses(run.view(), 4, pairs);
  EXPECT_DOUBLE_EQ(best_segment_routing(pairs).value, 1.0);
  EXPECT_DOUBLE_EQ(best_segment_routing(pairs).group, 1.0);
}

}  // namespace
}  // namespace moecarlo
