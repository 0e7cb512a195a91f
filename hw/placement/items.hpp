#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/core/capacity.hpp"
#include "hw/machine/system.hpp"

namespace moecarlo::hw {

/// How an item may lie: whole in the nearest tier; there as far as it goes and the rest at home; so many of its equal
/// pieces as the others leave room for; or at home alone.
enum class ItemKind : std::uint8_t { pinned, spills, cached, stays };

/// Something that takes room in memory.
struct Item {
  std::string name;
  ItemKind kind{};
  double bytes = 0;       ///< in the tier of the dense weights; of a cached item one piece
  double home_bytes = 0;  ///< stored at home, copies nearer or not; 0: it lies in one place alone
  double pieces = 1;      ///< of a cached item
  bool drafts = false;    ///< lies where drafters of their own run: on the draft device, where there is one
};

/// Where an item came to lie.
struct PlacedItem {
  std::string name;
  double bytes = 0;  ///< in the tier of the dense weights
  double share = 1;  ///< of all its bytes
};

/// What lies where. With a single tier everything is at home and nothing is cached.
struct Placement {
  std::vector<PlacedItem> items;
  double near_bytes = 0;              ///< capacity of the last tier before home; 0 where there is none
  double cache_bytes = 0;             ///< what is left of it for experts
  double slot_bytes = 0;              ///< one cached expert
  double room = 0;                    ///< slots over all MoE layers, the last one in part, at most all experts
  double slots = 0;                   ///< the whole ones
  std::vector<double> slots_by_tier;  ///< of each tier before home, those of nearer tiers among them
  bool all_near = false;              ///< every piece has a slot in the nearest tier
  double home_free_bytes = 0;         ///< home less all that is stored there
  Capacity capacity;                  ///< the slots spread over the layers of the trace
  std::vector<Capacity> nearer;       ///< the same of each tier before the last but one

  double bytes(std::string_view item) const;  ///< before home; 0 where there is no such item
  double share(std::string_view item) const;  ///< of the item's bytes; 1 where there is none
};

/// Places the items in their order: in the tier of the dense weights those that are pinned or spill, then in every tier
/// before home the one that is cached. Throws usage,
/// with the numbers, where pinned items exceed the nearest tier, or all together home; `asked_by` begins the sentence.
Placement place_items(const System& system, const std::vector<Item>& items, const std::string& asked_by);

}  // namespace moecarlo::hw
