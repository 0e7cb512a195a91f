#pragma once

#include <memory>

#include "host/parallel/moving_experts.hpp"
#include "hw/mesh/ports.hpp"

namespace moecarlo::hw {

/// What a layer's all-reduce, dispatch and combine leave idle of every port while the busiest one is at work: over that
/// copies of experts go, one after the other, over all of their way at the rate of its busiest part. Nothing is taken
/// of the time in which experts are computed.
class IdleLinks {
 public:
  struct Options {
    TokenSource source = TokenSource::domain;
    double token_bytes = 0;                    ///< of an activation
    double near_seconds = 1, far_seconds = 1;  ///< of a byte; only their quotient matters
  };
  IdleLinks(const Topology& topology, const Mapping& mapping, const Options& options);

  /// What a layer's batch of `tokens` leaves.
  CopyRoad beside(const Spread& spread, double tokens) const;

 private:
  void add_idle(const std::vector<double>& bytes, double times, std::vector<double>& idle) const;

  Ports ports_;
  Options options_;
  std::uint32_t groups_;
  ExpertTraffic dispatch_, combine_;
  std::vector<std::pair<std::vector<double>, double>> all_reduce_;  ///< of a byte a device: [ports] bytes, and steps
};

}  // namespace moecarlo::hw
