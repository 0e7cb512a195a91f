#pragma once

#include <deque>

#include "host/parallel/ni_balancer.hpp"

namespace moecarlo {

/// When experts move: the first time after `window` batches, then every so many, each time by the loads of the last
/// `window` batches. What they predict of the batches to come is that these are like them.
struct MoveTimes {
  std::uint32_t every = 10;
  std::uint32_t window = 10;
};

/// Loads of the last batches of a layer.
class LoadWindow {
 public:
  LoadWindow(MoveTimes times, std::size_t experts) : times_(times), sum_(experts, 0) {}

  bool is_time() const { return seen_ >= times_.window && (seen_ - times_.window) % times_.every == 0; }
  const ExpertLoads& sum() const { return sum_; }
  void add(const ExpertLoads& loads);

 private:
  MoveTimes times_;
  ExpertLoads sum_;
  std::deque<ExpertLoads> last_;
  std::uint64_t seen_ = 0;
};

/// EPLB as it is run in serving: when it is time, a placement with copies is made anew, and every copy that its device
/// does not hold yet comes from the nearest one that does, while the layer waits.
struct MovingReplicas {
  MoveTimes times;
  Placement start;  ///< until the first time
  std::function<Placement(const ExpertLoads& past)> place;
  Hops hops;
};

/// What a series of batches becomes. `layers`: of the trace, each with a start of its own.
SpreadLayer moving_replicas(const std::vector<MovingReplicas>& layers, std::uint32_t devices);

/// Bytes of a copy that get from one device to another beside a batch, of `wanted`; what gets through is used up.
using CopyRoad = std::function<double(std::uint32_t from, std::uint32_t to, double wanted)>;

/// NI-Balancer, in our reading: when it is time, copies are planned anew for free slots. Those that are planned and
/// there stay, others are dropped, and new ones are on their way until all their bytes went over links that the batches
/// leave idle; from then on they take their share of tokens. No batch waits.
struct MovingCopies {
  MoveTimes times;
  Placement start;  ///< stays where it is
  CopyBalancer balancer;
  Hops hops;
  double expert_bytes = 0;
  std::function<CopyRoad(const Spread&)> road;  ///< that a batch leaves; empty: copies are there at once
};
SpreadLayer moving_copies(const std::vector<MovingCopies>& layers, std::uint32_t devices);

}  // namespace moecarlo
