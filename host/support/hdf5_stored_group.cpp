#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "host/support/hdf5_detail.hpp"
#include "host/support/hdf5_stored.hpp"

namespace moecarlo::hdf5::stored {
namespace {

using detail::refuse;

constexpr hssize_t most_attribute_values = 4096;

/// The file signature may stand at 0, 512, 1024, 2048 and so on (HDF5 file format, II.A).
bool has_signature(int descriptor) {
  constexpr std::array<char, 8> signature{'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  std::array<char, 8> found;
  for (::off_t at = 0; ::pread(descriptor, found.data(), found.size(), at) == 8; at = at == 0 ? 512 : 2 * at) {
    if (found == signature) return true;
  }
  return false;
}

/// The members of an object's header by their number (HDF5 file format, IV.A.2); 25 stands for every number unknown.
std::uint64_t header_messages(hid_t object) {
#if H5_VERSION_GE(1, 12, 0)
  H5O_native_info_t info;
  const bool read = H5Oget_native_info(object, &info, H5O_NATIVE_INFO_HDR) >= 0;
#else
  H5O_info_t info;
  const bool read = H5Oget_info2(object, &info, H5O_INFO_HDR) >= 0;
#endif
  constexpr std::uint64_t unknown = std::uint64_t{1} << 25;
  return read ? info.hdr.mesg.present : unknown;
}

/// What an iteration of the library finds; it ends where there is more than one message carries.
struct Names {
  std::vector<std::string> found;
  std::uint64_t bytes = 0;

  bool too_many() const { return bytes > largest_text_bytes; }
  herr_t add(const char* name) {
    bytes += std::strlen(name) + sizeof(std::uint64_t);
    if (too_many()) return -1;
    found.emplace_back(name);
    return 0;
  }
};

}  // namespace

Group::Group(GroupHandle handle, std::string file, std::string path, std::uint64_t file_bytes)
    : handle_(std::move(handle)), file_(std::move(file)), path_(std::move(path)), file_bytes_(file_bytes) {
  check_header();
}

Group Group::open_file(int descriptor, const std::string& name) {
  const std::string path = fmt::format("/proc/self/fd/{}", descriptor);
  const PropertyHandle access(H5Pcreate(H5P_FILE_ACCESS));
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access.get(), false, true);  // reading needs no lock, and cluster file systems may not have any
#endif
  if (const FileHandle once(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get())); once.valid()) rehearse(once.get());
  const FileHandle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!file.valid()) {
    refuse(name, fmt::format("{} ({})",
                             has_signature(descriptor) ? "truncated or damaged HDF5 file" : "not a readable HDF5 file",
                             detail::last_reason()));
  }
  hsize_t bytes = 0;
  GroupHandle root(H5Gopen2(file.get(), "/", H5P_DEFAULT));
  if (!root.valid() || H5Fget_filesize(file.get(), &bytes) < 0) {
    refuse(name, fmt::format("truncated or damaged HDF5 file ({})", detail::last_reason()));
  }
  return {std::move(root), name, "/", bytes};
}

std::string Group::name_of(std::string_view member) const {
  return fmt::format("{}: {}{}", file_, path_, member);
}

/// An attribute whose kind is damaged is a message of an unknown kind, which the library steps over: what it said would
/// then seem never to have been said.
void Group::check_header() const {
  constexpr unsigned first_unknown = 25;
  if ((header_messages(handle_.get()) >> first_unknown) != 0) refuse(name_of(""), "damaged header");
}

bool Group::has(const std::string& member) const {
  const htri_t found = H5Lexists(handle_.get(), member.c_str(), H5P_DEFAULT);
  if (found < 0) refuse(name_of(member), fmt::format("damaged group ({})", detail::last_reason()));
  return found > 0;
}

std::vector<std::string> Group::members() const {
  Names names;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* out) {
    return static_cast<Names*>(out)->add(name);
  };
  if (H5Literate(handle_.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0) {
    refuse(name_of(""),
           names.too_many() ? "too many members" : fmt::format("damaged group ({})", detail::last_reason()));
  }
  return std::move(names.found);
}

std::vector<std::string> Group::attributes() const {
  Names names;
  const auto add = [](hid_t, const char* name, const H5A_info_t*, void* out) {
    return static_cast<Names*>(out)->add(name);
  };
  if (H5Aiterate2(handle_.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &names) < 0) {
    refuse(name_of(""),
           names.too_many() ? "too many attributes" : fmt::format("damaged attributes ({})", detail::last_reason()));
  }
  return std::move(names.found);
}

void Group::check_link(const std::string& member) const {
  if (!has(member)) refuse(name_of(member), "missing");
  H5L_info_t link;
  if (H5Lget_info(handle_.get(), member.c_str(), &link, H5P_DEFAULT) < 0) refuse(name_of(member), "damaged link");
  if (link.type != H5L_TYPE_HARD) refuse(name_of(member), "soft or external link (expected the data itself)");
}

Group Group::open_group(const std::string& member) const {
  check_link(member);
  GroupHandle handle(H5Gopen2(handle_.get(), member.c_str(), H5P_DEFAULT));
  if (!handle.valid()) refuse(name_of(member), fmt::format("not a readable group ({})", detail::last_reason()));
  return {std::move(handle), file_, path_ + member + "/", file_bytes_};
}

DatasetHandle Group::open_handle(const std::string& member) const {
  check_link(member);
  DatasetHandle handle(H5Dopen2(handle_.get(), member.c_str(), H5P_DEFAULT));
  if (!handle.valid()) refuse(name_of(member), fmt::format("not a readable dataset ({})", detail::last_reason()));
  return handle;
}

Dataset Group::open_dataset(const std::string& member) const {
  return {open_handle(member), name_of(member), file_bytes_};
}

bool Group::has_attribute(const std::string& attribute) const {
  const htri_t found = H5Aexists(handle_.get(), attribute.c_str());
  if (found < 0) refuse(name_of("@" + attribute), fmt::format("damaged attributes ({})", detail::last_reason()));
  return found > 0;
}

AttributeHandle Group::open_attribute(const std::string& attribute) const {
  const std::string name = name_of("@" + attribute);
  if (!has_attribute(attribute)) refuse(name, "missing");
  AttributeHandle handle(H5Aopen(handle_.get(), attribute.c_str(), H5P_DEFAULT));
  if (!handle.valid()) refuse(name, fmt::format("not a readable attribute ({})", detail::last_reason()));
  const SpaceHandle space(H5Aget_space(handle.get()));
  if (!space.valid() || H5Sget_simple_extent_npoints(space.get()) != 1) refuse(name, "not one value");
  return handle;
}

std::int64_t Group::read_integer(const std::string& attribute) const {
  const std::string name = name_of("@" + attribute);
  const AttributeHandle handle = open_attribute(attribute);
  TypeHandle type(H5Aget_type(handle.get()));
  // h5py writes a bool as an enumeration over int8; its numbers are those of the underlying type.
  const bool boolean = H5Tget_class(type.get()) == H5T_ENUM;
  const TypeHandle plain(boolean ? H5Tget_super(type.get()) : H5Tcopy(type.get()));
  const auto element = detail::element_of_type(plain.get());
  if (!element || !is_integer(*element) || (boolean && size_in_bytes(*element) != 1)) {
    refuse(name, fmt::format("wrong type (expected an integer, found {})",
                             element ? to_string(*element) : detail::describe_type(type.get())));
  }
  return with_integer_type(*element, [&]<class Stored>(Stored value) -> std::int64_t {
    const TypeHandle memory = boolean ? std::move(type) : detail::memory_type(*element);
    if (H5Aread(handle.get(), memory.get(), &value) < 0) {
      refuse(name, fmt::format("cannot read ({})", detail::last_reason()));
    }
    if (!std::in_range<std::int64_t>(value)) refuse(name, fmt::format("value out of range ({})", value));
    return static_cast<std::int64_t>(value);
  });
}

std::vector<float> Group::read_floats(const std::string& name) const {
  const std::string dataset = name.substr(0, name.find('@')), attribute = name.substr(dataset.size() + 1);
  const DatasetHandle owner = open_handle(dataset);
  const htri_t found = H5Aexists(owner.get(), attribute.c_str());
  if (found < 0) refuse(name_of(name), fmt::format("damaged attributes ({})", detail::last_reason()));
  if (found == 0) refuse(name_of(name), "missing");
  const AttributeHandle handle(H5Aopen(owner.get(), attribute.c_str(), H5P_DEFAULT));
  if (!handle.valid()) refuse(name_of(name), fmt::format("not a readable attribute ({})", detail::last_reason()));
  const SpaceHandle space(H5Aget_space(handle.get()));
  const hssize_t count = space.valid() ? H5Sget_simple_extent_npoints(space.get()) : -1;
  if (count < 1 || count > most_attribute_values) {
    refuse(name_of(name), fmt::format("wrong number of values (expected 1 to {}, found {})", most_attribute_values,
                                      std::max<hssize_t>(count, 0)));
  }
  const TypeHandle type(H5Aget_type(handle.get()));
  const auto element = detail::element_of_type(type.get());
  if (!element || is_integer(*element)) {
    refuse(name_of(name), fmt::format("wrong type (expected floating-point numbers, found {})",
                                      element ? to_string(*element) : detail::describe_type(type.get())));
  }
  std::vector<float> values(static_cast<std::size_t>(count));
  if (H5Aread(handle.get(), H5T_NATIVE_FLOAT, values.data()) < 0) {
    refuse(name_of(name), fmt::format("cannot read ({})", detail::last_reason()));
  }
  return values;
}

}  // namespace moecarlo::hdf5::stored
