#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"
#include "host/support/hdf5_chunks.hpp"
#include "host/support/hdf5_element.hpp"
#include "host/support/hdf5_handle.hpp"

/// HDF5 as far as the project needs it. Files are written over the C API, in this process. They are read in a process
/// of their own, one a file, which may crash, hang or run out of memory without harm: the library is not made for
/// hostile files, and people exchange traces. Every failure is a one-line `Error` that names file and object: of kind
/// input while reading, machine while writing.
namespace moecarlo::hdf5 {

class Reader;  // one file and the process that reads it

/// A dataset opened for reading. Opening it has checked what a hostile file could lie about: it lies in this file, in
/// compact, contiguous or chunked storage that is all there and within the file's size, its type is an `Element`, its
/// filters are built into the library, its extents and chunks are of a sane size. An open dataset keeps its file open.
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

  /// Rows of any integer element as T; a value outside T is refused, and so are more bytes than a file of its size has
  /// a use for.
  template <class T>
  std::vector<T> read_integers(std::uint64_t first, std::uint64_t count) const;

  /// Rows of float16 or float32; NaN and infinities are refused.
  std::vector<float> read_floats(std::uint64_t first, std::uint64_t count) const;

  /// The position of an element for messages, "[12, 3, 5]": element `element` counted from the start of row `first`.
  std::string position(std::uint64_t first, std::uint64_t element) const;

 private:
  friend class Reader;
  Dataset() = default;
  void expect_worth_reading(std::uint64_t elements, std::uint64_t element_bytes) const;

  std::shared_ptr<Reader> reader_;
  std::shared_ptr<const std::uint64_t> number_;  ///< closes the dataset with its last copy
  std::string name_;
  Element element_ = Element::uint8;
  std::vector<std::uint64_t> extents_;
  std::uint64_t rows_per_chunk_ = 1, columns_per_chunk_ = 1, stored_bytes_ = 0;
  std::uint64_t offset_ = 0;  ///< of plain data in the file; above its size where they are not plain
  std::string data_;          ///< all of it, of a small dataset
  ChunkLayout layout_;        ///< of chunks that need no library
};

/// A group of a file opened for reading, the root group included. An open group keeps its file open.
class Group {
 public:
  std::string name_of(std::string_view member) const;  ///< for messages: "trace.h5: /rounds/position"

  bool has(const std::string& member) const;
  std::vector<std::string> members() const;  ///< names of groups, datasets and links, in alphabetical order
  Group open_group(const std::string& member) const;
  Dataset open_dataset(const std::string& member) const;
  std::vector<std::string> attributes() const;  ///< names, in alphabetical order
  bool has_attribute(const std::string& attribute) const;
  std::string read_string(const std::string& attribute) const;    ///< at most 4 MiB
  std::int64_t read_integer(const std::string& attribute) const;  ///< integer or boolean
  /// An attribute of a dataset: 1 to 4,096 floating-point numbers, NaN and infinities as they are.
  std::vector<float> read_floats(const std::string& dataset, const std::string& attribute) const;
  /// A whole dataset of integers; its extents are checked against `expected` unless that is empty.
  template <class T>
  std::vector<T> read_integers(const std::string& member, const std::vector<std::uint64_t>& expected = {}) const;
  /// A whole dataset of strings with one extent, of fixed or variable length; at most 32 MiB.
  std::vector<std::string> read_strings(const std::string& member) const;

 private:
  friend class Reader;
  friend Group open_file(const std::filesystem::path& path);
  Group(std::shared_ptr<Reader> reader, std::uint64_t number, std::string path);

  std::shared_ptr<Reader> reader_;
  std::shared_ptr<const std::uint64_t> number_;  ///< closes the group with its last copy
  std::string path_;
};

/// Opens a file for reading and returns its root group.
Group open_file(const std::filesystem::path& path);

/// Forks what the processes that read files come from. Call it first in `main`, before there are threads, MPI or a
/// device; without it the first `open_file` does.
void start_reading();

/// Throws unless a dataset has these extents. `shape` names them for the message: "[tokens, layers, experts]".
void expect_extents(const Dataset& dataset, const std::vector<std::uint64_t>& expected, std::string_view shape);

/// A group of a file that is being written.
class OutputGroup {
 public:
  OutputGroup create_group(const std::string& member);
  void write_string(const std::string& attribute, std::string_view value);
  void write_integer(const std::string& attribute, std::int64_t value);
  void write_boolean(const std::string& attribute, bool value);  ///< the enumeration that h5py reads as bool
  /// A whole dataset; `values` has as many elements as the product of `extents`.
  template <class T>
  void write(const std::string& member, const std::vector<std::uint64_t>& extents, std::span<const T> values);

 private:
  friend class OutputFile;
  friend class Appender;
  OutputGroup(GroupHandle handle, std::string file, std::string path);
  std::string name_of(std::string_view member) const;
  void write_dataset(const std::string& member, const std::vector<std::uint64_t>& extents, Element element,
                     const void* values);
  void write_attribute(const std::string& attribute, hid_t file_type, const void* value);

  GroupHandle handle_;
  std::string file_, path_;
};

/// A new file, which takes its name at `commit` and leaves nothing behind without one.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& target);

  OutputGroup& root() { return root_; }
  /// Closes the file, everything in it included, and gives it its name.
  void commit();

 private:
  TemporaryFile temporary_;
  FileHandle file_;
  OutputGroup root_;
};

/// A dataset that grows along its first extent.
class Appender {
 public:
  /// `row_extents` are the extents after the first. Compression is shuffle and deflate.
  Appender(OutputGroup& group, const std::string& member, Element element,
           const std::vector<std::uint64_t>& row_extents, std::uint64_t rows_per_chunk, bool compress);

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
  expect_worth_reading(count * row_elements(), sizeof(T));
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
void OutputGroup::write(const std::string& member, const std::vector<std::uint64_t>& extents,
                        std::span<const T> values) {
  std::uint64_t elements = 1;
  for (const std::uint64_t extent : extents) elements *= extent;
  if (elements != values.size()) {
    fail(ErrorKind::machine, "{}: cannot write (extents hold {} elements, given {})", name_of(member), elements,
         values.size());
  }
  write_dataset(member, extents, element_of<T>(), values.data());
}

}  // namespace moecarlo::hdf5
