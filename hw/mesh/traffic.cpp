#include "hw/mesh/traffic.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

void send(const Topology& topology, std::uint32_t from, std::uint32_t to, double bytes, LinkBytes& links) {
  if (bytes <= 0) return;
  for (const Link& link : topology.path(from, to)) links[link] += bytes;
}

}  // namespace

double sum_of(const LinkBytes& links) {
  double sum = 0;
  for (const auto& [link, bytes] : links) sum += bytes;
  return sum;
}

double most_of(const LinkBytes& links) {
  double most = 0;
  for (const auto& [link, bytes] : links) most = std::max(most, bytes);
  return most;
}

std::vector<Delivery> deliveries_to(std::uint32_t device, const Mapping& mapping, TokenSource source) {
  std::vector<Delivery> deliveries;
  const double of_group = 1.0 / mapping.groups;
  const auto rings = mapping.rings();
  const std::uint32_t in_node = mapping.groups / mapping.nodes;
  const std::uint32_t own_node = mapping.places[device].group / in_node;
  for (std::uint32_t group = 0; group < mapping.groups; ++group) {
    const std::vector<std::uint32_t>& ring =
        mapping.nodes > 1 ? rings[own_node * in_node + group % in_node] : rings[group];
    if (source == TokenSource::domain) {
      deliveries.push_back({ring[mapping.places[device].rank], of_group});
    } else {
      for (const std::uint32_t member : ring) deliveries.push_back({member, of_group / mapping.group_size});
    }
  }
  return deliveries;
}

LinkBytes dispatch_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                         TokenSource source) {
  LinkBytes links;
  for (std::uint32_t device = 0; device < to_device.size(); ++device) {
    for (const auto& [from, share] : deliveries_to(device, mapping, source)) {
      send(topology, from, device, share * to_device[device], links);
    }
  }
  return links;
}

LinkBytes combine_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                        TokenSource source) {
  LinkBytes links;
  for (std::uint32_t device = 0; device < to_device.size(); ++device) {
    for (const auto& [from, share] : deliveries_to(device, mapping, source)) {
      send(topology, device, from, share * to_device[device], links);
    }
  }
  return links;
}

std::vector<CollectiveStep> all_reduce_steps(const Mapping& mapping, double bytes) {
  const std::uint32_t size = mapping.group_size, nodes = mapping.nodes;
  const auto rings = mapping.rings();
  const auto around = [&](double each) {
    std::vector<Message> messages;
    for (const std::vector<std::uint32_t>& ring : rings) {
      for (std::uint32_t rank = 0; rank < size && size > 1; ++rank) {
        messages.push_back({ring[rank], ring[(rank + 1) % size], each});
      }
    }
    return messages;
  };
  const double part = bytes / size, turn = size - 1;
  if (nodes < 2) return {{around(part), 2 * turn}};
  const std::uint32_t in_node = mapping.groups / nodes;
  std::vector<Message> between;
  for (std::uint32_t group = 0; group < mapping.groups; ++group) {
    const std::uint32_t next = (group + in_node) % mapping.groups;
    for (std::uint32_t rank = 0; rank < size; ++rank) between.push_back({rings[group][rank], rings[next][rank], part});
  }
  return {{around(part), turn}, {between, nodes - 1.0}, {around(nodes * part), turn}};
}

AllReduce all_reduce(const Topology& topology, const Mapping& mapping, double bytes) {
  AllReduce all;
  for (const CollectiveStep& step : all_reduce_steps(mapping, bytes)) {
    LinkBytes links;
    for (const Message& message : step.messages) {
      send(topology, message.from, message.to, message.bytes, links);
      all.sent += step.count * message.bytes;
    }
    for (const auto& [link, crossing] : links) all.links[link] += step.count * crossing;
    all.busiest += step.count * most_of(links);
  }
  return all;
}

}  // namespace moecarlo::hw
