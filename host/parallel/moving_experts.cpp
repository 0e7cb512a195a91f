#include "host/parallel/moving_experts.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace moecarlo {
namespace {

bool holds(const std::vector<std::uint32_t>& copies, std::uint32_t device) {
  return std::find(copies.begin(), copies.end(), device) != copies.end();
}

/// The device of these that is nearest to another; ties to the lower index.
std::uint32_t nearest(const std::vector<std::uint32_t>& copies, std::uint32_t to, const Hops& hops) {
  return *std::min_element(copies.begin(), copies.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(hops(a, to), a) < std::pair(hops(b, to), b);
  });
}

/// One layer of moving replicas, in a series.
class Replicas {
 public:
  Replicas(const MovingReplicas& rule, std::uint32_t devices)
      : rule_(rule), devices_(devices), placement_(rule.start), window_(rule.times, rule.start.size()) {}

  Spread operator()(const ExpertLoads& loads) {
    std::vector<ExpertCopy> moved;
    if (window_.is_time()) moved = move(rule_.place(window_.sum()));
    window_.add(loads);
    Spread spread = spread_evenly(loads, placement_, devices_);
    spread.migrations = moved.size();
    for (const ExpertCopy& copy : moved) spread.hops += rule_.hops(copy.from, copy.to);
    spread.awaited = std::move(moved);
    return spread;
  }

 private:
  std::vector<ExpertCopy> move(Placement next) {
    std::vector<ExpertCopy> moved;
    for (std::uint32_t expert = 0; expert < next.size(); ++expert) {
      std::vector<std::uint32_t> there = placement_[expert];
      for (const std::uint32_t device : next[expert]) {
        if (holds(there, device)) continue;
        moved.push_back({expert, nearest(placement_[expert], device, rule_.hops), device});
        there.push_back(device);
      }
    }
    placement_ = std::move(next);
    return moved;
  }

  const MovingReplicas& rule_;
  std::uint32_t devices_;
  Placement placement_;
  LoadWindow window_;
};

/// One layer of moving copies, in a series.
class Copies {
 public:
  Copies(const MovingCopies& rule, std::uint32_t devices)
      : rule_(rule), devices_(devices), placement_(rule.start), window_(rule.times, rule.start.size()) {}

  Spread operator()(const ExpertLoads& loads) {
    if (window_.is_time()) plan();
    window_.add(loads);
    std::uint64_t arrived = 0, hops = 0;
    const auto arrive = [&](const ExpertCopy& copy) {
      placement_[copy.expert].push_back(copy.to);
      ++arrived;
      hops += rule_.hops(copy.from, copy.to);
    };
    if (!rule_.road) {
      for (const OnTheWay& one : std::exchange(coming_, {})) arrive(sent_from_nearest(one.copy));
    }
    Spread spread = spread_evenly(loads, placement_, devices_);
    if (rule_.road) {
      for (const ExpertCopy& copy : carried(rule_.road(spread))) arrive(copy);  // for the batches after this one
    }
    spread.migrations = arrived;
    spread.hops = hops;
    return spread;
  }

 private:
  struct OnTheWay {
    ExpertCopy copy;
    double left = 0;  ///< bytes
    bool started = false;
  };

  void plan() {
    const std::vector<ExpertCopy> planned =
        plan_copies(window_.sum(), rule_.start, devices_, rule_.balancer, rule_.hops);
    Placement kept = rule_.start;
    std::vector<OnTheWay> coming;
    for (const ExpertCopy& copy : planned) {
      const auto same = [&](const OnTheWay& one) { return one.copy.expert == copy.expert && one.copy.to == copy.to; };
      const auto under_way = std::find_if(coming_.begin(), coming_.end(), same);
      if (holds(placement_[copy.expert], copy.to)) {
        kept[copy.expert].push_back(copy.to);
      } else if (under_way != coming_.end()) {
        coming.push_back(*under_way);
      } else {
        coming.push_back({copy, rule_.expert_bytes, false});
      }
    }
    placement_ = std::move(kept);
    coming_ = std::move(coming);
  }

  ExpertCopy sent_from_nearest(ExpertCopy copy) const {
    copy.from = nearest(placement_[copy.expert], copy.to, rule_.hops);
    return copy;
  }

  /// What arrives of the copies under way, in the order in which they were planned.
  std::vector<ExpertCopy> carried(const CopyRoad& road) {
    std::vector<ExpertCopy> arrived;
    std::vector<OnTheWay> left;
    for (OnTheWay& one : coming_) {
      if (!std::exchange(one.started, true)) one.copy = sent_from_nearest(one.copy);
      one.left -= road(one.copy.from, one.copy.to, one.left);
      if (one.left <= 0) {
        arrived.push_back(one.copy);
      } else {
        left.push_back(one);
      }
    }
    coming_ = std::move(left);
    return arrived;
  }

  const MovingCopies& rule_;
  std::uint32_t devices_;
  Placement placement_;
  LoadWindow window_;
  std::vector<OnTheWay> coming_;
};

template <class Layer, class Rule>
SpreadLayer each_layer(const std::vector<Rule>& rules, std::uint32_t devices) {
  auto layers = std::make_shared<std::vector<Layer>>();
  for (const Rule& rule : rules) layers->emplace_back(rule, devices);
  return [layers](const ExpertLoads& loads, const BatchLayer& at) { return (*layers)[at.layer](loads); };
}

}  // namespace

void LoadWindow::add(const ExpertLoads& loads) {
  ++seen_;
  for (std::size_t e = 0; e < loads.size(); ++e) sum_[e] += loads[e];
  last_.push_back(loads);
  if (last_.size() <= times_.window) return;
  for (std::size_t e = 0; e < loads.size(); ++e) sum_[e] -= last_.front()[e];
  last_.pop_front();
}

SpreadLayer moving_replicas(const std::vector<MovingReplicas>& layers, std::uint32_t devices) {
  return each_layer<Replicas>(layers, devices);
}

SpreadLayer moving_copies(const std::vector<MovingCopies>& layers, std::uint32_t devices) {
  return each_layer<Copies>(layers, devices);
}

}  // namespace moecarlo
