#include "hw/mesh/ports.hpp"

#include <algorithm>
#include <utility>

namespace moecarlo::hw {
namespace {

void lengthen(const Topology& topology, std::uint32_t from, std::uint32_t to, Crossing& crossing) {
  std::uint32_t near = 0, far = 0;
  for (const Link& link : topology.path(from, to)) ++(topology.is_far(link) ? far : near);
  crossing.near_hops = std::max(crossing.near_hops, near);
  crossing.far_hops = std::max(crossing.far_hops, far);
}

void take_busiest(const std::vector<double>& bytes, const std::vector<bool>& is_far, Crossing& crossing) {
  for (std::size_t port = 0; port < bytes.size(); ++port) {
    double& most = is_far[port] ? crossing.far_bytes : crossing.near_bytes;
    most = std::max(most, bytes[port]);
  }
}

std::vector<bool> far_ports(const Ports& ports) {
  std::vector<bool> far(ports.size());
  for (std::size_t port = 0; port < far.size(); ++port) far[port] = ports.is_far(port);
  return far;
}

}  // namespace

Ports::Ports(Topology topology) : topology_(topology) {
  if (topology_.is_mesh()) {
    for (const Link& link : topology_.links()) {
      links_.emplace(link, links_.size());
      is_far_.push_back(topology_.is_far(link));
    }
    return;
  }
  is_far_.resize(std::size_t{2} * topology_.devices(), false);
  if (topology_.nodes() > 1) is_far_.resize(2 * is_far_.size(), true);
}

Crossing crossing_of(const Ports& ports, std::span<const Message> messages) {
  std::vector<double> bytes(ports.size(), 0);
  Crossing crossing;
  for (const Message& message : messages) {
    if (message.bytes <= 0) continue;
    ports.each_on_way(message.from, message.to, [&](std::size_t port) { bytes[port] += message.bytes; });
    lengthen(ports.topology(), message.from, message.to, crossing);
  }
  take_busiest(bytes, far_ports(ports), crossing);
  return crossing;
}

ExpertTraffic::ExpertTraffic(const Ports& ports, const Mapping& mapping, TokenSource source, Step step)
    : shares_(ports.topology().devices()), is_far_(far_ports(ports)) {
  std::vector<double> of_port(ports.size(), 0);
  for (std::uint32_t device = 0; device < shares_.size(); ++device) {
    std::vector<std::size_t> crossed;
    for (const Delivery& delivery : deliveries_to(device, mapping, source)) {
      const std::uint32_t other = delivery.from;
      const auto [from, to] = step == Step::dispatch ? std::pair(other, device) : std::pair(device, other);
      lengthen(ports.topology(), from, to, hops_);
      ports.each_on_way(from, to, [&](std::size_t port) {
        if (of_port[port] == 0) crossed.push_back(port);
        of_port[port] += delivery.share;
      });
    }
    for (const std::size_t port : crossed) shares_[device].push_back({port, std::exchange(of_port[port], 0)});
  }
}

std::vector<double> ExpertTraffic::bytes(const std::vector<double>& of_device) const {
  std::vector<double> bytes(is_far_.size(), 0);
  for (std::size_t device = 0; device < of_device.size(); ++device) {
    for (const auto& [port, share] : shares_[device]) bytes[port] += share * of_device[device];
  }
  return bytes;
}

Crossing ExpertTraffic::crossing(const std::vector<double>& of_device) const {
  Crossing crossing = hops_;
  take_busiest(bytes(of_device), is_far_, crossing);
  return crossing;
}

}  // namespace moecarlo::hw
