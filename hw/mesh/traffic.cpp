#include "hw/mesh/traffic.hpp"

#include <algorithm>

namespace moecarlo::hw {
namespace {

void send(const Topology& topology, std::uint32_t from, std::uint32_t to, double bytes, LinkBytes& links) {
  if (bytes <= 0) return;
  for (const Link& link : topology.path(from, to)) links[link] += bytes;
}

/// use(source, device, bytes) for all that devices get.
template <class Use>
void each_delivery(const Mapping& mapping, const std::vector<double>& to_device, TokenSource source, const Use& use) {
  const auto rings = mapping.rings();
  for (std::uint32_t device = 0; device < to_device.size(); ++device) {
    const double of_group = to_device[device] / mapping.groups;
    for (const std::vector<std::uint32_t>& ring : rings) {
      if (source == TokenSource::domain) {
        use(ring[mapping.places[device].rank], device, of_group);
      } else {
        for (const std::uint32_t member : ring) use(member, device, of_group / mapping.group_size);
      }
    }
  }
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

LinkBytes dispatch_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                         TokenSource source) {
  LinkBytes links;
  each_delivery(mapping, to_device, source,
                [&](std::uint32_t from, std::uint32_t to, double bytes) { send(topology, from, to, bytes, links); });
  return links;
}

LinkBytes combine_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                        TokenSource source) {
  LinkBytes links;
  each_delivery(mapping, to_device, source,
                [&](std::uint32_t from, std::uint32_t to, double bytes) { send(topology, to, from, bytes, links); });
  return links;
}

AllReduce all_reduce(const Topology& topology, const Mapping& mapping, double bytes) {
  AllReduce all;
  const std::uint32_t size = mapping.group_size;
  if (size < 2) return all;
  for (const std::vector<std::uint32_t>& ring : mapping.rings()) {
    for (std::uint32_t rank = 0; rank < size; ++rank) {
      send(topology, ring[rank], ring[(rank + 1) % size], bytes / size, all.step);
    }
  }
  all.steps = 2.0 * (size - 1);
  all.sent = all.steps * bytes * mapping.groups;
  return all;
}

}  // namespace moecarlo::hw
