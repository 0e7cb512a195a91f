#include <algorithm>
#include <cstring>

#include "host/support/hdf5.hpp"
#include "host/support/hdf5_detail.hpp"

namespace moecarlo::hdf5 {
namespace {

using detail::refuse;

constexpr std::uint64_t largest_string_bytes = std::uint64_t{64} << 10;

}  // namespace

Group::Group(GroupHandle handle, std::string file, std::string path)
    : handle_(std::move(handle)), file_(std::move(file)), path_(std::move(path)) {}

std::string Group::name_of(std::string_view member) const {
  return fmt::format("{}: {}{}", file_, path_, member);
}

bool Group::has(const std::string& member) const {
  detail::prepare_thread();
  return H5Lexists(handle_.get(), member.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Group::members() const {
  detail::prepare_thread();
  H5G_info_t info;
  if (H5Gget_info(handle_.get(), &info) < 0) refuse(name_of(""), "damaged group");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    char name[256] = {};
    const auto length =
        H5Lget_name_by_idx(handle_.get(), ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
    if (length < 0) refuse(name_of(""), "damaged group");
    if (static_cast<std::size_t>(length) >= sizeof name) refuse(name_of(name), "name too long (expected 255 bytes)");
    names.emplace_back(name);
  }
  return names;
}

void Group::check_link(const std::string& member) const {
  detail::prepare_thread();
  if (!has(member)) refuse(name_of(member), "missing");
  H5L_info_t link;
  if (H5Lget_info(handle_.get(), member.c_str(), &link, H5P_DEFAULT) < 0) refuse(name_of(member), "damaged link");
  if (link.type != H5L_TYPE_HARD) refuse(name_of(member), "soft or external link (expected the data itself)");
}

Group Group::open_group(const std::string& member) const {
  check_link(member);
  GroupHandle handle(H5Gopen2(handle_.get(), member.c_str(), H5P_DEFAULT));
  if (!handle.valid()) refuse(name_of(member), fmt::format("not a readable group ({})", detail::last_reason()));
  return {std::move(handle), file_, path_ + member + "/"};
}

Dataset Group::open_dataset(const std::string& member) const {
  check_link(member);
  DatasetHandle handle(H5Dopen2(handle_.get(), member.c_str(), H5P_DEFAULT));
  if (!handle.valid()) refuse(name_of(member), fmt::format("not a readable dataset ({})", detail::last_reason()));
  return {std::move(handle), name_of(member)};
}

bool Group::has_attribute(const std::string& attribute) const {
  detail::prepare_thread();
  return H5Aexists(handle_.get(), attribute.c_str()) > 0;
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

std::string Group::read_string(const std::string& attribute) const {
  const std::string name = name_of("@" + attribute);
  const AttributeHandle handle = open_attribute(attribute);
  const TypeHandle type(H5Aget_type(handle.get()));
  if (!type.valid() || H5Tget_class(type.get()) != H5T_STRING) {
    refuse(name, fmt::format("wrong type (expected a string, found {})", detail::describe_type(type.get())));
  }
  if (H5Tis_variable_str(type.get()) > 0) {
    char* text = nullptr;
    if (H5Aread(handle.get(), type.get(), static_cast<void*>(&text)) < 0 || text == nullptr) {
      refuse(name, fmt::format("cannot read ({})", detail::last_reason()));
    }
    std::string value(text, ::strnlen(text, largest_string_bytes));
    H5free_memory(text);
    return value;
  }
  const std::size_t bytes = H5Tget_size(type.get());
  if (bytes > largest_string_bytes) refuse(name, fmt::format("string of {} bytes (expected at most 65536)", bytes));
  std::string value(bytes, '\0');
  if (H5Aread(handle.get(), type.get(), value.data()) < 0) {
    refuse(name, fmt::format("cannot read ({})", detail::last_reason()));
  }
  value.resize(std::min(value.find('\0'), value.size()));
  if (H5Tget_strpad(type.get()) == H5T_STR_SPACEPAD) value.resize(value.find_last_not_of(' ') + 1);
  return value;
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

Group open_file(const std::filesystem::path& path) {
  detail::prepare_thread();
  const std::string name = path.string();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) refuse(name, "no such file");
  if (!std::filesystem::is_regular_file(path, ignored)) refuse(name, "not a file");
  const PropertyHandle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_file_locking(access.get(), false, true);  // reading needs no lock, and cluster file systems may not have any
  const FileHandle file(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access.get()));
  if (!file.valid()) {
    const std::string reason = detail::last_reason();
    const bool hdf5 = H5Fis_hdf5(name.c_str()) > 0;
    refuse(name, fmt::format("{} ({})", hdf5 ? "truncated or damaged HDF5 file" : "not a readable HDF5 file", reason));
  }
  GroupHandle root(H5Gopen2(file.get(), "/", H5P_DEFAULT));
  if (!root.valid()) refuse(name, fmt::format("truncated or damaged HDF5 file ({})", detail::last_reason()));
  return {std::move(root), name, "/"};
}

}  // namespace moecarlo::hdf5
