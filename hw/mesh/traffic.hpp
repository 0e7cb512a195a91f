#pragma once

#include <map>

#include "hw/mesh/mapping.hpp"

namespace moecarlo::hw {

/// Bytes that cross each link. Links that carry nothing are not there.
using LinkBytes = std::map<Link, double>;

double sum_of(const LinkBytes& links);   ///< bytes x hops
double most_of(const LinkBytes& links);  ///< of the busiest link; 0 where nothing moves

/// From where a device gets the tokens of a group.
enum class TokenSource {
  domain,  ///< from the group's device of its own token domain
  all,     ///< from all devices of the group, each of which sends its part
};

/// Bytes from one device to another.
struct Message {
  std::uint32_t from = 0, to = 0;
  double bytes = 0;
};

/// Of what one device gets in dispatch, the share that another, or itself, sends.
struct Delivery {
  std::uint32_t from = 0;
  double share = 0;
};
std::vector<Delivery> deliveries_to(std::uint32_t device, const Mapping& mapping, TokenSource source);

/// What dispatch moves: every device gets `to_device[d]` bytes in all, as many from each group. What a device has
/// itself crosses no link.
LinkBytes dispatch_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                         TokenSource source = TokenSource::domain);

/// What combine moves: the same, the other way.
LinkBytes combine_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                        TokenSource source = TokenSource::domain);

/// Messages that are sent at once, so many times one after the other.
struct CollectiveStep {
  std::vector<Message> messages;
  double count = 1;
};

/// An all-reduce of `bytes` a device in every group, all groups at once: a ring, 2 (n - 1) steps in each of which every
/// device of a group of n sends an n-th of them to the next of its ring. Where wafers gather the tokens of all: in each
/// n - 1 steps that reduce and scatter; a ring between the devices in the same place of all W wafers, which gathers
/// their n-ths; then n - 1 steps that gather W n-ths in each.
std::vector<CollectiveStep> all_reduce_steps(const Mapping& mapping, double bytes);

/// What these steps move.
struct AllReduce {
  LinkBytes links;     ///< of all steps
  double busiest = 0;  ///< bytes of each step's busiest link, over all steps
  double sent = 0;     ///< bytes that devices send
};
AllReduce all_reduce(const Topology& topology, const Mapping& mapping, double bytes);

}  // namespace moecarlo::hw
