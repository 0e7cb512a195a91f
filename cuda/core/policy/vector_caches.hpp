#pragma once

#include "cuda/core/policy/list_cache.hpp"
#include "cuda/core/policy/slot_bytes.hpp"

namespace moecarlo {
/// Layers whose caches are handled together where lists are vectors.
constexpr int kVectorLayers = 8;

/// The rules that have such a form; all others keep linked lists on every processor.
MOECARLO_HOST_DEVICE constexpr bool has_vectors(Policy policy) {
  return policy == Policy::slru || policy == Policy::lfu || policy == Policy::lfu_kept || policy == Policy::random;
}
}  // namespace moecarlo

#if defined(MOECARLO_VECTOR_CACHES)
namespace moecarlo {

// The list policies again, for small caches on processors with AVX-512 (VBMI2): a list is a vector of bytes, in which a
// reference moves whoever stands between two places by one. No branch depends on which references hit, so that none is
// mispredicted; linked lists spend half of their time on that, and lfu-kept walks along them. The rules are those of
// slru.hpp, lfu.hpp, lfu_kept.hpp and random.hpp.
// A set of places of a list is a word, the front bit 0.

/// Most slots and objects of such a cache, and most references of an object where they are counted (lfu,
/// lfu-kept).
constexpr std::uint32_t kVectorSlots = 64, kVectorObjects = 256, kVectorUses = 255;
/// With fewer objects the state would not fit the memory of the linked lists, where it stands.
constexpr std::uint32_t kLeastVectorObjects = 8;
typedef std::uint64_t WordVector __attribute__((vector_size(64), may_alias));

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

/// The objects of a list in the memory of its cache.
MOECARLO_HOST_DEVICE std::uint8_t* resident_bytes(const CacheState& cache) {
  return reinterpret_cast<std::uint8_t*>(cache.nodes);
}

/// A cache of up to `Slots` places as a list in the order of a key, the highest first, and then of recency; the last is
/// the victim. Behind the objects stand their keys by place, 0 for whoever has been used once, and past the list.
template <int Slots>
struct VectorCache {
  using Bytes = SlotBytes<Slots>;
  using Places = typename Bytes::Places;

  const ListCache& cache;
  Bytes objects, keys;
  Places slots;   ///< places that there are
  Places listed;  ///< places of residents
  Places last;    ///< the place that a miss takes from the others: that after the residents, else the last

  MOECARLO_HOST_DEVICE explicit VectorCache(const ListCache& of)
      : cache(of),
        objects(Bytes::load(resident_bytes(of))),
        keys(Bytes::load(resident_bytes(of) + Slots)),
        slots(first_places(of.capacity)),
        listed(first_places(of.counts->residents)) {
    keys.put(Bytes::all(0), static_cast<Places>(~listed));
    find_last();
  }

  MOECARLO_HOST_DEVICE static Places first_places(std::uint32_t count) {
    return static_cast<Places>(_bzhi_u64(~std::uint64_t{0}, count));
  }

  MOECARLO_HOST_DEVICE bool full() const { return listed == slots; }

  MOECARLO_HOST_DEVICE void find_last() {
    const auto next = static_cast<Places>(_blsi_u64(~std::uint64_t{listed}) & slots);
    last = next != 0 ? next : slots ^ slots >> 1;
  }

  /// One use of an object. Full: the cache is full, and stays so. active: all places, or none where nothing is to
  /// happen. key(hit): the new key of the object, where `hit` is its place, or none.
  template <bool Full, class Key>
  MOECARLO_HOST_DEVICE void reference(std::uint32_t object, Places active, const Key& key) {
    const Bytes own = Bytes::all(object);
    Places hit = objects.equal(own);  // also past a full list; no key there, and no place that counts
    if constexpr (!Full) hit = Bytes::both(hit, listed);
    // The first of `found` comes free: less 1 it turns into all places before it.
    const Places found = Bytes::either(hit, last), less = Bytes::sum(found, static_cast<Places>(~Places{0}));
    const Bytes now = key(hit);
    const Places ahead = keys.above(Bytes::without(less, found), now);
    const Places moved = Bytes::differ(Bytes::differ(found, less), ahead) & active;
    const Places first = Bytes::sum(ahead, 1) & active;
    objects.move_back(moved);
    objects.put(own, first);
    keys.move_back(moved);
    keys.put(now, first);
    if constexpr (!Full) {
      listed |= static_cast<Places>(_blsi_u64(found) & active);
      find_last();
    }
  }

  MOECARLO_HOST_DEVICE void store() const {
    objects.store(resident_bytes(cache));
    keys.store(resident_bytes(cache) + Slots);
    cache.counts->residents = count_bits(std::uint64_t{listed});
  }
};

/// A cache under Slru: first the protected segment, of key 1, then probation. The protected segment, if it is over its
/// size, gives its back to probation, whose front is next to it.
template <int Slots>
struct VectorSlru : VectorCache<Slots> {
  using typename VectorCache<Slots>::Bytes, typename VectorCache<Slots>::Places;

  Bytes resident_key;
  Places unprotected;  ///< places

  MOECARLO_HOST_DEVICE explicit VectorSlru(const ListCache& of)
      : VectorCache<Slots>(of), unprotected(static_cast<Places>(~this->first_places(of.protected_capacity))) {
    resident_key = Bytes::all(0);
    resident_key.put(Bytes::all(1), this->slots);
  }

  template <bool Full>
  MOECARLO_HOST_DEVICE void reference(std::uint32_t object, Places active) {
    VectorCache<Slots>::template reference<Full>(
        object, active, [&](Places hit) MOECARLO_INLINED { return resident_key.first_of(hit); });
    this->keys.put(Bytes::all(0), unprotected);
  }
};

/// A cache under Lfu: the key is one less than the uses.
template <int Slots>
struct VectorLfu : VectorCache<Slots> {
  using typename VectorCache<Slots>::Bytes, typename VectorCache<Slots>::Places;
  using VectorCache<Slots>::VectorCache;

  template <bool Full>
  MOECARLO_HOST_DEVICE void reference(std::uint32_t object, Places active) {
    VectorCache<Slots>::template reference<Full>(object, active, [&](Places hit) MOECARLO_INLINED {
      Bytes now = this->keys.first_of(hit);
      now.count_on();
      return now;
    });
  }
};

/// A cache under LfuKept: the key is one less than the uses, which stand behind the keys for every object, and are 0
/// where the lists are cleared.
template <int Slots>
struct VectorLfuKept : VectorCache<Slots> {
  using typename VectorCache<Slots>::Bytes, typename VectorCache<Slots>::Places;

  std::uint8_t* uses;

  MOECARLO_HOST_DEVICE explicit VectorLfuKept(const ListCache& of)
      : VectorCache<Slots>(of), uses(resident_bytes(of) + 2 * Slots) {}

  template <bool Full>
  MOECARLO_HOST_DEVICE void reference(std::uint32_t object, Places active) {
    const std::uint8_t before = uses[object];
    uses[object] = static_cast<std::uint8_t>(before + (active & 1U));
    VectorCache<Slots>::template reference<Full>(object, active,
                                                 [&](Places) MOECARLO_INLINED { return Bytes::all(before); });
  }
};

template <bool Full, class Cache>
MOECARLO_HOST_DEVICE void reference_four(Cache& a, Cache& b, Cache& c, Cache& d, const ReferenceList* references) {
  using Places = typename Cache::Places;
  constexpr auto kActive = static_cast<Places>(~Places{0});
  const auto left = [&](const Cache& cache, int i)
                        MOECARLO_INLINED { return cache.slots == 0 ? 0 : std::int64_t{references[i].count}; };
  std::int64_t left_a = left(a, 0), left_b = left(b, 1), left_c = left(c, 2), left_d = left(d, 3);
  for (; left_a > 0 && left_b > 0 && left_c > 0 && left_d > 0; --left_a, --left_b, --left_c, --left_d) {
    a.template reference<Full>(references[0].objects[left_a - 1], kActive);
    b.template reference<Full>(references[1].objects[left_b - 1], kActive);
    c.template reference<Full>(references[2].objects[left_c - 1], kActive);
    d.template reference<Full>(references[3].objects[left_d - 1], kActive);
  }
  const auto go_on = [&](Cache& cache, const ReferenceList& list, std::int64_t left_of_it) MOECARLO_INLINED {
    const std::int64_t active = -left_of_it >> 63;
    cache.template reference<Full>(list.objects[(left_of_it - 1) & active], static_cast<Places>(active));
  };
  for (; left_a > 0 || left_b > 0 || left_c > 0 || left_d > 0; --left_a, --left_b, --left_c, --left_d) {
    go_on(a, references[0], left_a);
    go_on(b, references[1], left_b);
    go_on(c, references[2], left_c);
    go_on(d, references[3], left_d);
  }
}

/// One pass of the caches of kVectorLayers layers, four at a time, as each reference of a cache waits for the one
/// before it.
template <class Cache>
MOECARLO_HOST_DEVICE void reference_ordered(const ListCache* caches, const ReferenceList* references) {
  for (int i = 0; i < kVectorLayers; i += 4) {
    Cache a(caches[i]), b(caches[i + 1]), c(caches[i + 2]), d(caches[i + 3]);
    if (a.full() && b.full() && c.full() && d.full()) {
      reference_four<true>(a, b, c, d, references + i);
    } else {
      reference_four<false>(a, b, c, d, references + i);
    }
    a.store();
    b.store();
    c.store();
    d.store();
  }
}

/// Under Slru, Lfu or LfuKept. Not inlined, so that the code around it leaves it the registers; of internal linkage, so
/// that each instruction set has its own.
template <int Slots>
[[gnu::noinline]] static void reference_ordered(Policy policy, const ListCache* caches,
                                                const ReferenceList* references) {
  if (policy == Policy::slru) {
    reference_ordered<VectorSlru<Slots>>(caches, references);
  } else if (policy == Policy::lfu_kept) {
    reference_ordered<VectorLfuKept<Slots>>(caches, references);
  } else {
    reference_ordered<VectorLfu<Slots>>(caches, references);
  }
}

/// The resident bits of a cache from its list.
template <int Words>
MOECARLO_HOST_DEVICE void mark_residents(const ListCache& cache) {
  typedef std::uint8_t EightBytes __attribute__((vector_size(8), aligned(1), may_alias));
  WordVector resident[Words] = {};
  for (std::uint32_t i = 0; i < cache.counts->residents; i += 8) {
    const auto* const bytes = reinterpret_cast<const EightBytes*>(resident_bytes(cache) + i);
    const WordVector object = __builtin_convertvector(*bytes, WordVector);
    const auto eight = static_cast<__mmask8>(_bzhi_u32(255, cache.counts->residents - i));
    for (int w = 0; w < Words; ++w) {  // a shift by 64 places or more, also by what is below 0, leaves nothing
      const auto place = reinterpret_cast<__m512i>(object - std::uint64_t{64} * static_cast<std::uint64_t>(w));
      resident[w] |= reinterpret_cast<WordVector>(_mm512_maskz_sllv_epi64(eight, _mm512_set1_epi64(1), place));
    }
  }
  for (int w = 0; w < Words; ++w) {
    resident[w] |= __builtin_shufflevector(resident[w], resident[w], 4, 5, 6, 7, 0, 1, 2, 3);
    resident[w] |= __builtin_shufflevector(resident[w], resident[w], 2, 3, 0, 1, 6, 7, 4, 5);
    cache.bits[w] = resident[w][0] | resident[w][1];
  }
}

/// One pass of references under RandomEviction, whose slots are as everywhere. victims: where they are drawn.
template <int Words>
MOECARLO_HOST_DEVICE void reference_random(const CacheState& cache, const ReferenceList& references,
                                           DrawAddress victims) {
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
        victims.column = used / DrawAddress::kDraws;
        blocks = victims.blocks<8>(used % DrawAddress::kDraws / 4);
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

/// One pass of the caches of kVectorLayers neighbouring layers, all under one policy. most: the largest of their
/// capacities; victims: where those of the first layer are drawn. Not inlined, see reference_ordered.
template <int Words>
[[gnu::noinline]] static void reference_lists(Policy policy, std::uint32_t most, const ListCache* caches,
                                              const ReferenceList* references, DrawAddress victims) {
  if (policy == Policy::random) {
    for (int i = 0; i < kVectorLayers; ++i, ++victims.layer) {
      reference_random<Words>(caches[i], references[i], victims);
    }
    return;
  }
  if (most <= 32) {
    reference_ordered<32>(policy, caches, references);
  } else {
    reference_ordered<64>(policy, caches, references);
  }
  for (int i = 0; i < kVectorLayers; ++i) mark_residents<Words>(caches[i]);
}

}  // namespace moecarlo

#endif
