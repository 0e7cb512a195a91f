#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace moecarlo::hdf5 {

/// The element types the project reads and writes. Either byte order is read, except for float16 (little-endian only).
enum class Element { int8, uint8, int16, uint16, int32, uint32, int64, uint64, float16, float32, float64 };

std::size_t size_in_bytes(Element element);
const char* to_string(Element element);
constexpr bool is_integer(Element element) {
  return element < Element::float16;
}

/// The element a C++ type is stored as. float16 has no C++ type here; it travels as its 16 bits.
template <class T>
constexpr Element element_of() {
  if constexpr (std::is_same_v<T, float>) return Element::float32;
  if constexpr (std::is_same_v<T, double>) return Element::float64;
  constexpr int width = sizeof(T) == 1 ? 0 : sizeof(T) == 2 ? 2 : sizeof(T) == 4 ? 4 : 6;
  return static_cast<Element>(width + (std::is_signed_v<T> ? 0 : 1));
}

/// Calls visit(T{}) with the C++ type of an integer element.
template <class Visit>
decltype(auto) with_integer_type(Element element, Visit&& visit) {
  switch (element) {
    case Element::int8:
      return visit(std::int8_t{});
    case Element::uint8:
      return visit(std::uint8_t{});
    case Element::int16:
      return visit(std::int16_t{});
    case Element::uint16:
      return visit(std::uint16_t{});
    case Element::int32:
      return visit(std::int32_t{});
    case Element::uint32:
      return visit(std::uint32_t{});
    case Element::int64:
      return visit(std::int64_t{});
    default:
      return visit(std::uint64_t{});
  }
}

}  // namespace moecarlo::hdf5
