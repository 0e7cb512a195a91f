#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace moecarlo {

/// Inflates zlib streams (RFC 1950), which end with a checksum. Keeps its tables for the next; for one thread at a
/// time. By libdeflate where the program was built with it, else by zlib, which takes two to three times as long.
class Inflater {
 public:
  Inflater();
  ~Inflater();
  Inflater(Inflater&&) noexcept;
  Inflater& operator=(Inflater&&) = delete;

  /// False unless `stored` begins with a stream that is whole and fills `out` exactly.
  bool inflate(std::span<const std::byte> stored, std::span<std::byte> out);

 private:
  struct Tables;
  std::unique_ptr<Tables> tables_;
};

/// Undoes HDF5's shuffle: the bytes of elements, all first bytes first, then all second ones and so on, become elements
/// again; what is left over behind the last whole element stands at the end as it was. The spans are equally long and
/// do not overlap.
void unshuffle(std::span<const std::byte> stored, std::size_t element_bytes, std::span<std::byte> out);

}  // namespace moecarlo
