#include "host/parallel/ni_balancer.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

namespace moecarlo {
namespace {

class Balancing {
 public:
  Balancing(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices, const CopyBalancer& balancer,
            const Hops& hops)
      : loads_(loads),
        placement_(placement),
        devices_(devices),
        balancer_(balancer),
        hops_(hops),
        free_(devices, balancer.slots) {}

  std::vector<ExpertCopy> operator()() {
    std::vector<ExpertCopy> copies;
    while (const std::optional<ExpertCopy> copy = next()) {
      placement_[copy->expert].push_back(copy->to);
      --free_[copy->to];
      copies.push_back(*copy);
    }
    return copies;
  }

 private:
  double share(std::uint32_t expert) const { return loads_[expert] / static_cast<double>(placement_[expert].size()); }
  bool holds(std::uint32_t device, std::uint32_t expert) const {
    const auto& copies = placement_[expert];
    return std::find(copies.begin(), copies.end(), device) != copies.end();
  }

  std::optional<ExpertCopy> next() const {
    const std::vector<double> on = spread_evenly(loads_, placement_, devices_).device_loads();
    const auto hottest = static_cast<std::uint32_t>(std::max_element(on.begin(), on.end()) - on.begin());
    const double mean = std::accumulate(on.begin(), on.end(), 0.0) / devices_;
    if (on[hottest] <= balancer_.alpha * mean) return std::nullopt;
    std::vector<std::uint32_t> experts;
    for (std::uint32_t e = 0; e < loads_.size(); ++e) {
      if (loads_[e] > 0 && holds(hottest, e)) experts.push_back(e);
    }
    std::stable_sort(experts.begin(), experts.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return share(a) > share(b); });
    for (const std::uint32_t expert : experts) {
      if (const std::optional<std::uint32_t> to = target(expert, hottest, on)) return ExpertCopy{expert, hottest, *to};
    }
    return std::nullopt;
  }

  /// Where a copy of the expert goes from the hottest device.
  std::optional<std::uint32_t> target(std::uint32_t expert, std::uint32_t hottest,
                                      const std::vector<double>& on) const {
    const double after = loads_[expert] / static_cast<double>(placement_[expert].size() + 1);
    std::optional<std::uint32_t> best;
    const auto rank = [&](std::uint32_t device) {
      const double near = hops_(hottest, device), load = on[device] + after;
      return balancer_.rule == CopyRule::nearest ? std::pair(near, load) : std::pair(load, near);
    };
    for (std::uint32_t device = 0; device < devices_; ++device) {
      if (free_[device] == 0 || holds(device, expert) || on[device] + after > on[hottest]) continue;
      if (!best || rank(device) < rank(*best)) best = device;
    }
    return best;
  }

  const ExpertLoads& loads_;
  Placement placement_;
  std::uint32_t devices_;
  CopyBalancer balancer_;
  const Hops& hops_;
  std::vector<std::uint32_t> free_;
};

}  // namespace

std::vector<ExpertCopy> plan_copies(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices,
                                    const CopyBalancer& balancer, const Hops& hops) {
  return Balancing(loads, placement, devices, balancer, hops)();
}

Spread balance_by_copies(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices,
                         const CopyBalancer& balancer, const Hops& hops) {
  Placement balanced = placement;
  const std::vector<ExpertCopy> copies = plan_copies(loads, placement, devices, balancer, hops);
  for (const ExpertCopy& copy : copies) balanced[copy.expert].push_back(copy.to);
  Spread spread = spread_evenly(loads, balanced, devices);
  spread.migrations = copies.size();
  for (const ExpertCopy& copy : copies) spread.hops += hops(copy.from, copy.to);
  return spread;
}

}  // namespace moecarlo
