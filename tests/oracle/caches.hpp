#pragma once

#include <cstdint>
#include <vector>

#include "tests/oracle/pass.hpp"
#include "tests/oracle/policy_cache.hpp"
#include "tests/oracle/simulate.hpp"

namespace moecarlo::oracle {

/// The caches of one design point: one in each layer, or one pool for all of them.
///
/// Each layer's part of a pass is an event: it is judged against the residents as they stand, and then updates them.
/// Hotness chooses anew when the whole pass is over.
class Caches {
 public:
  /// future: the passes to come, for the offline optima.
  Caches(const RankedTrace& trace, const Study& study, const Point& point, const std::vector<Pass>& future,
         Random& random);

  ObjectSet residents(int layer) const;
  void hear_draft(const Pass& pass);
  void update(const Pass& pass, int layer);
  void end_pass(const Pass& pass);

 private:
  bool pooled() const { return study_.cache.scope == Scope::pool; }
  int layer_objects() const;
  PolicyCache& cache_of(int layer) { return caches_[pooled() ? 0 : layer]; }
  int first_object(int layer) const { return pooled() ? layer * layer_objects() : 0; }
  ObjectList most_popular(int cache) const;
  Touches touches(const Pass& pass, int layer) const;

  const RankedTrace& trace_;
  const Study& study_;
  const Point& point_;
  std::vector<PolicyCache> caches_;
  std::vector<std::vector<std::uint32_t>> heat_;  // [caches][objects] hotness: choices while drafting, in sixteenths
};

}  // namespace moecarlo::oracle
