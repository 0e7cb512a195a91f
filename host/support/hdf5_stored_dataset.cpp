#include <fmt/ranges.h>

#include <algorithm>

#include "host/support/hdf5_detail.hpp"
#include "host/support/hdf5_stored.hpp"

namespace moecarlo::hdf5::stored {
namespace {

using detail::refuse;

constexpr std::uint64_t largest_dataset_bytes = std::uint64_t{1} << 50;

void check_filters(hid_t creation, const std::string& name) {
  const int filters = H5Pget_nfilters(creation);
  if (filters < 0) refuse(name, "damaged filter description");
  for (int i = 0; i < filters; ++i) {
    std::size_t values = 0;
    char label[64] = {};
    const H5Z_filter_t id =
        H5Pget_filter2(creation, static_cast<unsigned>(i), nullptr, &values, nullptr, sizeof label, label, nullptr);
    if (id < 0) refuse(name, "damaged filter description");
    if (H5Zfilter_avail(id) <= 0) {
      refuse(name, fmt::format("filter not available (expected deflate, shuffle or fletcher32, found filter {})", +id));
    }
  }
}

/// The filters of a dataset, where they are some that we undo: shuffle, deflate, or one after the other.
std::optional<std::vector<ChunkFilter>> own_filters(hid_t creation) {
  std::vector<ChunkFilter> found;
  const int filters = H5Pget_nfilters(creation);
  for (int i = 0; i < filters; ++i) {
    std::size_t values = 0;
    const H5Z_filter_t id =
        H5Pget_filter2(creation, static_cast<unsigned>(i), nullptr, &values, nullptr, 0, nullptr, nullptr);
    if (id != H5Z_FILTER_SHUFFLE && id != H5Z_FILTER_DEFLATE) return std::nullopt;
    found.push_back(id == H5Z_FILTER_SHUFFLE ? ChunkFilter::shuffle : ChunkFilter::deflate);
  }
  if (filters < 0 || filters > 2) return std::nullopt;
  if (filters == 2 && (found[0] != ChunkFilter::shuffle || found[1] != ChunkFilter::deflate)) return std::nullopt;
  return found;
}

Element element_of(hid_t dataset, const std::string& name) {
  const TypeHandle type(H5Dget_type(dataset));
  if (!type.valid()) refuse(name, "damaged type");
  if (H5Tcommitted(type.get()) != 0) refuse(name, "user-defined type (expected a plain number type)");
  const auto element = detail::element_of_type(type.get());
  if (!element) {
    refuse(name, fmt::format("wrong type (expected integers or floats, found {})", detail::describe_type(type.get())));
  }
  return *element;
}

std::vector<std::uint64_t> extents_of(hid_t dataset, const std::string& name) {
  const SpaceHandle space(H5Dget_space(dataset));
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0 || H5Sget_simple_extent_type(space.get()) == H5S_NULL) refuse(name, "no extents");
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  if (rank > 0 && H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr) != rank) refuse(name, "no extents");
  return {extents.begin(), extents.end()};
}

}  // namespace

PropertyHandle expect_own_storage(hid_t dataset, const std::string& name) {
  PropertyHandle creation(H5Dget_create_plist(dataset));
  if (!creation.valid()) refuse(name, "damaged storage description");
  if (H5Pget_external_count(creation.get()) != 0) refuse(name, "external storage (expected the data in this file)");
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  if (layout == H5D_VIRTUAL) refuse(name, "virtual storage (expected the data in this file)");
  if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) refuse(name, "unknown storage");
  if (layout == H5D_CHUNKED) check_filters(creation.get(), name);
  return creation;
}

Dataset::Dataset(DatasetHandle handle, std::string name, std::uint64_t file_bytes)
    : handle_(std::move(handle)),
      name_(std::move(name)),
      file_bytes_(file_bytes),
      element_(element_of(handle_.get(), name_)),
      extents_(extents_of(handle_.get(), name_)) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : extents_) {
    if (extent != 0 && elements > largest_dataset_bytes / size_in_bytes(element_) / extent) {
      refuse(name_, fmt::format("absurd extents ({})", fmt::join(extents_, " x ")));
    }
    elements *= extent;
  }
  check_storage();
}

std::uint64_t Dataset::elements() const {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : extents_) elements *= extent;
  return elements;
}

void Dataset::check_storage() {
  const PropertyHandle creation = expect_own_storage(handle_.get(), name_);
  stored_bytes_ = H5Dget_storage_size(handle_.get());
  if (stored_bytes_ > file_bytes_) refuse(name_, "storage larger than the file (truncated or damaged)");
  const std::uint64_t bytes = elements() * size_in_bytes(element_);
  if (H5Pget_layout(creation.get()) == H5D_CHUNKED) {
    check_chunks(creation.get());
  } else if (stored_bytes_ != bytes) {
    refuse(name_, fmt::format("data missing (expected {} bytes, found {})", bytes, stored_bytes_));
  }
}

void Dataset::check_chunks(hid_t creation) {
  std::vector<hsize_t> chunk(extents_.size());
  if (H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) != static_cast<int>(chunk.size())) {
    refuse(name_, "damaged chunk description");
  }
  const std::uint64_t largest = largest_chunk_bytes(file_bytes_);
  std::uint64_t chunk_bytes = size_in_bytes(element_);
  std::uint64_t expected = 1;
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    if (chunk[i] == 0 || chunk_bytes > largest / chunk[i]) {
      refuse(name_,
             fmt::format("absurd chunks ({} elements, expected at most {} bytes)", fmt::join(chunk, " x "), largest));
    }
    chunk_bytes *= chunk[i];
    expected *= (extents_[i] + chunk[i] - 1) / chunk[i];
  }
  // Until a chunk is written there is no index to count in.
  const SpaceHandle space(H5Dget_space(handle_.get()));
  hsize_t found = 0;
  if (stored_bytes_ != 0 && H5Dget_num_chunks(handle_.get(), space.get(), &found) < 0) {
    refuse(name_, "damaged chunk index");
  }
  if (elements() != 0 && found != expected) {
    refuse(name_, fmt::format("data missing (expected {} chunks, found {})", expected, found));
  }
  if (expected * chunk_bytes / largest_expansion > stored_bytes_) {
    refuse(name_, "absurd compression (the extents are too large for the bytes stored)");
  }
  const auto along = [&](std::size_t i) {
    return i < chunk.size() ? std::max<std::uint64_t>(1, std::min<std::uint64_t>(chunk[i], extents_[i])) : 1;
  };
  rows_per_chunk_ = along(0);
  columns_per_chunk_ = along(1);
}

std::uint64_t Dataset::bytes_of(const Block& block) const {
  const std::uint64_t columns = extents_.size() > 1 ? extents_[1] : 1, rows = extents_.empty() ? 1 : extents_[0];
  if (block.first_row > rows || block.rows > rows - block.first_row || block.first_column > columns ||
      block.columns > columns - block.first_column) {
    refuse(name_, "rows past the end");
  }
  std::uint64_t bytes = block.rows * block.columns * size_in_bytes(element_);
  for (std::size_t i = 2; i < extents_.size(); ++i) bytes *= extents_[i];
  return bytes;
}

std::optional<std::uint64_t> Dataset::plain_offset() const {
  const PropertyHandle creation(H5Dget_create_plist(handle_.get()));
  const TypeHandle type(H5Dget_type(handle_.get()));
  if (H5Pget_layout(creation.get()) != H5D_CONTIGUOUS) return std::nullopt;
  if (H5Tequal(type.get(), detail::memory_type(element_).get()) <= 0) return std::nullopt;
  const haddr_t offset = H5Dget_offset(handle_.get());
  if (offset == HADDR_UNDEF) return std::nullopt;
  return offset;
}

ChunkLayout Dataset::chunk_layout() const {
  const PropertyHandle creation(H5Dget_create_plist(handle_.get()));
  const TypeHandle type(H5Dget_type(handle_.get()));
  ChunkLayout layout;
  if (H5Pget_layout(creation.get()) != H5D_CHUNKED || elements() == 0) return layout;
  if (H5Tequal(type.get(), detail::memory_type(element_).get()) <= 0) return layout;
  unsigned options = 0;  // chunks over the edge that no filter was applied to
  if (H5Pget_chunk_opts(creation.get(), &options) < 0 || options != 0) return layout;
  const auto filters = own_filters(creation.get());
  std::vector<hsize_t> chunk(extents_.size());
  if (!filters || H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()) < 0) return layout;
  return {extents_, {chunk.begin(), chunk.end()}, *filters, size_in_bytes(element_)};
}

std::vector<StoredChunk> Dataset::read_chunks(std::uint64_t first, std::uint64_t count,
                                              std::span<std::byte> out) const {
  const ChunkLayout layout = chunk_layout();
  if (!layout.readable()) refuse(name_, "no chunks");
  std::vector<StoredChunk> chunks;
  std::vector<hsize_t> place(extents_.size());
  for (std::uint64_t number = first; number < first + count; ++number) {
    std::uint64_t left = number;
    for (std::size_t i = place.size(); i-- > 0;) {
      const std::uint64_t along = (extents_[i] + layout.chunk[i] - 1) / layout.chunk[i];
      place[i] = (i == 0 ? left : left % along) * layout.chunk[i];
      left /= along;
    }
    hsize_t bytes = 0;
    std::uint32_t left_out = 0;
    const auto row = static_cast<std::uint64_t>(place.front());
    if (H5Dget_chunk_storage_size(handle_.get(), place.data(), &bytes) < 0 || bytes > out.size()) {
      refuse(name_, fmt::format("cannot read rows from {} on (damaged chunk index)", row));
    }
    if (H5Dread_chunk(handle_.get(), H5P_DEFAULT, place.data(), &left_out, out.data()) < 0) {
      refuse(name_, fmt::format("cannot read rows from {} on ({})", row, detail::last_reason()));
    }
    chunks.push_back({out.first(bytes), left_out});
    out = out.subspan(bytes);
  }
  return chunks;
}

void Dataset::read(const Block& block, void* out) const {
  if (bytes_of(block) == 0) return;
  std::vector<hsize_t> start(extents_.size(), 0);
  std::vector<hsize_t> size(extents_.begin(), extents_.end());
  if (!extents_.empty()) {
    start[0] = block.first_row;
    size[0] = block.rows;
  }
  if (extents_.size() > 1) {
    start[1] = block.first_column;
    size[1] = block.columns;
  }
  // The memory has the shape of the selection: for any other the library walks over single elements, and needs
  // gigabytes.
  const SpaceHandle memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
  const SpaceHandle file(H5Dget_space(handle_.get()));
  if (!extents_.empty()) {
    H5Sselect_hyperslab(file.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  }
  const TypeHandle type = detail::memory_type(element_);
  if (H5Dread(handle_.get(), type.get(), memory.get(), file.get(), H5P_DEFAULT, out) < 0) {
    refuse(name_, fmt::format("cannot read rows {} to {} ({})", block.first_row, block.first_row + block.rows - 1,
                              detail::last_reason()));
  }
}

}  // namespace moecarlo::hdf5::stored
