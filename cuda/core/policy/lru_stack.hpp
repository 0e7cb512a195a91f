#pragma once

#include "cuda/core/hostdevice.hpp"

namespace moecarlo {

/// Lanes whose stacks lie interleaved: a warp.
constexpr std::uint32_t kStackLanes = 32;

/// What lies so many bytes after `first`: device code that counts in elements takes a step more for an address.
template <class T>
MOECARLO_HOST_DEVICE T& at_byte(T* first, std::uint32_t bytes) {
  return *reinterpret_cast<T*>(reinterpret_cast<char*>(first) + bytes);
}

/// Changes a number in memory. A device does so there: a lane need not wait for what stands in it, nor do others harm.
MOECARLO_HOST_DEVICE void add_in_place(std::uint32_t& number, std::uint32_t amount) {
#if defined(__CUDA_ARCH__)
  atomicAdd(&number, amount);
#else
  number += amount;
#endif
}
MOECARLO_HOST_DEVICE void flip_in_place(std::uint32_t& word, std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  atomicXor(&word, bits);
#else
  word ^= bits;
#endif
}

/// Measures of an LRU stack, see LruStack.
struct LruStackShape {
  std::uint32_t experts = 0;
  /// Slots, a multiple of 8: those of all passes of an episode, or at least oldest_slots() + block.
  std::uint32_t window = 0;
  std::uint32_t unwritten = 0;     ///< of them, the first ones, that only an episode's last pass takes: without words
  std::uint32_t block = 0;         ///< slots that a pass takes, a multiple of 8: at least its distinct experts
  std::uint32_t bucket_shift = 0;  ///< bits of a slot number, the window's included; 15 are there for slot and bucket

  MOECARLO_HOST_DEVICE static constexpr std::uint32_t rounded(std::uint32_t slots) { return (slots + 7) / 8 * 8; }
  /// Slots that all experts take when nothing lies between them.
  MOECARLO_HOST_DEVICE std::uint32_t oldest_slots() const { return rounded(experts); }
  /// 16-bit numbers of a lane's `last`, a whole number of pairs.
  MOECARLO_HOST_DEVICE std::uint32_t last_numbers() const { return (experts + 1) / 2 * 2; }
  /// Words of a lane's `slots`.
  MOECARLO_HOST_DEVICE std::uint32_t slot_words() const { return (window - unwritten) / 8 + 1; }
};

/// The LRU stack of one cache for every capacity at once (LRU is a stack algorithm: Mattson et al. 1970). The expert
/// at position p is resident where the capacity exceeds p. A pass is judged against the positions at its start.
///
/// Time is a row of slots, newest first, filled from its end: each pass takes the block of slots before the last one.
/// An expert occupies the slot of its last touch, and its position is the number of occupied slots before that one
/// (Bennett and Kruskal 1975), which a word of eight slots knows from the words before it. Where no block is left,
/// those that are occupied move together at the end.
///
/// `buckets` says in which interval of the capacities a position lies: how many of them do not exceed it. Nothing here
/// depends on how many capacities there are.
struct LruStack {
  LruStackShape shape;
  const std::uint8_t* buckets;  ///< [experts + 1]; the last one is that of an expert that is in no cache
  /// [experts] slot of the last touch, `window` if there was none. Of the experts of this pass also the bucket of the
  /// position they had, and kKept. Where an expert lies: see places().
  std::uint16_t* last;
  /// [shape.slot_words()][kStackLanes], from where the word of slot 0 would lie; of a word's slots: bits 0 .. 7 which
  /// are occupied, bits 8 .. 15 which were until this pass, from bit 16 on how many before them were occupied when the
  /// pass began. The last word stands for no slot; those of this pass are written when it closes.
  std::uint32_t* slots;

  /// `slots` of words whose first one is `words`.
  MOECARLO_HOST_DEVICE static std::uint32_t* slots_at(const LruStackShape& shape, std::uint32_t* words) {
    return words - shape.unwritten / 8 * kStackLanes;
  }

  std::uint32_t base = 0;  ///< first slot in use
  std::uint32_t end = 0;   ///< of the block of this pass
  std::uint32_t next = 0;  ///< slot of that block which the pass's next distinct expert will take

  /// Marks an expert whose touch by an accepted column has been counted.
  static constexpr std::uint32_t kKept = 0x8000;
  static constexpr std::uint32_t kWordsAtOnce = 4;

  /// Where experts lie in `last`, in bytes: one in each half of `experts`. They lie in pairs, so that those of 32
  /// lanes, whatever they are, stand in different banks.
  MOECARLO_HOST_DEVICE static std::uint32_t places(std::uint32_t experts) {
    return 2 * kStackLanes * experts - (2 * kStackLanes - 2) * (experts & 0x10001U);
  }
  MOECARLO_HOST_DEVICE std::uint16_t& last_of(std::uint32_t expert) const { return at_byte(last, places(expert)); }
  MOECARLO_HOST_DEVICE std::uint32_t& word(std::uint32_t slot) const {
    return at_byte(slots, slot / 8 * (4 * kStackLanes));
  }
  MOECARLO_HOST_DEVICE std::uint32_t slot_of(std::uint32_t last_touch) const {
    return last_touch & ((1U << shape.bucket_shift) - 1);
  }
  MOECARLO_HOST_DEVICE static std::uint32_t first_bits(std::uint32_t count) {
    return count < 8 ? (1U << count) - 1 : 0xffU;
  }

  /// Distinct experts of this pass so far.
  MOECARLO_HOST_DEVICE std::uint32_t distinct() const { return next - base; }

  /// What `last` has of an expert when an episode begins, in all lanes: nothing in the cache, or all experts by rank.
  MOECARLO_HOST_DEVICE std::uint32_t first_slot(std::uint32_t expert, bool warm) const {
    return warm ? shape.window - shape.oldest_slots() + expert : shape.window;
  }

  /// The rest of an episode's beginning.
  MOECARLO_HOST_DEVICE void start(bool warm) {
    word(shape.window) = shape.experts << 16;
    base = shape.window;
    if (warm) occupy_oldest(shape.experts);
  }

  MOECARLO_HOST_DEVICE void occupy_oldest(std::uint32_t count) {
    base = shape.window - shape.oldest_slots();
    for (std::uint32_t place = 0; place < shape.oldest_slots(); place += 8) {
      word(base + place) = place << 16 | first_bits(count > place ? count - place : 0);
    }
  }

  MOECARLO_HOST_DEVICE void open_pass() {
    if (base < shape.block) move_together();
    end = base;
    base -= shape.block;
    next = base;
  }

  /// The bucket that the position of an older pass's slot was in when this pass began.
  MOECARLO_HOST_DEVICE std::uint32_t bucket_of(std::uint32_t slot) const {
    const std::uint32_t own = word(slot);
    const std::uint32_t before = own & (slot_bit(slot) - 0x101U);
    return buckets[(own >> 16) + static_cast<std::uint32_t>(__builtin_popcount(before))];
  }

  /// What changes in the word of an older pass's slot when its expert leaves it.
  MOECARLO_HOST_DEVICE static std::uint32_t slot_bit(std::uint32_t slot) { return 0x101U << (slot & 7); }

  /// An expert leaves an older pass's slot, where it stood there.
  MOECARLO_HOST_DEVICE void leave(std::uint32_t slot, bool stood) const {
    flip_in_place(word(slot), stood ? slot_bit(slot) : 0);
  }

  /// The pass becomes the newest of the stack.
  MOECARLO_HOST_DEVICE void close_pass() const {
    std::uint32_t newer = 0;
    for (std::uint32_t slot = base; slot < end; slot += 8) {
      const std::uint32_t occupied = first_bits(next > slot ? next - slot : 0);
      word(slot) = newer << 16 | occupied;
      newer += static_cast<std::uint32_t>(__builtin_popcount(occupied));
    }
    std::uint32_t slot = end;
    for (; slot + 8 * kWordsAtOnce <= shape.window; slot += 8 * kWordsAtOnce) count_newer<kWordsAtOnce>(slot, newer);
    for (; slot < shape.window; slot += 8) count_newer<1>(slot, newer);
  }

  /// Brings the words from a slot on up to date, and `newer`, the occupied slots before them.
  template <std::uint32_t Words>
  MOECARLO_HOST_DEVICE void count_newer(std::uint32_t slot, std::uint32_t& newer) const {
    std::uint32_t occupied[Words];  // all are loaded before the first is written
    for (std::uint32_t w = 0; w < Words; ++w) occupied[w] = word(slot + 8 * w) & 0xffU;
    for (std::uint32_t w = 0; w < Words; ++w) {
      word(slot + 8 * w) = newer << 16 | occupied[w];
      newer += static_cast<std::uint32_t>(__builtin_popcount(occupied[w]));
    }
  }

  /// After close_pass.
  MOECARLO_HOST_DEVICE void move_together() {
    const std::uint32_t oldest = shape.window - shape.oldest_slots();
    for (std::uint32_t expert = 0; expert < shape.experts; ++expert) {
      const std::uint32_t slot = slot_of(last_of(expert));
      if (slot == shape.window) continue;
      const std::uint32_t own = word(slot);
      const std::uint32_t before = (1U << (slot & 7)) - 1;
      const std::uint32_t position = (own >> 16) + static_cast<std::uint32_t>(__builtin_popcount(own & before));
      last_of(expert) = static_cast<std::uint16_t>(oldest + position);
    }
    const std::uint32_t final_word = word(shape.window - 8);
    occupy_oldest((final_word >> 16) + static_cast<std::uint32_t>(__builtin_popcount(final_word & 0xffU)));
  }
};

}  // namespace moecarlo
