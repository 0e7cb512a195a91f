#include "hw/layer_time/idle_links.hpp"

#include <algorithm>
#include <utility>

namespace moecarlo::hw {

IdleLinks::IdleLinks(const Topology& topology, const Mapping& mapping, const Options& options)
    : ports_(topology),
      options_(options),
      groups_(mapping.groups),
      dispatch_(ports_, mapping, options.source, ExpertTraffic::Step::dispatch),
      combine_(ports_, mapping, options.source, ExpertTraffic::Step::combine) {
  for (const CollectiveStep& step : all_reduce_steps(mapping, 1)) {
    std::vector<double> bytes(ports_.size(), 0);
    for (const Message& message : step.messages) {
      ports_.each_on_way(message.from, message.to, [&](std::size_t port) { bytes[port] += message.bytes; });
    }
    all_reduce_.emplace_back(std::move(bytes), step.count);
  }
}

void IdleLinks::add_idle(const std::vector<double>& bytes, double times, std::vector<double>& idle) const {
  const auto seconds_per = [&](std::size_t port) {
    return ports_.is_far(port) ? options_.far_seconds : options_.near_seconds;
  };
  double seconds = 0;
  for (std::size_t port = 0; port < bytes.size(); ++port) seconds = std::max(seconds, bytes[port] * seconds_per(port));
  for (std::size_t port = 0; port < bytes.size(); ++port) {
    idle[port] += times * std::max(0.0, seconds / seconds_per(port) - bytes[port]);
  }
}

CopyRoad IdleLinks::beside(const Spread& spread, double tokens) const {
  auto idle = std::make_shared<std::vector<double>>(ports_.size(), 0.0);
  std::vector<double> of_device = spread.device_loads();
  for (double& load : of_device) load *= options_.token_bytes;
  add_idle(dispatch_.bytes(of_device), 1, *idle);
  add_idle(combine_.bytes(of_device), 1, *idle);
  const double bytes = tokens / groups_ * options_.token_bytes;
  for (const auto& [of_a_byte, steps] : all_reduce_) add_idle(of_a_byte, steps * bytes, *idle);
  return [this, idle](std::uint32_t from, std::uint32_t to, double wanted) {
    double through = wanted;
    ports_.each_on_way(from, to, [&](std::size_t port) { through = std::min(through, (*idle)[port]); });
    ports_.each_on_way(from, to, [&](std::size_t port) { (*idle)[port] -= through; });
    return through;
  };
}

}  // namespace moecarlo::hw
