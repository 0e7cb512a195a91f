#pragma once

#include "cuda/core/hostdevice.hpp"

#if defined(__AVX512VBMI2__) && !defined(__CUDACC__)
#define MOECARLO_VECTOR_CACHES  // lists can be vectors (vector_caches.hpp)
#include <immintrin.h>

namespace moecarlo {

typedef std::uint8_t ByteVector __attribute__((vector_size(64)));

/// Byte i is first + i.
MOECARLO_HOST_DEVICE __m512i bytes_from(std::uint32_t first) {
  const ByteVector ascending = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
                                44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
  return reinterpret_cast<__m512i>(ascending + static_cast<std::uint8_t>(first));
}

/// A byte for each of `Slots` places, and sets of them. Such sets are what one vector instruction hands to the next, in
/// registers of their own: the way to a general register and back takes ten cycles on Zen 4.
template <int Slots>
struct SlotBytes;

template <>
struct SlotBytes<32> {
  using Places = __mmask32;
  __m256i value;

  MOECARLO_HOST_DEVICE static SlotBytes all(std::uint32_t number) {
    return {_mm256_set1_epi8(static_cast<char>(number))};
  }
  MOECARLO_HOST_DEVICE static SlotBytes load(const std::uint8_t* bytes) {
    return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes))};
  }
  MOECARLO_HOST_DEVICE void store(std::uint8_t* bytes) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(bytes), value);
  }
  MOECARLO_HOST_DEVICE Places equal(SlotBytes other) const { return _mm256_cmpeq_epi8_mask(value, other.value); }
  /// Which of `places` have more than `other`.
  MOECARLO_HOST_DEVICE Places above(Places places, SlotBytes other) const {
    return _mm256_mask_cmpgt_epu8_mask(places, value, other.value);
  }
  /// The byte at the first of `places` everywhere, 0 where there is none.
  MOECARLO_HOST_DEVICE SlotBytes first_of(Places places) const {
    return {_mm256_broadcastb_epi8(_mm256_castsi256_si128(_mm256_maskz_compress_epi8(places, value)))};
  }
  MOECARLO_HOST_DEVICE void put(SlotBytes number, Places places) {
    value = _mm256_mask_mov_epi8(value, places, number.value);
  }
  MOECARLO_HOST_DEVICE void count_on() { value = _mm256_add_epi8(value, _mm256_set1_epi8(1)); }
  /// To `places` whatever stands one place before.
  MOECARLO_HOST_DEVICE void move_back(Places places) {
    typedef std::uint8_t Half __attribute__((vector_size(32)));
    const Half before = {31, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                         15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};
    value = _mm256_mask_permutexvar_epi8(value, places, reinterpret_cast<__m256i>(before), value);
  }
  MOECARLO_HOST_DEVICE static Places sum(Places a, Places b) { return _kadd_mask32(a, b); }
  MOECARLO_HOST_DEVICE static Places either(Places a, Places b) { return _kor_mask32(a, b); }
  MOECARLO_HOST_DEVICE static Places both(Places a, Places b) { return _kand_mask32(a, b); }
  MOECARLO_HOST_DEVICE static Places differ(Places a, Places b) { return _kxor_mask32(a, b); }
  MOECARLO_HOST_DEVICE static Places without(Places a, Places b) { return _kandn_mask32(b, a); }
};

template <>
struct SlotBytes<64> {
  using Places = __mmask64;
  __m512i value;

  MOECARLO_HOST_DEVICE static SlotBytes all(std::uint32_t number) {
    return {_mm512_set1_epi8(static_cast<char>(number))};
  }
  MOECARLO_HOST_DEVICE static SlotBytes load(const std::uint8_t* bytes) { return {_mm512_loadu_si512(bytes)}; }
  MOECARLO_HOST_DEVICE void store(std::uint8_t* bytes) const { _mm512_storeu_si512(bytes, value); }
  MOECARLO_HOST_DEVICE Places equal(SlotBytes other) const { return _mm512_cmpeq_epi8_mask(value, other.value); }
  MOECARLO_HOST_DEVICE Places above(Places places, SlotBytes other) const {
    return _mm512_mask_cmpgt_epu8_mask(places, value, other.value);
  }
  MOECARLO_HOST_DEVICE SlotBytes first_of(Places places) const {
    return {_mm512_maskz_permutexvar_epi8(~Places{}, __m512i{}, _mm512_maskz_compress_epi8(places, value))};
  }
  MOECARLO_HOST_DEVICE void put(SlotBytes number, Places places) {
    value = _mm512_mask_mov_epi8(value, places, number.value);
  }
  MOECARLO_HOST_DEVICE void count_on() { value = _mm512_add_epi8(value, _mm512_set1_epi8(1)); }
  MOECARLO_HOST_DEVICE void move_back(Places places) {
    value = _mm512_mask_permutexvar_epi8(value, places, bytes_from(~0U), value);
  }
  MOECARLO_HOST_DEVICE static Places sum(Places a, Places b) { return _kadd_mask64(a, b); }
  MOECARLO_HOST_DEVICE static Places either(Places a, Places b) { return _kor_mask64(a, b); }
  MOECARLO_HOST_DEVICE static Places both(Places a, Places b) { return _kand_mask64(a, b); }
  MOECARLO_HOST_DEVICE static Places differ(Places a, Places b) { return _kxor_mask64(a, b); }
  MOECARLO_HOST_DEVICE static Places without(Places a, Places b) { return _kandn_mask64(b, a); }
};

}  // namespace moecarlo

#endif
