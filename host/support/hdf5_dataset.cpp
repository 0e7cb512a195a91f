#include <algorithm>
#include <cmath>

#include "host/support/float16.hpp"
#include "host/support/hdf5.hpp"
#include "host/support/hdf5_detail.hpp"

namespace moecarlo::hdf5 {
namespace {

using detail::refuse;

constexpr std::uint64_t largest_chunk_bytes = std::uint64_t{256} << 20;
constexpr std::uint64_t largest_dataset_bytes = std::uint64_t{1} << 50;
// Deflate shrinks at most 1032-fold (RFC 1951: 258 bytes for two bits); what claims more is a bomb.
constexpr std::uint64_t largest_expansion = 1100;

std::uint64_t file_size(hid_t object) {
  const FileHandle file(H5Iget_file_id(object));
  hsize_t bytes = 0;
  return H5Fget_filesize(file.get(), &bytes) < 0 ? 0 : bytes;
}

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

}  // namespace

Dataset::Dataset(DatasetHandle handle, std::string name) : handle_(std::move(handle)), name_(std::move(name)) {
  const TypeHandle type(H5Dget_type(handle_.get()));
  if (!type.valid()) refuse(name_, "damaged type");
  if (H5Tcommitted(type.get()) != 0) refuse(name_, "user-defined type (expected a plain number type)");
  const auto element = detail::element_of_type(type.get());
  if (!element) {
    refuse(name_, fmt::format("wrong type (expected integers or floats, found {})", detail::describe_type(type.get())));
  }
  element_ = *element;

  const SpaceHandle space(H5Dget_space(handle_.get()));
  const int rank = space.valid() ? H5Sget_simple_extent_ndims(space.get()) : -1;
  if (rank < 0 || H5Sget_simple_extent_type(space.get()) == H5S_NULL) refuse(name_, "no extents");
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  if (rank > 0 && H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr) != rank) refuse(name_, "no extents");
  extents_.assign(extents.begin(), extents.end());

  std::uint64_t elements = 1;
  for (const std::uint64_t extent : extents_) {
    if (extent != 0 && elements > largest_dataset_bytes / size_in_bytes(element_) / extent) {
      refuse(name_, fmt::format("absurd extents ({})", fmt::join(extents_, " x ")));
    }
    elements *= extent;
  }
  check_storage(elements);
}

void Dataset::check_storage(std::uint64_t elements) {
  const PropertyHandle creation(H5Dget_create_plist(handle_.get()));
  if (!creation.valid()) refuse(name_, "damaged storage description");
  if (H5Pget_external_count(creation.get()) != 0) refuse(name_, "external storage (expected the data in this file)");
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  if (layout == H5D_VIRTUAL) refuse(name_, "virtual storage (expected the data in this file)");
  if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED) refuse(name_, "unknown storage");

  const std::uint64_t stored = H5Dget_storage_size(handle_.get());
  if (stored > file_size(handle_.get())) refuse(name_, "storage larger than the file (truncated or damaged)");
  if (layout == H5D_CHUNKED) {
    check_filters(creation.get(), name_);
    check_chunks(creation.get(), elements);
  } else if (stored != elements * size_in_bytes(element_)) {
    refuse(name_,
           fmt::format("data missing (expected {} bytes, found {})", elements * size_in_bytes(element_), stored));
  }
}

void Dataset::check_chunks(hid_t creation, std::uint64_t elements) {
  std::vector<hsize_t> chunk(extents_.size());
  if (H5Pget_chunk(creation, static_cast<int>(chunk.size()), chunk.data()) != static_cast<int>(chunk.size())) {
    refuse(name_, "damaged chunk description");
  }
  std::uint64_t chunk_bytes = size_in_bytes(element_);
  std::uint64_t expected = 1;
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    if (chunk[i] == 0 || chunk_bytes > largest_chunk_bytes / chunk[i]) {
      refuse(name_, fmt::format("absurd chunks ({} elements, expected at most {} bytes)", fmt::join(chunk, " x "),
                                largest_chunk_bytes));
    }
    chunk_bytes *= chunk[i];
    expected *= (extents_[i] + chunk[i] - 1) / chunk[i];
  }
  // Until a chunk is written there is no index to count in.
  const std::uint64_t stored = H5Dget_storage_size(handle_.get());
  const SpaceHandle space(H5Dget_space(handle_.get()));
  hsize_t found = 0;
  if (stored != 0 && H5Dget_num_chunks(handle_.get(), space.get(), &found) < 0) refuse(name_, "damaged chunk index");
  if (elements != 0 && found != expected) {
    refuse(name_, fmt::format("data missing (expected {} chunks, found {})", expected, found));
  }
  if (expected * chunk_bytes / largest_expansion > stored) {
    refuse(name_, "absurd compression (the extents are too large for the bytes stored)");
  }
  rows_per_chunk_ = chunk.empty() ? 1 : std::max<std::uint64_t>(1, std::min<std::uint64_t>(chunk[0], extents_[0]));
}

std::uint64_t Dataset::row_elements() const {
  std::uint64_t elements = 1;
  for (std::size_t i = 1; i < extents_.size(); ++i) elements *= extents_[i];
  return elements;
}

void Dataset::read_rows(std::uint64_t first, std::uint64_t count, void* out) const {
  detail::prepare_thread();
  if (count == 0 || row_elements() == 0) return;
  std::vector<hsize_t> start(extents_.size(), 0);
  std::vector<hsize_t> size(extents_.begin(), extents_.end());
  if (!extents_.empty()) {
    start[0] = first;
    size[0] = count;
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
    refuse(name_, fmt::format("cannot read rows {} to {} ({})", first, first + count - 1, detail::last_reason()));
  }
}

std::vector<float> Dataset::read_floats(std::uint64_t first, std::uint64_t count) const {
  if (element_ != Element::float16 && element_ != Element::float32) {
    refuse(name_, fmt::format("wrong type (expected float16 or float32, found {})", to_string(element_)));
  }
  std::vector<float> values(count * row_elements());
  if (element_ == Element::float32) {
    read_rows(first, count, values.data());
  } else {
    // Converted here because the library takes two hundred times longer over it (HDF5 1.10, measured).
    std::vector<std::uint16_t> stored(values.size());
    read_rows(first, count, stored.data());
    for (std::size_t i = 0; i < stored.size(); ++i) {
      values[i] = float16_is_finite(stored[i]) ? float16_to_float(stored[i]) : std::numeric_limits<float>::infinity();
    }
  }
  const auto bad = std::find_if_not(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
  if (bad != values.end()) {
    const auto element = static_cast<std::uint64_t>(bad - values.begin());
    refuse(name_, fmt::format("NaN or infinite value at {}", position(first, element)));
  }
  return values;
}

std::string Dataset::position(std::uint64_t first, std::uint64_t element) const {
  std::vector<std::uint64_t> indices(extents_.size());
  for (std::size_t i = extents_.size(); i-- > 1; element /= extents_[i]) indices[i] = element % extents_[i];
  if (!indices.empty()) indices[0] = first + element;
  return fmt::format("[{}]", fmt::join(indices, ", "));
}

void expect_extents(const Dataset& dataset, const std::vector<std::uint64_t>& expected, std::string_view shape) {
  if (dataset.extents() == expected) return;
  fail(ErrorKind::input, "{}: wrong extents (expected {} = [{}], found [{}])", dataset.name(), shape,
       fmt::join(expected, ", "), fmt::join(dataset.extents(), ", "));
}

}  // namespace moecarlo::hdf5
