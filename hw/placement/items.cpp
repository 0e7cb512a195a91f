#include "hw/placement/items.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/support/error.hpp"

namespace moecarlo::hw {
namespace {

constexpr double bytes_per_gigabyte = 1e9;

const PlacedItem* find(const std::vector<PlacedItem>& items, std::string_view name) {
  const auto found = std::find_if(items.begin(), items.end(), [&](const PlacedItem& one) { return one.name == name; });
  return found == items.end() ? nullptr : &*found;
}

[[noreturn]] void refuse(const Tier& tier, const std::vector<Item>& items, const std::string& asked_by) {
  std::string sum;
  for (const Item& item : items) {
    if (item.kind != ItemKind::pinned || item.bytes == 0) continue;
    sum += fmt::format("{}{} {:.3f} GB", sum.empty() ? "" : " + ", item.name, item.bytes / bytes_per_gigabyte);
  }
  fail(ErrorKind::usage, "{}: does not fit in {} ({}, {} holds {:.3f} GB)", asked_by, tier.name, sum, tier.name,
       tier.capacity_bytes / bytes_per_gigabyte);
}

/// What is left of the tier that dense weights lie in.
double place_dense(const Tier& tier, const std::vector<Item>& items, const std::string& asked_by,
                   Placement& placement) {
  double left = tier.capacity_bytes;
  for (const Item& item : items) {
    if (item.kind == ItemKind::pinned) left -= item.bytes;
  }
  if (left < 0) refuse(tier, items, asked_by);
  for (const Item& item : items) {
    if (item.kind == ItemKind::cached) continue;
    if (item.kind == ItemKind::stays) {
      placement.items.push_back({item.name, 0, 0});
      continue;
    }
    const double taken = item.kind == ItemKind::spills ? std::min(item.bytes, left) : item.bytes;
    if (item.kind == ItemKind::spills) left -= taken;
    placement.items.push_back({item.name, taken, item.bytes > 0 ? taken / item.bytes : 1});
  }
  return left;
}

/// Every tier before home, nearest first; a farther one holds what the nearer ones do.
void place_before_home(const System& system, const std::vector<Item>& items, const std::string& asked_by,
                       Placement& placement) {
  for (std::size_t t = 0; t < system.home(); ++t) {
    const Tier& tier = system.tiers[t];
    placement.near_bytes = placement.cache_bytes = tier.capacity_bytes;
    if (t == system.near_dense()) placement.cache_bytes = place_dense(tier, items, asked_by, placement);
    for (const Item& item : items) {
      if (item.kind != ItemKind::cached || item.pieces == 0) continue;
      placement.room = std::max(placement.room, std::min(placement.cache_bytes / item.bytes, item.pieces));
      placement.slots = std::floor(placement.room);
      placement.slots_by_tier.push_back(placement.slots);
      if (t == 0) placement.all_near = placement.slots == item.pieces;
    }
  }
}

}  // namespace

double Placement::bytes(std::string_view item) const {
  const PlacedItem* const found = find(items, item);
  return found == nullptr ? 0 : found->bytes;
}

double Placement::share(std::string_view item) const {
  const PlacedItem* const found = find(items, item);
  return found == nullptr ? 1 : found->share;
}

Placement place_items(const System& system, const std::vector<Item>& all, const std::string& asked_by) {
  Placement placement;
  std::vector<Item> items;  // of the target's device
  double apart = 0;
  for (const Item& item : all) {
    if (!item.drafts || !system.draft_device) {
      items.push_back(item);
      continue;
    }
    apart += item.bytes;
    placement.items.push_back({item.name, item.bytes, 1});
  }
  if (apart > 0 && apart > system.draft_device->capacity_bytes)
    fail(ErrorKind::usage, "{}: the drafter's {:.3f} GB do not fit in {} ({:.3f} GB)", asked_by,
         apart / bytes_per_gigabyte, system.resources[system.draft_device->store].name,
         system.draft_device->capacity_bytes / bytes_per_gigabyte);
  const Tier& home = system.tiers.back();
  placement.home_free_bytes = home.capacity_bytes;
  for (const Item& item : items) {
    if (item.kind == ItemKind::cached) placement.slot_bytes = item.bytes;
    const bool only_near = item.home_bytes == 0 && item.kind != ItemKind::cached;
    placement.home_free_bytes -= only_near && !system.has_cache() ? item.bytes : item.home_bytes;
  }
  place_before_home(system, items, asked_by, placement);
  if (placement.home_free_bytes < 0)
    fail(ErrorKind::usage, "{}: does not fit in {} (short by {:.3f} GB, {} holds {:.3f} GB)", asked_by, home.name,
         -placement.home_free_bytes / bytes_per_gigabyte, home.name, home.capacity_bytes / bytes_per_gigabyte);
  return placement;
}

}  // namespace moecarlo::hw
