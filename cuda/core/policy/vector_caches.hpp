#pragma once

#include "cuda/core/policy/list_cache.hpp"

#if defined(__AVX512VBMI2__) && !defined(__CUDACC__)
#define MOECARLO_VECTOR_CACHES
#include <immintrin.h>

namespace moecarlo {

// The list policies again, for small caches on processors with AVX-512 (VBMI2): a list is a vector of bytes, in which a
// reference moves whoever stands between two places by one. No branch depends on which references hit, so that none is
// mispredicted; linked lists spend half of their time on that. The rules are those of slru.hpp, lfu.hpp and random.hpp.

/// Most slots, objects and references of an object in a cache whose list is one vector.
constexpr std::uint32_t kVectorSlots = 64, kVectorObjects = 256, kVectorUses = 65535;
/// With fewer objects the state would not fit the memory of the linked lists, where it stands.
constexpr std::uint32_t kLeastVectorObjects = 16;

typedef std::uint8_t ByteVector __attribute__((vector_size(64)));

/// Byte i is first + i.
MOECARLO_HOST_DEVICE __m512i bytes_from(std::uint32_t first) {
  const ByteVector ascending = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
                                44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  return reinterpret_cast<__m512i>(ascending + static_cast<std::uint8_t>(first));
}

/// The objects that a pass references, the last one first.
struct ReferenceList {
  std::uint8_t objects[kVectorObjects + 64];
  std::uint32_t count = 0;

  /// The objects 0 .. length - 1, length <= kVectorSlots.
  MOECARLO_HOST_DEVICE static ReferenceList first(std::uint32_t length) {
    ReferenceList list;
    _mm512_storeu_si512(list.objects, bytes_from(0));
    list.count = length;
    return list;
  }

  /// last: [tokens], see last_touches.
  template <int Words>
  MOECARLO_HOST_DEVICE void list(const ExpertMask<Words>* last, std::uint32_t tokens) {
    std::uint32_t end = 0;
    for (std::uint32_t i = tokens; i-- > 0;) {
      for (std::uint32_t w = 0; w < Words; ++w) {
        const __m512i members = bytes_from(64 * w);
        _mm512_storeu_si512(objects + end, _mm512_maskz_compress_epi8(last[i].word[w], members));
        end += count_bits(last[i].word[w]);
      }
    }
    count = end;
  }
};

/// Places a .. b of a list, as bits of a word. a <= b < 64
MOECARLO_HOST_DEVICE std::uint64_t places(std::uint32_t a, std::uint32_t b) {
  return ~std::uint64_t{0} << a & ~std::uint64_t{0} >> (63 - b);
}

/// A list of up to kVectorSlots objects, its front first.
struct VectorList {
  __m512i objects;
  std::uint32_t length;

  /// The place of an object; 64 where it is not in the list.
  MOECARLO_HOST_DEVICE std::uint32_t place_of(std::uint32_t object) const {
    const __mmask64 same = _mm512_mask_cmpeq_epi8_mask(_bzhi_u64(~std::uint64_t{0}, length), objects,
                                                       _mm512_set1_epi8(static_cast<char>(object)));
    return static_cast<std::uint32_t>(_tzcnt_u64(same));
  }

  /// Puts an object to place `to`; those from there on move back by one, up to place `from`, whose object is gone.
  MOECARLO_HOST_DEVICE void move(std::uint32_t object, std::uint32_t from, std::uint32_t to) {
    objects = _mm512_mask_permutexvar_epi8(objects, places(to, from), bytes_from(~0U), objects);
    const __m512i own = _mm512_set1_epi8(static_cast<char>(object));
    objects = _mm512_mask_mov_epi8(objects, std::uint64_t{1} << to, own);
  }

  /// The object at a place.
  MOECARLO_HOST_DEVICE std::uint32_t at(std::uint32_t place) const {
    const __m512i index = _mm512_set1_epi8(static_cast<char>(place));
    const __m512i found = _mm512_maskz_permutexvar_epi8(1, index, objects);
    return reinterpret_cast<ByteVector>(found)[0];
  }

  /// Writes the list to the nodes of its cache, and the resident bits.
  MOECARLO_HOST_DEVICE void store(const CacheState& cache) const {
    _mm512_storeu_si512(cache.nodes, objects);
    cache.counts->residents = length;
    const std::uint32_t words = ListCache::resident_words(cache.objects);
    const auto* members = reinterpret_cast<const std::uint8_t*>(cache.nodes);
    std::uint8_t resident[kVectorObjects];
    for (std::uint32_t w = 0; w < words; ++w) _mm512_storeu_si512(resident + 64 * w, _mm512_setzero_si512());
    for (std::uint32_t i = 0; i < length; ++i) resident[members[i]] = 1;
    for (std::uint32_t w = 0; w < words; ++w) {
      const __m512i marks = _mm512_loadu_si512(resident + 64 * w);
      cache.bits[w] = _mm512_test_epi8_mask(marks, marks);
    }
  }
};

/// The part of a cache that both policies below share.
struct VectorCache {
  const ListCache& cache;
  VectorList list;

  MOECARLO_HOST_DEVICE explicit VectorCache(const ListCache& of)
      : cache(of), list{_mm512_loadu_si512(of.nodes), of.counts->residents} {}

  MOECARLO_HOST_DEVICE bool full() const { return list.length == cache.capacity; }

  /// The place that a reference sets free: the object's own, else the one after the last, else that of the victim,
  /// which is always the last. `Full`: the cache is full, and stays so.
  template <bool Full>
  MOECARLO_HOST_DEVICE std::uint32_t place_to_fill(std::uint32_t place) {
    if constexpr (!Full) {
      const bool grows = place == 64 && !full();
      const std::uint32_t last = full() ? cache.capacity - 1 : list.length;
      list.length += grows ? 1 : 0;
      return place < last ? place : last;
    }
    return place < cache.capacity - 1 ? place : cache.capacity - 1;
  }
};

/// A cache under Slru as a list: first the protected segment, then probation.
struct VectorSlru : VectorCache {
  std::uint32_t kept;  ///< protected residents

  MOECARLO_HOST_DEVICE explicit VectorSlru(const ListCache& of)
      : VectorCache(of), kept(of.counts->protected_residents) {}

  template <bool Full>
  MOECARLO_HOST_DEVICE void reference(std::uint32_t object) {
    const std::uint32_t place = list.place_of(object);
    const std::uint32_t from = place_to_fill<Full>(place);
    // A newcomer comes after the protected, of which one goes where nobody is on probation; whoever is used again comes
    // first. Then the protected segment, if it is over its size, gives its back to probation, whose front is next to
    // it.
    const std::uint32_t misses = 0U - (place >> 6);  // all bits, or none: place is 64 at a miss
    const std::uint32_t remaining = kept < from ? kept : from;
    const std::uint32_t used_again = kept + (place >= kept ? 1 : 0);
    const std::uint32_t at_most = used_again < cache.protected_capacity ? used_again : cache.protected_capacity;
    list.move(object, from, remaining & misses);
    kept = (remaining & misses) | (at_most & ~misses);
  }

  MOECARLO_HOST_DEVICE void store() const {
    cache.counts->protected_residents = kept;
    list.store(cache);
  }
};

/// A cache under Lfu as a list by descending uses, then by recency; behind it stand the uses by place and the uses by
/// object, 0 for those that are not resident. Less than 2^16 uses of an object; capacity <= 32 * Parts
template <int Parts>
struct VectorLfu : VectorCache {
  __m512i uses[Parts];
  std::uint16_t* by_place;
  std::uint16_t* by_object;

  MOECARLO_HOST_DEVICE explicit VectorLfu(const ListCache& of)
      : VectorCache(of), by_place(reinterpret_cast<std::uint16_t*>(of.nodes) + 32), by_object(by_place + 32 * Parts) {
    const bool empty = list.length == 0;
    for (int part = 0; part < Parts; ++part) {
      uses[part] = empty ? _mm512_setzero_si512() : _mm512_loadu_si512(by_place + 32 * part);
    }
    for (std::uint32_t object = 0; empty && object < cache.objects; ++object) by_object[object] = 0;
  }

  template <bool Full>
  MOECARLO_HOST_DEVICE void reference(std::uint32_t object) {
    const std::uint32_t place = list.place_of(object);
    const std::uint32_t victim = list.at(cache.capacity - 1);
    const std::uint32_t evicts = 0U - (place >> 6 & (Full || full() ? 1U : 0U));  // all bits, or none
    const std::uint32_t from = place_to_fill<Full>(place);
    const auto now = static_cast<std::uint16_t>(by_object[object] + 1);
    const __m512i own = _mm512_set1_epi16(static_cast<short>(now));
    std::uint32_t ahead = 0;  // residents of more uses
    for (int part = 0; part < Parts; ++part) ahead += count_bits(_mm512_cmpgt_epu16_mask(uses[part], own));
    const std::uint32_t to = ahead < from ? ahead : from;
    const std::uint64_t moved = places(to, from), placed = std::uint64_t{1} << to;
    for (int part = Parts; part-- > 0;) {
      const __m512i before = part > 0 ? uses[part - 1] : own;
      const auto here = static_cast<__mmask32>(moved >> 32 * part);
      uses[part] = _mm512_mask_mov_epi16(uses[part], here, one_back(before, uses[part]));
      uses[part] = _mm512_mask_mov_epi16(uses[part], static_cast<__mmask32>(placed >> 32 * part), own);
    }
    by_object[object ^ ((object ^ victim) & evicts)] = 0;
    by_object[object] = now;
    list.move(object, from, to);
  }

  /// The last number of `before`, then the numbers of `words` but its last.
  MOECARLO_HOST_DEVICE static __m512i one_back(__m512i before, __m512i words) {
    typedef std::uint16_t WordVector __attribute__((vector_size(64)));
    const WordVector from = {31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46,
                             47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62};
    return _mm512_permutex2var_epi16(before, reinterpret_cast<__m512i>(from), words);
  }

  MOECARLO_HOST_DEVICE void store() const {
    for (int part = 0; part < Parts; ++part) _mm512_storeu_si512(by_place + 32 * part, uses[part]);
    list.store(cache);
  }
};

template <bool Full, class Cache>
MOECARLO_HOST_DEVICE void reference_four(Cache& a, Cache& b, Cache& c, Cache& d, const ReferenceList* references) {
  const auto count = [&](const Cache& cache, int i)
                         MOECARLO_INLINED { return cache.cache.capacity == 0 ? 0 : references[i].count; };
  std::uint32_t left[4] = {count(a, 0), count(b, 1), count(c, 2), count(d, 3)};
  const std::uint32_t fewer = left[0] < left[1] ? left[0] : left[1];
  const std::uint32_t fewest = left[2] < left[3] ? left[2] : left[3];
  for (std::uint32_t i = fewer < fewest ? fewer : fewest; i > 0; --i) {
    a.template reference<Full>(references[0].objects[--left[0]]);
    b.template reference<Full>(references[1].objects[--left[1]]);
    c.template reference<Full>(references[2].objects[--left[2]]);
    d.template reference<Full>(references[3].objects[--left[3]]);
  }
  while (left[0] > 0) a.template reference<Full>(references[0].objects[--left[0]]);
  while (left[1] > 0) b.template reference<Full>(references[1].objects[--left[1]]);
  while (left[2] > 0) c.template reference<Full>(references[2].objects[--left[2]]);
  while (left[3] > 0) d.template reference<Full>(references[3].objects[--left[3]]);
}

/// One pass of four caches, those of different layers, as each reference of a cache waits for the one before it.
template <class Cache>
MOECARLO_HOST_DEVICE void reference_four(const ListCache* caches, const ReferenceList* references) {
  Cache a(caches[0]), b(caches[1]), c(caches[2]), d(caches[3]);
  if (a.full() && b.full() && c.full() && d.full()) {
    reference_four<true>(a, b, c, d, references);
  } else {
    reference_four<false>(a, b, c, d, references);
  }
  a.store();
  b.store();
  c.store();
  d.store();
}

/// One pass of references under RandomEviction, whose slots are as everywhere. `draws(i)`: blocks 8 i .. 8 i + 7 of the
/// pass's random words.
template <int Words, class Draws>
MOECARLO_HOST_DEVICE void reference_random(const CacheState& cache, const ReferenceList& references,
                                           const Draws& draws) {
  if (cache.capacity == 0) return;
  std::uint8_t resident[kVectorObjects];
  for (int w = 0; w < Words; ++w) {
    _mm512_storeu_si512(resident + 64 * w, _mm512_maskz_set1_epi8(cache.bits[w], 1));
  }
  std::uint32_t length = cache.counts->residents, used = 0, drawn_words = 0;
  RandomBlocks<8> blocks{};
  for (std::uint32_t i = references.count; i-- > 0;) {
    const std::uint32_t object = references.objects[i];
    const bool misses = resident[object] == 0;
    if (length < cache.capacity) {
      cache.slots[length] = object;  // holds nothing yet
      length += misses ? 1 : 0;
    } else {
      if (used == drawn_words) {
        blocks = draws(used / 32);
        drawn_words += 32;
      }
      const std::uint64_t draw = blocks.word[used % 4][used % 32 / 4];
      const auto slot = static_cast<std::uint32_t>(draw * cache.capacity >> 32);
      const std::uint32_t drawn = cache.slots[slot];
      cache.slots[slot] = misses ? object : drawn;
      resident[misses ? drawn : object] = 0;
      used += misses ? 1 : 0;
    }
    resident[object] = 1;
  }
  cache.counts->residents = length;
  for (int w = 0; w < Words; ++w) {
    const __m512i marks = _mm512_loadu_si512(resident + 64 * w);
    cache.bits[w] = _mm512_test_epi8_mask(marks, marks);
  }
}

/// One pass of the caches of four layers. `evictions[i]`: whom cache i evicts.
///
/// Not inlined, as the code around it would leave it few registers; of internal linkage, so that each instruction set
/// has its own.
template <int Words>
[[gnu::noinline]] static void reference_random_four(const ListCache* caches, const ReferenceList* references,
                                                    const DrawAddress* evictions) {
  for (int i = 0; i < 4; ++i) {
    reference_random<Words>(caches[i], references[i], [&](std::uint32_t eight) MOECARLO_INLINED {
      DrawAddress at = evictions[i];
      at.column = eight / 8;
      return at.blocks<8>(eight % 8 * 8);
    });
  }
}

/// One pass of the caches of four layers, all under one policy. most: the largest of their capacities.
/// `evictions`: see reference_random_four.
template <int Words>
MOECARLO_HOST_DEVICE void reference_four(Policy policy, std::uint32_t most, const ListCache* caches,
                                         const ReferenceList* references, const DrawAddress* evictions) {
  switch (policy) {
    case Policy::slru:
      return reference_four<VectorSlru>(caches, references);
    case Policy::lfu:
      return most <= 32 ? reference_four<VectorLfu<1>>(caches, references)
                        : reference_four<VectorLfu<2>>(caches, references);
    default:
      return reference_random_four<Words>(caches, references, evictions);
  }
}

}  // namespace moecarlo

#endif
