#include "host/parallel/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace moecarlo {
namespace {

void expect_divides(std::uint32_t part, std::size_t whole, const char* parts, const char* wholes) {
  if (part > 0 && whole % part == 0) return;
  throw std::invalid_argument(
      fmt::format("{} {} over {} {} (expected a whole number each)", whole, wholes, part, parts));
}

/// Indices by value, descending; ties to the lower one.
std::vector<std::uint32_t> descending(const std::vector<double>& values) {
  std::vector<std::uint32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return values[a] > values[b]; });
  return order;
}

/// Each of `weights` to the lightest of so many bins that has room for one more, the heaviest first: [weights] bins.
std::vector<std::uint32_t> pack(const std::vector<double>& weights, std::uint32_t bins, std::size_t room) {
  std::vector<double> filled(bins, 0);
  std::vector<std::size_t> held(bins, 0);
  std::vector<std::uint32_t> bin_of(weights.size());
  for (const std::uint32_t item : descending(weights)) {
    std::uint32_t lightest = bins;
    for (std::uint32_t bin = 0; bin < bins; ++bin) {
      if (held[bin] < room && (lightest == bins || filled[bin] < filled[lightest])) lightest = bin;
    }
    filled[lightest] += weights[item];
    ++held[lightest];
    bin_of[item] = lightest;
  }
  return bin_of;
}

/// How many copies each of some experts has: one, and the further slots by load per copy.
std::vector<std::uint32_t> copies_of(const std::vector<double>& loads, std::size_t slots) {
  std::vector<std::uint32_t> copies(loads.size(), 1);
  for (std::size_t slot = loads.size(); slot < slots; ++slot) {
    std::size_t most = 0;
    for (std::size_t e = 1; e < loads.size(); ++e) {
      if (loads[e] * copies[most] > loads[most] * copies[e]) most = e;  // per copy, without dividing
    }
    ++copies[most];
  }
  return copies;
}

/// Copies and packing of some experts over neighbouring devices, into the placement of all.
void replicate(const ExpertLoads& past, const std::vector<std::uint32_t>& experts, std::size_t slots,
               std::uint32_t first_device, std::uint32_t devices, Placement& placement) {
  std::vector<double> loads;
  for (const std::uint32_t e : experts) loads.push_back(past[e]);
  const std::vector<std::uint32_t> copies = copies_of(loads, slots);
  std::vector<double> shares;
  std::vector<std::uint32_t> owner;
  for (std::size_t i = 0; i < experts.size(); ++i) {
    shares.insert(shares.end(), copies[i], loads[i] / copies[i]);
    owner.insert(owner.end(), copies[i], experts[i]);
  }
  const std::vector<std::uint32_t> device_of = pack(shares, devices, slots / devices);
  for (std::size_t i = 0; i < owner.size(); ++i) placement[owner[i]].push_back(first_device + device_of[i]);
}

}  // namespace

Placement contiguous_placement(std::uint32_t experts, std::uint32_t devices) {
  expect_divides(devices, experts, "devices", "experts");
  Placement placement(experts);
  for (std::uint32_t e = 0; e < experts; ++e) placement[e] = {e / (experts / devices)};
  return placement;
}

Placement popularity_placement(const ExpertLoads& past, std::uint32_t devices) {
  return replicated_placement(past, static_cast<std::uint32_t>(past.size()), devices);
}

Placement replicated_placement(const ExpertLoads& past, std::uint32_t slots, std::uint32_t devices,
                               const std::optional<Hierarchy>& hierarchy) {
  const auto [nodes, groups] = hierarchy.value_or(Hierarchy{});
  expect_divides(devices, slots, "devices", "slots");
  expect_divides(nodes, devices, "nodes", "devices");
  expect_divides(groups, past.size(), "groups", "experts");
  expect_divides(nodes, groups, "nodes", "groups");
  if (slots < past.size()) {
    throw std::invalid_argument(fmt::format("{} slots (expected one for each of {} experts)", slots, past.size()));
  }
  const std::size_t size = past.size() / groups;
  std::vector<double> group_loads(groups, 0);
  for (std::size_t e = 0; e < past.size(); ++e) group_loads[e / size] += past[e];
  const std::vector<std::uint32_t> node_of = pack(group_loads, nodes, groups / nodes);
  Placement placement(past.size());
  for (std::uint32_t node = 0; node < nodes; ++node) {
    std::vector<std::uint32_t> experts;
    for (std::uint32_t e = 0; e < past.size(); ++e) {
      if (node_of[e / size] == node) experts.push_back(e);
    }
    replicate(past, experts, slots / nodes, node * (devices / nodes), devices / nodes, placement);
  }
  return placement;
}

Spread spread_evenly(const ExpertLoads& loads, const Placement& placement, std::uint32_t devices) {
  Spread spread;
  spread.devices = devices;
  for (std::uint32_t e = 0; e < loads.size(); ++e) {
    const double share = loads[e] / static_cast<double>(placement[e].size());
    for (const std::uint32_t device : placement[e]) spread.chunks.push_back({e, device, share});
    spread.replicas += placement[e].size() - 1;
  }
  return spread;
}

}  // namespace moecarlo
