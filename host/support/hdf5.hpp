#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"

/// HDF5 as far as the project needs it, over the C API. Every failed call becomes a one-line `Error` that names file
/// and object: of kind input while reading, machine while writing. Filter plugins are never loaded.
namespace moecarlo::hdf5 {

/// Owns one HDF5 identifier.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }

  hid_t get() const { return id_; }
  bool valid() const { return id_ >= 0; }
  hid_t release() { return std::exchange(id_, H5I_INVALID_HID); }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

using FileHandle = Handle<H5Fclose>;
using GroupHandle = Handle<H5Gclose>;
using DatasetHandle = Handle<H5Dclose>;
using SpaceHandle = Handle<H5Sclose>;
using TypeHandle = Handle<H5Tclose>;
using AttributeHandle = Handle<H5Aclose>;
using PropertyHandle = Handle<H5Pclose>;

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

/// A dataset opened for reading. Opening it has checked what a hostile file could lie about: it lies in this file, in
/// compact, contiguous or chunked storage that is all there and within the file's size, its type is an `Element`, its
/// filters are built into the library, its extents and chunks are of a sane size.
class Dataset {
 public:
  const std::string& name() const { return name_; }  ///< for messages: "trace.h5: /rounds/position"
  Element element() const { return element_; }
  const std::vector<std::uint64_t>& extents() const { return extents_; }
  std::uint64_t rows() const { return extents_.empty() ? 1 : extents_[0]; }
  std::uint64_t row_elements() const;                               ///< product of the extents after the first
  std::uint64_t rows_per_chunk() const { return rows_per_chunk_; }  ///< 1 where storage is not chunked

  /// Reads rows first .. first + count - 1 as they are stored, in the byte order of this machine:
  /// count * row_elements() * size_in_bytes(element()) bytes.
  void read_rows(std::uint64_t first, std::uint64_t count, void* out) const;

  /// Rows of any integer element as T; a value outside T is refused.
  template <class T>
  std::vector<T> read_integers(std::uint64_t first, std::uint64_t count) const;

  /// Rows of float16 or float32; NaN and infinities are refused.
  std::vector<float> read_floats(std::uint64_t first, std::uint64_t count) const;

  /// The position of an element for messages, "[12, 3, 5]": element `element` counted from the start of row `first`.
  std::string position(std::uint64_t first, std::uint64_t element) const;

 private:
  friend class Group;
  Dataset(DatasetHandle handle, std::string name);
  void check_storage(std::uint64_t elements);
  void check_chunks(hid_t creation, std::uint64_t elements);

  DatasetHandle handle_;
  std::string name_;
  Element element_ = Element::uint8;
  std::vector<std::uint64_t> extents_;
  std::uint64_t rows_per_chunk_ = 1;
};

/// A group of a file, the root group included. An open group keeps its file open.
class Group {
 public:
  std::string name_of(std::string_view member) const;  ///< for messages: "trace.h5: /rounds/position"

  // Reading
  bool has(const std::string& member) const;
  std::vector<std::string> members() const;  ///< names of groups, datasets and links, in alphabetical order
  Group open_group(const std::string& member) const;
  Dataset open_dataset(const std::string& member) const;
  bool has_attribute(const std::string& attribute) const;
  std::string read_string(const std::string& attribute) const;    ///< at most 64 KiB
  std::int64_t read_integer(const std::string& attribute) const;  ///< integer or boolean
  /// A whole dataset of integers; its extents are checked against `expected` unless that is empty.
  template <class T>
  std::vector<T> read_integers(const std::string& member, const std::vector<std::uint64_t>& expected = {}) const;

  // Writing
  Group create_group(const std::string& member);
  void write_string(const std::string& attribute, std::string_view value);
  void write_integer(const std::string& attribute, std::int64_t value);
  void write_boolean(const std::string& attribute, bool value);  ///< the enumeration that h5py reads as bool
  /// A whole dataset; `values` has as many elements as the product of `extents`.
  template <class T>
  void write(const std::string& member, const std::vector<std::uint64_t>& extents, std::span<const T> values);

 private:
  friend class OutputFile;
  friend class Appender;
  friend Group open_file(const std::filesystem::path& path);
  Group(GroupHandle handle, std::string file, std::string path);
  void check_link(const std::string& member) const;
  AttributeHandle open_attribute(const std::string& attribute) const;
  void write_dataset(const std::string& member, const std::vector<std::uint64_t>& extents, Element element,
                     const void* values);
  void write_attribute(const std::string& attribute, hid_t file_type, const void* value);

  GroupHandle handle_;
  std::string file_, path_;
};

/// Opens a file for reading and returns its root group.
Group open_file(const std::filesystem::path& path);

/// Throws unless a dataset has these extents. `shape` names them for the message: "[tokens, layers, experts]".
void expect_extents(const Dataset& dataset, const std::vector<std::uint64_t>& expected, std::string_view shape);

/// A new file, which takes its name at `commit` and leaves nothing behind without one.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& target);

  Group& root() { return root_; }
  /// Closes the file, everything in it included, and gives it its name.
  void commit();

 private:
  TemporaryFile temporary_;
  FileHandle file_;
  Group root_;
};

/// A dataset that grows along its first extent.
class Appender {
 public:
  /// `row_extents` are the extents after the first. Compression is shuffle and deflate.
  Appender(Group& group, const std::string& member, Element element, const std::vector<std::uint64_t>& row_extents,
           std::uint64_t rows_per_chunk, bool compress);

  /// Adds rows given in this machine's form of the element.
  void append(std::uint64_t rows, const void* values);

 private:
  DatasetHandle handle_;
  std::string name_;
  Element element_;
  std::vector<std::uint64_t> extents_;
};

template <class T>
std::vector<T> Dataset::read_integers(std::uint64_t first, std::uint64_t count) const {
  if (!is_integer(element_)) {
    fail(ErrorKind::input, "{}: wrong type (expected integers, found {})", name_, to_string(element_));
  }
  return with_integer_type(element_, [&]<class Stored>(Stored) {
    std::vector<Stored> stored(count * row_elements());
    read_rows(first, count, stored.data());
    if constexpr (std::is_same_v<Stored, T>) {
      return stored;
    } else {
      std::vector<T> values(stored.size());
      for (std::size_t i = 0; i < stored.size(); ++i) {
        if (!std::in_range<T>(stored[i])) {
          fail(ErrorKind::input, "{}: value out of range at {} (expected {} to {}, found {})", name_,
               position(first, i), +std::numeric_limits<T>::min(), +std::numeric_limits<T>::max(), +stored[i]);
        }
        values[i] = static_cast<T>(stored[i]);
      }
      return values;
    }
  });
}

template <class T>
std::vector<T> Group::read_integers(const std::string& member, const std::vector<std::uint64_t>& expected) const {
  const Dataset dataset = open_dataset(member);
  if (!expected.empty()) expect_extents(dataset, expected, "its extents");
  return dataset.read_integers<T>(0, dataset.rows());
}

template <class T>
void Group::write(const std::string& member, const std::vector<std::uint64_t>& extents, std::span<const T> values) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : extents) elements *= extent;
  if (elements != values.size()) {
    fail(ErrorKind::machine, "{}: cannot write (extents hold {} elements, given {})", name_of(member), elements,
         values.size());
  }
  write_dataset(member, extents, element_of<T>(), values.data());
}

}  // namespace moecarlo::hdf5
