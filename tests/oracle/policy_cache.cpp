#include "tests/oracle/policy_cache.hpp"

#include <algorithm>
#include <list>
#include <utility>

namespace moecarlo::oracle {
namespace {

bool is_oracle(Policy policy) {
  return policy == Policy::belady || policy == Policy::belady_bypass;
}

bool touches(const Touches& pass, std::uint32_t object) {
  return std::any_of(pass.begin(), pass.end(), [object](const ObjectList& token) {
    return std::find(token.begin(), token.end(), object) != token.end();
  });
}

}  // namespace

ObjectList reference_order(const Touches& pass) {
  std::list<std::uint32_t> order;
  for (const ObjectList& token : pass) {
    for (const std::uint32_t object : token) {
      order.remove(object);
      order.push_back(object);
    }
  }
  return {order.begin(), order.end()};
}

PolicyCache::PolicyCache(Setup setup) : setup_(std::move(setup)), uses_(setup_.objects), all_uses_(setup_.objects) {
  for (auto object = setup_.start.rbegin(); object != setup_.start.rend(); ++object) {
    ++clock_;
    slots_.push_back({*object, 1, false, clock_, clock_});
    ++all_uses_[*object];
  }
  for (std::uint32_t pass = 0; pass < setup_.future.size(); ++pass) {
    for (const std::uint32_t object : reference_order(setup_.future[pass])) uses_[object].push_back(pass);
  }
}

bool PolicyCache::holds(std::uint32_t object) const {
  return std::any_of(slots_.begin(), slots_.end(), [object](const Resident& r) { return r.object == object; });
}

std::vector<bool> PolicyCache::residents() const {
  std::vector<bool> held(setup_.objects);
  for (const Resident& resident : slots_) held[resident.object] = true;
  return held;
}

std::uint32_t PolicyCache::judge(const Touches& pass) const {
  std::uint32_t hits = 0;
  for (std::uint32_t object = 0; object < setup_.objects; ++object) hits += holds(object) && touches(pass, object);
  return hits;
}

std::uint32_t PolicyCache::next_use(std::uint32_t object) const {
  const auto next = std::upper_bound(uses_[object].begin(), uses_[object].end(), pass_);
  return next == uses_[object].end() ? ~0U : *next;
}

/// The residents become `kept` and the first others of (residents or fetched), in the order `before`, up to capacity.
void PolicyCache::keep_members(const Touches& pass, const std::function<bool(std::uint32_t, std::uint32_t)>& before,
                               std::vector<std::uint32_t> kept) {
  std::vector<std::uint32_t> others;
  for (std::uint32_t object = 0; object < setup_.objects; ++object) {
    const bool is_kept = std::find(kept.begin(), kept.end(), object) != kept.end();
    if (!is_kept && (holds(object) || touches(pass, object))) others.push_back(object);
  }
  std::stable_sort(others.begin(), others.end(), before);
  kept.insert(kept.end(), others.begin(), others.end());
  kept.resize(std::min<std::size_t>(kept.size(), setup_.capacity));
  slots_.clear();
  for (const std::uint32_t object : kept) slots_.push_back({object});
}

void PolicyCache::update(const Touches& pass, const std::vector<std::uint32_t>& heat) {
  const ObjectList order = reference_order(pass);
  if (is_oracle(setup_.policy)) {
    const auto sooner = [this](std::uint32_t a, std::uint32_t b) { return next_use(a) < next_use(b); };
    const bool forced = setup_.policy == Policy::belady && !order.empty();
    keep_members(pass, sooner, forced ? ObjectList{order.back()} : ObjectList{});
  } else if (setup_.policy == Policy::hotness) {
    const std::vector<bool> held = residents();
    const auto hotter = [&](std::uint32_t a, std::uint32_t b) {
      if (heat[a] != heat[b]) return heat[a] > heat[b];
      return heat[a] == 0 && held[a] && !held[b];
    };
    keep_members(pass, hotter, {});
  } else if (setup_.policy == Policy::window) {
    remembered_.push_back(pass);
    if (remembered_.size() > setup_.window) remembered_.pop_front();
    slots_.clear();
    for (const Touches& one : remembered_) {
      for (const std::uint32_t object : reference_order(one)) {
        if (!holds(object)) slots_.push_back({object});
      }
    }
  } else if (setup_.policy != Policy::static_residents && setup_.capacity > 0) {
    for (std::uint32_t i = 0; i < order.size(); ++i) {
      ++clock_;
      reference(order[i], i);
    }
  }
  ++pass_;
}

void PolicyCache::reference(std::uint32_t object, std::uint32_t index) {
  const auto found = std::find_if(slots_.begin(), slots_.end(), [&](const Resident& r) { return r.object == object; });
  ++all_uses_[object];
  if (found == slots_.end()) {
    const Resident newcomer{object, 1, false, clock_, clock_};
    if (slots_.size() < setup_.capacity) {
      slots_.push_back(newcomer);
    } else {
      slots_[victim(index)] = newcomer;
    }
    return;
  }
  ++found->uses;
  found->last_use = clock_;
  if (setup_.policy != Policy::slru) return;
  found->is_protected = true;
  const auto in_segment = std::count_if(slots_.begin(), slots_.end(), [](const Resident& r) { return r.is_protected; });
  if (in_segment > static_cast<std::ptrdiff_t>(setup_.protected_capacity)) demote_one();
}

/// The longest unused of the protected segment becomes the most recent on probation.
void PolicyCache::demote_one() {
  Resident* oldest = nullptr;
  for (Resident& r : slots_) {
    if (r.is_protected && (oldest == nullptr || r.last_use < oldest->last_use)) oldest = &r;
  }
  oldest->is_protected = false;
  oldest->last_use = ++clock_;
}

/// The slot of the resident that makes place.
std::size_t PolicyCache::victim(std::uint32_t index) const {
  if (setup_.policy == Policy::random) return (std::uint64_t{setup_.draw(pass_, index)} * slots_.size()) >> 32;
  const auto goes_first = [this](const Resident& a, const Resident& b) {
    if (setup_.policy == Policy::fifo) return a.admitted < b.admitted;
    if (setup_.policy == Policy::lfu && a.uses != b.uses) return a.uses < b.uses;
    if (setup_.policy == Policy::lfu_kept && all_uses_[a.object] != all_uses_[b.object]) {
      return all_uses_[a.object] < all_uses_[b.object];
    }
    if (setup_.policy == Policy::slru && a.is_protected != b.is_protected) return b.is_protected;
    return a.last_use < b.last_use;
  };
  return static_cast<std::size_t>(std::min_element(slots_.begin(), slots_.end(), goes_first) - slots_.begin());
}

std::uint64_t misses_of(const PolicyCache::Setup& setup, const std::vector<Touches>& passes,
                        const std::vector<std::vector<std::uint32_t>>& heat) {
  PolicyCache cache(setup);
  std::uint64_t misses = 0;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    misses += reference_order(passes[i]).size() - cache.judge(passes[i]);
    cache.update(passes[i], heat.empty() ? std::vector<std::uint32_t>{} : heat[i]);
  }
  return misses;
}

}  // namespace moecarlo::oracle
