#pragma once

#include <cstdint>

#include "host/support/launcher.hpp"

/// The process that reads one HDF5 file for the program, and what the two say to each other. The program asks in
/// messages of a `Question`, the numbers of handles that it has done with, and what the question needs:
///
///   open          text name, number of bytes           -> nothing
///   has           group, text name                     -> 0 or 1
///   members, attributes: group                         -> number, texts
///   open_group    group, text name                     -> group
///   open_dataset  group, text name                     -> dataset, element, rows and columns per chunk, bytes stored,
///                                                         place of plain data in the file or `nowhere`, number of
///                                                         extents, extents, text (all data, of a small one); where
///                                                         we undo the filters 1, extents of a chunk, number of
///                                                         filters, filters; else 0
///   read_strings  group, text name                     -> number, texts
///   has_attribute, read_string, read_integer: group, text name  -> 0 or 1, text, number
///   read_floats   group, text dataset "@" attribute     -> text of float32 values
///   read_chunks   dataset, number of the first, number, bytes of the shared memory, where in it, bytes there
///                                                      -> for each bytes, filters left out
///   read          dataset, first row, rows, first column, columns, bytes of the shared memory, where in it  -> nothing
///
/// Each is answered in turn with 1 and this, or with 0 and a text, why the file is refused. Groups and datasets are
/// numbers; group 0 is the root.
namespace moecarlo::hdf5 {

enum class Question : std::uint64_t {
  open,
  has,
  members,
  attributes,
  open_group,
  open_dataset,
  read_strings,
  has_attribute,
  read_string,
  read_integer,
  read_floats,
  read,
  read_chunks
};

/// Whether a question is about something of a group, which it names.
constexpr bool names_something(Question question) {
  return question != Question::members && question != Question::attributes;
}

/// Deflate shrinks at most 1032-fold (RFC 1951: 258 bytes for two bits); what claims more is a bomb.
constexpr std::uint64_t largest_expansion = 1100;

constexpr std::uint64_t largest_message_bytes = std::uint64_t{40} << 20;
constexpr std::uint64_t nowhere = ~std::uint64_t{0};
/// Datasets no larger travel with their description.
constexpr std::uint64_t small_dataset_bytes = std::uint64_t{16} << 10;
/// The shared memory holds two pieces of a dataset at most this long.
constexpr std::uint64_t largest_piece_bytes = std::uint64_t{64} << 20;

/// What the process does: for `launcher::launch`, with the descriptors in this order: a socket to the program, the
/// file, the shared memory.
void answer_questions(const launcher::Descriptors& descriptors);

}  // namespace moecarlo::hdf5
