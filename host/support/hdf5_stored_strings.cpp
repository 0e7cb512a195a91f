#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "host/support/hdf5_detail.hpp"
#include "host/support/hdf5_stored.hpp"

namespace moecarlo::hdf5::stored {
namespace {

using detail::refuse;

constexpr std::uint64_t largest_string_bytes = std::uint64_t{4} << 20;
constexpr std::uint64_t strings_per_read = 4096;

void expect_string(const TypeHandle& type, const std::string& name) {
  if (!type.valid() || H5Tget_class(type.get()) != H5T_STRING) {
    refuse(name, fmt::format("wrong type (expected a string, found {})", detail::describe_type(type.get())));
  }
}

void expect_short(std::uint64_t bytes, const std::string& name) {
  if (bytes > largest_string_bytes) {
    refuse(name, fmt::format("string of {} bytes (expected at most {})", bytes, largest_string_bytes));
  }
}

/// A string of fixed length as the library fills it up.
std::string trimmed(std::string value, hid_t type) {
  value.resize(std::min(value.find('\0'), value.size()));
  if (H5Tget_strpad(type) == H5T_STR_SPACEPAD) value.resize(value.find_last_not_of(' ') + 1);
  return value;
}

/// Reads `count` strings with `read(type, memory)`, which returns what the library returns.
template <class Read>
std::vector<std::string> read_strings(const TypeHandle& type, std::uint64_t count, const std::string& name,
                                      const Read& read) {
  expect_string(type, name);
  std::vector<std::string> values;
  if (H5Tis_variable_str(type.get()) > 0) {
    std::vector<char*> texts(count, nullptr);
    if (read(type.get(), static_cast<void*>(texts.data())) < 0) {
      refuse(name, fmt::format("cannot read ({})", detail::last_reason()));
    }
    for (char* text : texts) {
      const std::unique_ptr<char, herr_t (*)(void*)> owned(text, [](void* memory) { return H5free_memory(memory); });
      if (text == nullptr) refuse(name, "cannot read (no string)");
      const std::size_t bytes = ::strnlen(text, largest_string_bytes + 1);
      expect_short(bytes, name);
      values.emplace_back(text, bytes);
    }
    return values;
  }
  const std::size_t bytes = H5Tget_size(type.get());
  expect_short(bytes, name);
  std::string all(bytes * count, '\0');
  if (read(type.get(), all.data()) < 0) refuse(name, fmt::format("cannot read ({})", detail::last_reason()));
  for (std::uint64_t i = 0; i < count; ++i) values.push_back(trimmed(all.substr(i * bytes, bytes), type.get()));
  return values;
}

/// The number of strings in a dataset of one extent, once it is known that as many can be there.
std::uint64_t count_strings(const DatasetHandle& handle, const TypeHandle& type, const std::string& name) {
  const SpaceHandle space(H5Dget_space(handle.get()));
  hsize_t count = 0;
  if (!space.valid() || H5Sget_simple_extent_ndims(space.get()) != 1 ||
      H5Sget_simple_extent_dims(space.get(), &count, nullptr) != 1) {
    refuse(name, "wrong extents (expected one)");
  }
  const std::uint64_t stored = H5Dget_storage_size(handle.get());
  if (count > largest_text_bytes / sizeof(std::uint64_t) || H5Tget_size(type.get()) > largest_string_bytes ||
      count * H5Tget_size(type.get()) / largest_expansion > stored) {
    refuse(name, fmt::format("too many strings ({} in {} bytes)", count, stored));
  }
  return count;
}

}  // namespace

std::string Group::read_string(const std::string& attribute) const {
  const AttributeHandle handle = open_attribute(attribute);
  const TypeHandle type(H5Aget_type(handle.get()));
  return stored::read_strings(type, 1, name_of("@" + attribute),
                              [&](hid_t memory, void* out) { return H5Aread(handle.get(), memory, out); })[0];
}

std::vector<std::string> Group::read_strings(const std::string& member) const {
  const std::string name = name_of(member);
  const DatasetHandle handle = open_handle(member);
  const TypeHandle type(H5Dget_type(handle.get()));
  expect_string(type, name);
  expect_own_storage(handle.get(), name);
  const std::uint64_t count = count_strings(handle, type, name);
  std::vector<std::string> values;
  std::uint64_t bytes = 0;
  for (hsize_t first = 0; first < count; first += strings_per_read) {
    const hsize_t some = std::min<hsize_t>(strings_per_read, count - first);
    const SpaceHandle memory_space(H5Screate_simple(1, &some, nullptr));
    const SpaceHandle file_space(H5Dget_space(handle.get()));
    H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, &first, nullptr, &some, nullptr);
    const auto read = [&](hid_t memory, void* out) {
      return H5Dread(handle.get(), memory, memory_space.get(), file_space.get(), H5P_DEFAULT, out);
    };
    for (std::string& value : stored::read_strings(type, some, name, read)) {
      bytes += value.size() + sizeof(std::uint64_t);
      if (bytes > largest_text_bytes) refuse(name, "too many strings");
      values.push_back(std::move(value));
    }
  }
  return values;
}

}  // namespace moecarlo::hdf5::stored
