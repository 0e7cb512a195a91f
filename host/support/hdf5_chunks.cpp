#include "host/support/hdf5_chunks.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <span>

#include "host/support/chunk_filters.hpp"
#include "host/support/error.hpp"
#include "host/support/parallel.hpp"

namespace moecarlo::hdf5 {
namespace {

constexpr std::uint64_t memory_for_buffers = std::uint64_t{192} << 20;
constexpr std::uint64_t largest_growth = 2;                         ///< of a chunk that its filters made no smaller
constexpr std::uint64_t bytes_per_task = std::uint64_t{256} << 10;  ///< chunks of a few bytes are read many at a time

/// The part of a chunk that is wanted: its place in the chunk, in the dataset, and its extents.
struct Part {
  std::vector<std::uint64_t> in_chunk, in_dataset, size;
};

Part wanted_part(const ChunkLayout& layout, std::uint64_t number, const WantedRows& wanted) {
  const std::size_t rank = layout.extents.size();
  Part part{std::vector<std::uint64_t>(rank, 0), std::vector<std::uint64_t>(rank), std::vector<std::uint64_t>(rank)};
  for (std::size_t i = rank; i-- > 0;) {
    const std::uint64_t along = (layout.extents[i] + layout.chunk[i] - 1) / layout.chunk[i];
    const std::uint64_t from = (i == 0 ? number : number % along) * layout.chunk[i];
    number /= along;
    part.in_dataset[i] = from;
    part.size[i] = std::min(layout.chunk[i], layout.extents[i] - from);
  }
  const std::uint64_t begin = std::max(part.in_dataset[0], wanted.first);
  const std::uint64_t end = std::min(part.in_dataset[0] + part.size[0], wanted.first + wanted.count);
  part.in_chunk[0] = begin - part.in_dataset[0];
  part.in_dataset[0] = begin;
  part.size[0] = end - begin;
  return part;
}

/// Bytes from one index to the next in an array of these extents.
std::vector<std::uint64_t> strides(const std::vector<std::uint64_t>& extents, std::uint64_t element_bytes) {
  std::vector<std::uint64_t> bytes(extents.size(), element_bytes);
  for (std::size_t i = extents.size(); i-- > 1;) bytes[i - 1] = bytes[i] * extents[i];
  return bytes;
}

std::uint64_t offset_of(const std::vector<std::uint64_t>& place, const std::vector<std::uint64_t>& strides) {
  return std::inner_product(place.begin(), place.end(), strides.begin(), std::uint64_t{0});
}

/// Copies a part of a chunk to its place in the wanted rows.
class PartCopy {
 public:
  PartCopy(const ChunkLayout& layout, const Part& part)
      : part_(part),
        from_(strides(layout.chunk, layout.element_bytes)),
        to_(strides(layout.extents, layout.element_bytes)),
        last_(layout.extents.size() - 1),
        run_(part.size[last_] * layout.element_bytes) {
    // Extents that both have whole are one run of bytes with the extent before them.
    while (last_ > 0 && layout.chunk[last_] == layout.extents[last_]) run_ *= part.size[--last_];
  }

  void operator()(const std::byte* chunk, const WantedRows& wanted) const {
    copy(0, chunk + offset_of(part_.in_chunk, from_),
         wanted.out + offset_of(part_.in_dataset, to_) - wanted.first * to_[0]);
  }

 private:
  void copy(std::size_t extent, const std::byte* from, char* to) const {
    if (extent == last_) {
      std::memcpy(to, from, run_);
      return;
    }
    for (std::uint64_t i = 0; i < part_.size[extent]; ++i) {
      copy(extent + 1, from + i * from_[extent], to + i * to_[extent]);
    }
  }

  const Part& part_;
  std::vector<std::uint64_t> from_, to_;
  std::size_t last_;
  std::uint64_t run_;
};

/// Makes the bytes of one chunk after the other, with buffers that are kept.
class Decoder {
 public:
  explicit Decoder(const ChunkLayout& layout) : layout_(layout), chunk_bytes_(layout.chunk_bytes()) {}

  /// The bytes of a chunk: in `out`, where there is one and any filter to undo. Null where the chunk is damaged.
  const std::byte* decode(const StoredChunk& chunk, std::byte* out) {
    std::vector<ChunkFilter> left;  // to be undone from the back
    for (std::size_t i = 0; i < layout_.filters.size(); ++i) {
      if ((chunk.left_out >> i & 1U) == 0) left.push_back(layout_.filters[i]);
    }
    std::span<const std::byte> now = chunk.bytes;
    for (; !left.empty(); left.pop_back()) {
      const std::span<std::byte> next(left.size() == 1 && out != nullptr ? out : room(left.size() - 1), chunk_bytes_);
      if (!undo(left.back(), now, next)) return nullptr;
      now = next;
    }
    return now.size() == chunk_bytes_ ? now.data() : nullptr;
  }

 private:
  bool undo(ChunkFilter filter, std::span<const std::byte> stored, std::span<std::byte> out) {
    if (filter == ChunkFilter::deflate) return inflater_.inflate(stored, out);
    if (stored.size() != out.size()) return false;
    unshuffle(stored, layout_.element_bytes, out);
    return true;
  }

  std::byte* room(std::size_t buffer) {
    if (!buffers_[buffer]) buffers_[buffer] = std::make_unique_for_overwrite<std::byte[]>(chunk_bytes_);
    return buffers_[buffer].get();
  }

  const ChunkLayout& layout_;
  std::uint64_t chunk_bytes_;
  Inflater inflater_;
  std::unique_ptr<std::byte[]> buffers_[2];  ///< by the number of filters that are left to undo
};

}  // namespace

std::uint64_t largest_chunk_bytes(std::uint64_t file_bytes) {
  return std::clamp<std::uint64_t>(4 * std::min(file_bytes, std::uint64_t{1} << 40), std::uint64_t{64} << 20,
                                   std::uint64_t{256} << 20);
}

std::uint64_t ChunkLayout::chunk_bytes() const {
  return std::accumulate(chunk.begin(), chunk.end(), element_bytes, std::multiplies<>());
}

std::uint64_t ChunkLayout::chunks_per_row() const {
  std::uint64_t chunks = 1;
  for (std::size_t i = 1; i < extents.size(); ++i) chunks *= (extents[i] + chunk[i] - 1) / chunk[i];
  return chunks;
}

void unpack_chunks(const std::string& name, const ChunkLayout& layout, std::uint64_t first,
                   std::span<const StoredChunk> chunks, const WantedRows& wanted) {
  const std::uint64_t chunk_bytes = layout.chunk_bytes();
  const std::uint64_t per_task = std::max<std::uint64_t>(1, bytes_per_task / chunk_bytes);
  const std::uint64_t affordable = std::max<std::uint64_t>(1, memory_for_buffers / (2 * chunk_bytes));
  const auto threads = static_cast<unsigned>(std::min<std::uint64_t>(thread_count(0), affordable));
  std::vector<std::unique_ptr<Decoder>> decoders(threads);
  const std::uint64_t row_bytes = strides(layout.extents, layout.element_bytes)[0];
  const bool whole_rows = std::equal(layout.chunk.begin() + 1, layout.chunk.end(), layout.extents.begin() + 1);
  parallel_for((chunks.size() + per_task - 1) / per_task, threads, [&](std::uint64_t task, unsigned worker) {
    if (!decoders[worker]) decoders[worker] = std::make_unique<Decoder>(layout);
    for (std::uint64_t i = task * per_task; i < std::min<std::uint64_t>(chunks.size(), (task + 1) * per_task); ++i) {
      const Part part = wanted_part(layout, first + i, wanted);
      const bool in_place = whole_rows && part.size[0] == layout.chunk[0];
      auto* const place = reinterpret_cast<std::byte*>(wanted.out + (part.in_dataset[0] - wanted.first) * row_bytes);
      const std::byte* const bytes = decoders[worker]->decode(chunks[i], in_place ? place : nullptr);
      if (bytes == nullptr) {
        fail(ErrorKind::input, "{}: cannot read rows {} to {} (damaged chunk)", name, part.in_dataset[0],
             part.in_dataset[0] + part.size[0] - 1);
      }
      if (bytes != place) PartCopy(layout, part)(bytes, wanted);
    }
  });
}

}  // namespace moecarlo::hdf5
