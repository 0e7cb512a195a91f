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

/// What dispatch moves: every device gets `to_device[d]` bytes in all, as many from each group. What a device has
/// itself crosses no link.
LinkBytes dispatch_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                         TokenSource source = TokenSource::domain);

/// What combine moves: the same, the other way.
LinkBytes combine_bytes(const Topology& topology, const Mapping& mapping, const std::vector<double>& to_device,
                        TokenSource source = TokenSource::domain);

/// A ring all-reduce of `bytes` a device in every group, all at once: 2 (n - 1) steps, in each of which every device of
/// a group of n sends an n-th of them to the next of its ring. Steps follow one another.
struct AllReduce {
  LinkBytes step;  ///< of one step
  double steps = 0;
  double sent = 0;  ///< bytes that devices send in all steps
  double busiest() const { return steps * most_of(step); }
};
AllReduce all_reduce(const Topology& topology, const Mapping& mapping, double bytes);

}  // namespace moecarlo::hw
