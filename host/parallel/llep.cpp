#include "host/parallel/llep.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "host/parallel/placement.hpp"

namespace moecarlo {
namespace {

/// Tokens that rounding leaves over, where a cap is no whole number.
constexpr double kNothing = 1e-6;

class LeastLoaded {
 public:
  LeastLoaded(const ExpertLoads& loads, std::uint32_t devices, const LlepRule& rule)
      : rule_(rule), homes_(contiguous_placement(static_cast<std::uint32_t>(loads.size()), devices)) {
    spread_.devices = devices;
    const double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
    cap_ = rule.as_coded ? std::floor(rule.alpha * std::floor(sum / devices)) : rule.alpha * sum / devices;
    pending_.assign(devices, 0);
    assigned_.assign(devices, 0);
    for (std::uint32_t e = 0; e < loads.size(); ++e) pending_[home(e)] += loads[e];
  }

  void place(std::uint32_t expert, double load) {
    const std::uint32_t device = home(expert);
    pending_[device] -= load;
    double native = std::clamp(room(device), 0.0, load);
    if (native <= kNothing) native = 0;
    if (load - native <= kNothing) native = load;
    if (native > 0 || load == 0) give(expert, device, native);
    if (native < load) spill(expert, load - native);
  }

  Spread take() { return std::move(spread_); }

 private:
  std::uint32_t home(std::uint32_t expert) const { return homes_[expert][0]; }
  double load_of(std::uint32_t device) const { return assigned_[device] + pending_[device]; }
  double room(std::uint32_t device) const { return cap_ - load_of(device); }

  void give(std::uint32_t expert, std::uint32_t device, double tokens) {
    assigned_[device] += tokens;
    const bool moved = device != home(expert);
    const auto own = [&](const Chunk& chunk) { return chunk.expert == expert && chunk.device == device; };
    const auto found = std::find_if(spread_.chunks.begin(), spread_.chunks.end(), own);
    if (moved) spread_.spilled += tokens;
    if (found != spread_.chunks.end()) {
      found->tokens += tokens;
      return;
    }
    spread_.chunks.push_back({expert, device, tokens, moved, home(expert)});
    spread_.transfers += moved ? 1 : 0;
  }

  /// The other devices by load, ascending.
  std::vector<std::uint32_t> helpers(std::uint32_t expert) const {
    std::vector<std::uint32_t> others;
    for (std::uint32_t d = 0; d < spread_.devices; ++d) {
      if (d != home(expert) && (!rule_.as_coded || room(d) > 0)) others.push_back(d);
    }
    std::stable_sort(others.begin(), others.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return load_of(a) < load_of(b); });
    return others;
  }

  /// What a helper takes of what is left; 0 where it is passed over.
  double taken(std::uint32_t helper, double left) const {
    const double chunk = std::min(left, room(helper));
    if (left - chunk <= kNothing) return left;
    return chunk <= kNothing || chunk < rule_.min_chunk ? 0 : chunk;
  }

  void spill(std::uint32_t expert, double left) {
    while (left > 0) {
      const double before = left;
      for (const std::uint32_t helper : helpers(expert)) {
        const double chunk = taken(helper, left);
        if (chunk <= 0) continue;
        give(expert, helper, chunk);
        left -= chunk;
        if (!rule_.as_coded || left <= 0) break;  // the paper sorts them anew
      }
      if (left > 0 && (left == before || rule_.as_coded)) {
        force(expert, left);
        left = 0;
      }
    }
  }

  void force(std::uint32_t expert, double left) {
    std::uint32_t least = spread_.devices;
    for (std::uint32_t d = 0; d < spread_.devices; ++d) {
      if (d != home(expert) && (least == spread_.devices || load_of(d) < load_of(least))) least = d;
    }
    if (least == spread_.devices) least = home(expert);  // there is no other
    give(expert, least, left);
    ++spread_.forced;
  }

  LlepRule rule_;
  Placement homes_;
  double cap_ = 0;
  std::vector<double> pending_, assigned_;  ///< [devices] of experts still to come on their home devices; of chunks
  Spread spread_;
};

}  // namespace

Spread least_loaded(const ExpertLoads& loads, std::uint32_t devices, const LlepRule& rule,
                    std::span<const std::uint32_t> by_load) {
  const Placement homes = contiguous_placement(static_cast<std::uint32_t>(loads.size()), devices);
  Spread plain = spread_evenly(loads, homes, devices);
  if (max_over_mean(rule.on_devices ? plain.device_loads() : loads) < rule.lambda) return plain;
  std::vector<std::uint32_t> order;
  if (by_load.empty()) {
    order.resize(loads.size());
    std::iota(order.begin(), order.end(), 0U);
    std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return loads[a] > loads[b]; });
    by_load = order;
  }
  LeastLoaded balancer(loads, devices, rule);
  for (const std::uint32_t expert : by_load) balancer.place(expert, loads[expert]);
  return balancer.take();
}

}  // namespace moecarlo
