#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// Which kind of memory a policy keeps beside the resident bits; each rule names its own.
struct CacheShape {
  std::uint32_t lists = 0;   ///< linked lists over the objects; 0: none, and no nodes
  bool has_slots = false;    ///< one word a slot
  bool has_buckets = false;  ///< one use count a slot
};

/// An object's place in a list, or a list's two ends. A list is a circle through its head: `next` of the head is the
/// front (the last to be evicted), `previous` of the head is the back (the first).
struct CacheNode {
  std::uint32_t previous;
  std::uint32_t next;
  std::uint32_t group;  ///< of a resident: the list or the bucket that it is in
};

/// The residents of one use count, which stand side by side in the list; a free one links to the next free one.
struct UseBucket {
  std::uint32_t front;  ///< the most recently used of them; of a free bucket: the next free one
  std::uint32_t uses;
};

/// Numbers that a cache of any policy starts at 0.
struct CacheCounts {
  std::uint32_t residents;
  std::uint32_t protected_residents;  ///< slru: residents of the protected segment
  std::uint32_t hand;                 ///< fifo: the slot of the oldest admission once full
  std::uint32_t free_bucket;          ///< lfu: 1 + the first bucket given back, 0: none
  std::uint32_t fresh_bucket;         ///< lfu: the first bucket never used
  std::uint32_t unused;               ///< keeps the size a multiple of 8
};

/// The parts of a cache in its scratch block: a cheap view. Objects are 0 .. objects - 1, slots 0 .. capacity - 1.
/// Nodes of objects that are not resident and slots past the residents hold nothing of meaning and are never read.
/// Which of a pass's references hit is hard to foresee, so where hit and miss do alike work the rules choose what to
/// work on rather than branch.
struct CacheState {
  std::uint64_t* bits;   ///< [resident_words(objects)] the residents
  CacheCounts* counts;   ///< [1]
  CacheNode* nodes;      ///< [objects + lists] the lists' heads last
  std::uint32_t* slots;  ///< [capacity]
  UseBucket* buckets;    ///< [capacity]
  std::uint32_t objects;
  std::uint32_t capacity;
  std::uint32_t protected_capacity;

  MOECARLO_HOST_DEVICE bool contains(std::uint32_t object) const {
    return ((bits[object / 64] >> (object % 64)) & 1U) != 0;
  }
  MOECARLO_HOST_DEVICE bool full() const { return counts->residents == capacity; }

  /// Admits an object to a cache that is not full.
  MOECARLO_HOST_DEVICE void admit(std::uint32_t object) const {
    bits[object / 64] |= std::uint64_t{1} << (object % 64);
    ++counts->residents;
  }

  /// Admits an object to the first free slot.
  MOECARLO_HOST_DEVICE void append(std::uint32_t object) const {
    slots[counts->residents] = object;
    admit(object);
  }

  /// Admits an object in place of the resident `victim`; nothing changes where they are the same.
  MOECARLO_HOST_DEVICE void replace(std::uint32_t victim, std::uint32_t object) const {
    if (victim == object) return;  // two dependent updates of one word cost more than a branch
    bits[victim / 64] &= ~(std::uint64_t{1} << (victim % 64));
    bits[object / 64] |= std::uint64_t{1} << (object % 64);
  }

  /// The head of a list, as an index of `nodes`.
  MOECARLO_HOST_DEVICE std::uint32_t head(std::uint32_t list) const { return objects + list; }
  MOECARLO_HOST_DEVICE std::uint32_t front(std::uint32_t list) const { return nodes[head(list)].next; }
  MOECARLO_HOST_DEVICE std::uint32_t back(std::uint32_t list) const { return nodes[head(list)].previous; }

  MOECARLO_HOST_DEVICE void unlink(std::uint32_t object) const {
    const CacheNode node = nodes[object];
    nodes[node.previous].next = node.next;
    nodes[node.next].previous = node.previous;
  }

  /// Puts an object that is in no list right before `place`, which is another object or a head.
  MOECARLO_HOST_DEVICE void link_before(std::uint32_t place, std::uint32_t object) const {
    const std::uint32_t previous = nodes[place].previous;
    nodes[object].previous = previous;
    nodes[object].next = place;
    nodes[previous].next = object;
    nodes[place].previous = object;
  }

  MOECARLO_HOST_DEVICE void link_front(std::uint32_t list, std::uint32_t object) const {
    link_before(front(list), object);
  }
};

}  // namespace moecarlo
