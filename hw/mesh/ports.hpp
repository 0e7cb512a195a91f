#pragma once

#include <span>

#include "hw/mesh/traffic.hpp"

namespace moecarlo::hw {

/// What bytes hold up on their way: a link of a mesh; around a switch, the port by which a device sends and that by
/// which one receives, whoever is at the other end. Those that lead from one wafer or node to another are far.
class Ports {
 public:
  explicit Ports(Topology topology);

  const Topology& topology() const { return topology_; }
  std::size_t size() const { return is_far_.size(); }
  bool is_far(std::size_t port) const { return is_far_[port]; }

  /// Calls use(port) for each port on the way from one device to another.
  template <class Use>
  void each_on_way(std::uint32_t from, std::uint32_t to, const Use& use) const {
    for (const Link& link : topology_.path(from, to)) {
      if (topology_.is_mesh()) {
        use(links_.at(link));
      } else {
        const std::size_t first = topology_.is_far(link) ? std::size_t{2} * topology_.devices() : 0;
        use(first + link.first);
        use(first + topology_.devices() + link.second);
      }
    }
  }

 private:
  Topology topology_;
  std::map<Link, std::size_t> links_;  ///< of a mesh
  std::vector<bool> is_far_;           ///< [ports]
};

/// What one step asks of ports: bytes of the busiest one, and hops of the longest way, near and far ones apart.
struct Crossing {
  double near_bytes = 0, far_bytes = 0;
  std::uint32_t near_hops = 0, far_hops = 0;
};

/// Of messages that are on their way at one time.
Crossing crossing_of(const Ports& ports, std::span<const Message> messages);

/// Dispatch, or combine, of many batches: what each port carries is a sum over devices, whose ways stay the same.
class ExpertTraffic {
 public:
  enum class Step { dispatch, combine };
  ExpertTraffic(const Ports& ports, const Mapping& mapping, TokenSource source, Step step);

  /// [ports] bytes, where experts of device d take of_device[d] bytes of tokens.
  std::vector<double> bytes(const std::vector<double>& of_device) const;
  Crossing crossing(const std::vector<double>& of_device) const;

 private:
  struct Share {
    std::size_t port = 0;
    double share = 0;
  };
  std::vector<std::vector<Share>> shares_;  ///< [devices]
  std::vector<bool> is_far_;                ///< [ports]
  Crossing hops_;
};

}  // namespace moecarlo::hw
