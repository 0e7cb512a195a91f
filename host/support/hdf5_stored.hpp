#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/support/hdf5_chunks.hpp"
#include "host/support/hdf5_element.hpp"
#include "host/support/hdf5_handle.hpp"
#include "host/support/hdf5_process.hpp"

/// Files as the HDF5 library reads them. The library is not made for hostile files: some make it crash, hang or take
/// gigabytes, whatever is checked before. Only the process that `hdf5_process.cpp` describes reads with it; the program
/// itself reads through `hdf5.hpp`.
namespace moecarlo::hdf5::stored {

/// What one message carries, and so the most that the names of a group's members or the strings of a dataset may be.
constexpr std::uint64_t largest_text_bytes = std::uint64_t{32} << 20;

/// How a dataset is stored; refused unless that is in this file, and by filters that the library has.
PropertyHandle expect_own_storage(hid_t dataset, const std::string& name);

/// Opens every object of a file and reads every attribute of one value, for nothing but to see the library survive it.
/// Some damage makes it write past its memory in silence, and crash when it closes the file; what it read by then may
/// be wrong. So a file is gone through and closed before anything that is read from it is believed.
void rehearse(hid_t file);

/// Part of a dataset: rows, and of each row the part with these indices in the second extent (all, where there is
/// none).
struct Block {
  std::uint64_t first_row = 0, rows = 0;
  std::uint64_t first_column = 0, columns = 1;
};

/// A dataset that has passed every check that can be made of it before its data are read: it lies in this file, in
/// compact, contiguous or chunked storage that is all there and within the file's size, its type is an `Element`, its
/// filters are built into the library, its extents and chunks are of a sane size.
class Dataset {
 public:
  Dataset(DatasetHandle handle, std::string name, std::uint64_t file_bytes);

  Element element() const { return element_; }
  const std::vector<std::uint64_t>& extents() const { return extents_; }
  /// The first two extents of a chunk; 1 where storage is not chunked.
  std::uint64_t rows_per_chunk() const { return rows_per_chunk_; }
  std::uint64_t columns_per_chunk() const { return columns_per_chunk_; }
  std::uint64_t stored_bytes() const { return stored_bytes_; }
  std::uint64_t bytes_of(const Block& block) const;
  /// Where the data stand in the file, if they stand there in one piece and as this machine holds them.
  std::optional<std::uint64_t> plain_offset() const;
  /// Of a dataset whose chunks hold numbers as this machine does, behind no other filters than shuffle and deflate;
  /// else there are no extents in it.
  ChunkLayout chunk_layout() const;
  /// Some of its chunks as they are stored, one after the other from the beginning of `out`.
  std::vector<StoredChunk> read_chunks(std::uint64_t first, std::uint64_t count, std::span<std::byte> out) const;

  /// In the byte order of this machine, without gaps: `bytes_of(block)` bytes.
  void read(const Block& block, void* out) const;

 private:
  void check_storage();
  void check_chunks(hid_t creation);
  std::uint64_t elements() const;

  DatasetHandle handle_;
  std::string name_;
  std::uint64_t file_bytes_;
  Element element_ = Element::uint8;
  std::vector<std::uint64_t> extents_;
  std::uint64_t rows_per_chunk_ = 1, columns_per_chunk_ = 1, stored_bytes_ = 0;
};

class Group {
 public:
  /// The root group of the file behind a descriptor. `name` is what messages call it.
  static Group open_file(int descriptor, const std::string& name);

  bool has(const std::string& member) const;
  std::vector<std::string> members() const;
  Group open_group(const std::string& member) const;
  Dataset open_dataset(const std::string& member) const;
  std::vector<std::string> read_strings(const std::string& member) const;
  std::vector<std::string> attributes() const;
  bool has_attribute(const std::string& attribute) const;
  std::string read_string(const std::string& attribute) const;
  std::int64_t read_integer(const std::string& attribute) const;
  /// Of an attribute of a dataset, "dataset@attribute".
  std::vector<float> read_floats(const std::string& name) const;

 private:
  Group(GroupHandle handle, std::string file, std::string path, std::uint64_t file_bytes);
  std::string name_of(std::string_view member) const;
  void check_header() const;
  void check_link(const std::string& member) const;
  DatasetHandle open_handle(const std::string& member) const;
  AttributeHandle open_attribute(const std::string& attribute) const;

  GroupHandle handle_;
  std::string file_, path_;
  std::uint64_t file_bytes_;
};

}  // namespace moecarlo::hdf5::stored
