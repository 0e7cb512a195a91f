#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace moecarlo::hdf5 {

/// What may have been done to the bytes of a chunk before they were stored.
enum class ChunkFilter : std::uint64_t { shuffle, deflate };

/// How the chunks of a dataset lie, where they can be read without the library. They are numbered in the order of their
/// places, the last extent first.
struct ChunkLayout {
  std::vector<std::uint64_t> extents;  ///< of the dataset; none where the library has to read it
  std::vector<std::uint64_t> chunk;    ///< extents of a chunk, each at least 1
  std::vector<ChunkFilter> filters;    ///< in the order in which they were applied, each once at most
  std::uint64_t element_bytes = 1;

  bool readable() const { return !extents.empty(); }
  std::uint64_t chunk_bytes() const;
  /// The most that a chunk takes in a file: deflate adds next to nothing to what it cannot shrink.
  std::uint64_t largest_stored_bytes() const { return chunk_bytes() + chunk_bytes() / 256 + 1024; }
  /// Chunks that hold parts of the same rows.
  std::uint64_t chunks_per_row() const;
};

/// A chunk as it stands in the file, and which filters were left out (bit i: the i-th).
struct StoredChunk {
  std::span<const std::byte> bytes;
  std::uint64_t left_out = 0;
};

/// Rows of a dataset that are wanted, and where they go, without gaps.
struct WantedRows {
  std::uint64_t first = 0, count = 0;
  char* out = nullptr;
};

/// The most that a chunk of a file of this size may hold. Reading takes about four times as much.
std::uint64_t largest_chunk_bytes(std::uint64_t file_bytes);

/// Undoes the filters of chunks number first, first + 1, ... on all cores, as far as there is memory for that, and puts
/// the parts of them that are wanted in their place. What its filters do not make of anything is an `Error` of kind
/// input; `name` is that of the dataset.
void unpack_chunks(const std::string& name, const ChunkLayout& layout, std::uint64_t first,
                   std::span<const StoredChunk> chunks, const WantedRows& wanted);

}  // namespace moecarlo::hdf5
