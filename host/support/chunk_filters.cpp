#include "host/support/chunk_filters.hpp"

#ifdef MOECARLO_HAVE_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

#include <bit>
#include <cstring>
#include <new>

namespace moecarlo {

#ifdef MOECARLO_HAVE_LIBDEFLATE

struct Inflater::Tables {
  Tables() : decompressor(libdeflate_alloc_decompressor()) {
    if (decompressor == nullptr) throw std::bad_alloc();
  }
  ~Tables() { libdeflate_free_decompressor(decompressor); }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  libdeflate_decompressor* decompressor;
};

bool Inflater::inflate(std::span<const std::byte> stored, std::span<std::byte> out) {
  return libdeflate_zlib_decompress(tables_->decompressor, stored.data(), stored.size(), out.data(), out.size(),
                                    nullptr) == LIBDEFLATE_SUCCESS;
}

#else

struct Inflater::Tables {};

bool Inflater::inflate(std::span<const std::byte> stored, std::span<std::byte> out) {
  uLongf size = out.size();
  return ::uncompress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(stored.data()),
                      stored.size()) == Z_OK &&
         size == out.size();
}

#endif

Inflater::Inflater() : tables_(std::make_unique<Tables>()) {}
Inflater::~Inflater() = default;
Inflater::Inflater(Inflater&&) noexcept = default;

namespace {

/// Elements of a width that the compiler knows: it puts them together a vector at a time.
template <class Unsigned>
void unshuffle_as(const std::byte* stored, std::size_t elements, std::byte* out) {
  static_assert(std::endian::native == std::endian::little);
  constexpr std::size_t width = sizeof(Unsigned);
  for (std::size_t i = 0; i < elements; ++i) {
    Unsigned element = 0;
    for (std::size_t b = 0; b < width; ++b) {
      element |= static_cast<Unsigned>(static_cast<Unsigned>(stored[b * elements + i]) << (8 * b));
    }
    std::memcpy(out + i * width, &element, width);
  }
}

}  // namespace

void unshuffle(std::span<const std::byte> stored, std::size_t element_bytes, std::span<std::byte> out) {
  const std::size_t elements = stored.size() / element_bytes, whole = elements * element_bytes;
  switch (element_bytes) {
    case 2:
      unshuffle_as<std::uint16_t>(stored.data(), elements, out.data());
      break;
    case 4:
      unshuffle_as<std::uint32_t>(stored.data(), elements, out.data());
      break;
    default:
      for (std::size_t b = 0; b < element_bytes; ++b) {
        for (std::size_t i = 0; i < elements; ++i) out[i * element_bytes + b] = stored[b * elements + i];
      }
  }
  std::memcpy(out.data() + whole, stored.data() + whole, stored.size() - whole);
}

}  // namespace moecarlo
