#pragma once

#include <optional>
#include <string>

#include "host/support/hdf5_element.hpp"
#include "host/support/hdf5_handle.hpp"

namespace moecarlo::hdf5::detail {

/// Call before the first HDF5 call of a public function: the library keeps its error printing per thread.
void prepare_thread();

/// Why the last HDF5 call of this thread failed, in the library's own words, on one line.
std::string last_reason();

/// The type of an element in a file, little-endian.
TypeHandle file_type(Element element);

/// The type of an element in this machine's memory; for float16 the file type, so that no conversion takes place.
TypeHandle memory_type(Element element);

/// Refuses what was read: an `Error` of kind input.
[[noreturn]] void refuse(const std::string& name, const std::string& what);

/// The element a file's type is; none for every other type.
std::optional<Element> element_of_type(hid_t type);

/// What a type that is no element is, for messages.
const char* describe_type(hid_t type);

}  // namespace moecarlo::hdf5::detail
