#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "host/study/study.hpp"

namespace moecarlo::oracle {

using ObjectList = std::vector<std::uint32_t>;

/// One event-atomic pass: the objects of each token in the order of their touches, tokens front to back. For the passes
/// of a simulation that is descending inside a token; the events of a log may list them in any order.
using Touches = std::vector<ObjectList>;

/// Each object of a pass once, in the order of its last touch.
ObjectList reference_order(const Touches& pass);

/// A cache of any policy over the objects 0 .. objects - 1, as the rules are worded: lists and linear searches.
///
/// For each pass first `judge`, then `update`. `hotness` takes with each update how often each object was chosen while
/// drafting; the two oracles must have been told all passes.
class PolicyCache {
 public:
  struct Setup {
    Policy policy = Policy::lru;
    std::uint32_t objects = 1;
    std::uint32_t capacity = 1;
    std::uint32_t protected_capacity = 0;  ///< slru
    /// Resident at the start, the most recent first, at most `capacity` of them; the whole set of a static cache.
    ObjectList start = {};
    std::vector<Touches> future = {};  ///< belady, belady_bypass: the passes to come
    /// random: the word of the index-th reference of pass `pass`, which is read where that reference evicts.
    std::function<std::uint32_t(std::uint32_t pass, std::uint32_t index)> draw = {};
    std::size_t window = 1;  ///< window: updates that are remembered
  };

  explicit PolicyCache(Setup setup);

  std::vector<bool> residents() const;  ///< [objects]

  /// How many of the pass's distinct objects are resident.
  std::uint32_t judge(const Touches& pass) const;

  /// The references of the pass just judged. `heat` is [objects] for hotness, else empty.
  void update(const Touches& pass, const std::vector<std::uint32_t>& heat = {});

 private:
  struct Resident {
    std::uint32_t object;
    std::uint32_t uses = 1;
    bool is_protected = false;
    std::uint64_t last_use = 0;
    std::uint64_t admitted = 0;
  };

  bool holds(std::uint32_t object) const;
  void reference(std::uint32_t object, std::uint32_t index);
  void demote_one();
  std::size_t victim(std::uint32_t index) const;
  void keep_members(const Touches& pass, const std::function<bool(std::uint32_t, std::uint32_t)>& before,
                    std::vector<std::uint32_t> kept);
  std::uint32_t next_use(std::uint32_t object) const;

  Setup setup_;
  std::vector<std::vector<std::uint32_t>> uses_;  // [objects] passes to come that touch it, ascending
  std::vector<std::uint32_t> all_uses_;           ///< [objects] references so far, wherever the object was
  std::deque<Touches> remembered_;                ///< window: the last updates, the oldest first
  std::vector<Resident> slots_;                   ///< an order of its own for random alone, which evicts by slot
  std::uint64_t clock_ = 0;
  std::uint32_t pass_ = 0;
};

/// Distinct objects not resident when their pass began, over all passes. `heat` is [passes] or empty.
std::uint64_t misses_of(const PolicyCache::Setup& setup, const std::vector<Touches>& passes,
                        const std::vector<std::vector<std::uint32_t>>& heat = {});

}  // namespace moecarlo::oracle
