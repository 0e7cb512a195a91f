#include "tests/oracle/caches.hpp"

#include <algorithm>
#include <cmath>

namespace moecarlo::oracle {
namespace {

constexpr std::uint32_t kChoice = 16;  // heat of one choice

}  // namespace

Caches::Caches(const RankedTrace& trace, const Study& study, const Point& point, const std::vector<Pass>& future,
               Random& random)
    : trace_(trace), study_(study), point_(point) {
  const int count = pooled() ? 1 : trace.trace.layers;
  for (int cache = 0; cache < count; ++cache) {
    PolicyCache::Setup setup;
    setup.policy = point.policy;
    setup.objects = static_cast<std::uint32_t>(layer_objects() * (pooled() ? trace.trace.layers : 1));
    setup.capacity = static_cast<std::uint32_t>(point.slots[cache]);
    setup.protected_capacity =
        static_cast<std::uint32_t>(point.slots[cache] * study.cache.parameter(Policy::slru) + 1e-9);
    setup.window =
        static_cast<std::size_t>(study.cache.parameter(Policy::window)) * (pooled() ? trace.trace.layers : 1);
    const bool is_filled = study.start == Start::warm && point.policy != Policy::window;
    if (is_filled || point.policy == Policy::static_residents) setup.start = most_popular(cache);
    for (const Pass& pass : future) {
      for (int layer = 0; layer < trace.trace.layers; ++layer) {
        if (pooled() || layer == cache) setup.future.push_back(touches(pass, layer));
      }
    }
    setup.draw = [&random](std::uint32_t, std::uint32_t) { return static_cast<std::uint32_t>(random()); };
    caches_.emplace_back(setup);
    heat_.emplace_back(setup.objects, 0);
  }
}

int Caches::layer_objects() const {
  return trace_.trace.experts * (study_.cache.objects == Objects::slices ? 2 : 1);
}

/// The static set, the most popular object first; upper slices before lower ones, ties to the lower layer.
ObjectList Caches::most_popular(int cache) const {
  struct Candidate {
    bool lower;
    int popularity, layer, object;
  };
  std::vector<Candidate> candidates;
  for (int layer = 0; layer < trace_.trace.layers; ++layer) {
    if (!pooled() && layer != cache) continue;
    for (int object = 0; object < layer_objects(); ++object) {
      const int expert = object % trace_.trace.experts;
      candidates.push_back({object != expert, trace_.popularity[layer][expert], layer, object});
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.lower != b.lower ? b.lower : a.popularity > b.popularity;
  });
  ObjectList start;
  for (int i = 0; i < point_.slots[cache]; ++i) {
    start.push_back(static_cast<std::uint32_t>(first_object(candidates[i].layer) + candidates[i].object));
  }
  return start;
}

ObjectSet Caches::residents(int layer) const {
  const std::vector<bool> held = caches_[pooled() ? 0 : layer].residents();
  ObjectSet objects;
  for (int object = 0; object < layer_objects(); ++object) {
    if (held[first_object(layer) + object]) objects.insert(object);
  }
  return objects;
}

/// The objects of each verified column, inside it the least popular first.
Touches Caches::touches(const Pass& pass, int layer) const {
  Touches touched;
  for (const Column& column : pass.columns) {
    if (!column.verified) continue;
    ObjectList& objects = touched.emplace_back();
    const ObjectSet& own = column.used[layer];
    for (auto object = own.rbegin(); object != own.rend(); ++object) {
      objects.push_back(static_cast<std::uint32_t>(first_object(layer) + *object));
    }
  }
  return touched;
}

void Caches::hear_draft(const Pass& pass) {
  for (const Column& column : pass.columns) {
    if (!column.drafts || column.sibling) continue;
    for (int layer = 0; layer < trace_.trace.layers; ++layer) {
      for (const int expert : column.chosen[layer])
        heat_[pooled() ? 0 : layer][first_object(layer) + expert] += kChoice;
    }
  }
}

void Caches::update(const Pass& pass, int layer) {
  if (point_.policy != Policy::hotness) cache_of(layer).update(touches(pass, layer));
}

void Caches::end_pass(const Pass& pass) {
  if (point_.policy == Policy::hotness) {
    std::vector<Touches> fetched(caches_.size());
    for (int layer = 0; layer < trace_.trace.layers; ++layer) {
      const Touches own = touches(pass, layer);
      Touches& whole = fetched[pooled() ? 0 : layer];
      whole.insert(whole.end(), own.begin(), own.end());
    }
    for (std::size_t cache = 0; cache < caches_.size(); ++cache) caches_[cache].update(fetched[cache], heat_[cache]);
  }
  // A count keeps the study's share from round to round; what is lost is rounded up to a sixteenth.
  for (std::vector<std::uint32_t>& heat : heat_) {
    for (std::uint32_t& count : heat)
      count -= static_cast<std::uint32_t>(std::ceil(count * (1 - study_.cache.parameter(Policy::hotness))));
  }
}

}  // namespace moecarlo::oracle
