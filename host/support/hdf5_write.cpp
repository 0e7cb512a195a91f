#include "host/support/hdf5.hpp"
#include "host/support/hdf5_detail.hpp"

namespace moecarlo::hdf5 {
namespace {

[[noreturn]] void fail_writing(const std::string& name) {
  fail(ErrorKind::machine, "{}: cannot write ({})", name, detail::last_reason());
}

SpaceHandle space_of(const std::vector<std::uint64_t>& extents) {
  if (extents.empty()) return SpaceHandle(H5Screate(H5S_SCALAR));
  const std::vector<hsize_t> sizes(extents.begin(), extents.end());
  return SpaceHandle(H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr));
}

FileHandle create_file(const TemporaryFile& temporary) {
  detail::prepare_thread();
  const PropertyHandle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  FileHandle file(H5Fcreate(temporary.path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()));
  if (!file.valid()) fail_writing(temporary.target().string());
  return file;
}

}  // namespace

OutputGroup::OutputGroup(GroupHandle handle, std::string file, std::string path)
    : handle_(std::move(handle)), file_(std::move(file)), path_(std::move(path)) {}

std::string OutputGroup::name_of(std::string_view member) const {
  return fmt::format("{}: {}{}", file_, path_, member);
}

OutputGroup OutputGroup::create_group(const std::string& member) {
  detail::prepare_thread();
  GroupHandle handle(H5Gcreate2(handle_.get(), member.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  if (!handle.valid()) fail_writing(name_of(member));
  return {std::move(handle), file_, path_ + member + "/"};
}

void OutputGroup::write_attribute(const std::string& attribute, hid_t file_type, const void* value) {
  const SpaceHandle space(H5Screate(H5S_SCALAR));
  const AttributeHandle handle(
      H5Acreate2(handle_.get(), attribute.c_str(), file_type, space.get(), H5P_DEFAULT, H5P_DEFAULT));
  if (!handle.valid() || H5Awrite(handle.get(), file_type, value) < 0) fail_writing(name_of("@" + attribute));
}

void OutputGroup::write_string(const std::string& attribute, std::string_view value) {
  detail::prepare_thread();
  // Variable length, as h5py writes a str: the attribute then has no 64 KiB limit and reads back as a str.
  const TypeHandle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  const std::string terminated(value);
  const char* text = terminated.c_str();
  write_attribute(attribute, type.get(), static_cast<const void*>(&text));
}

void OutputGroup::write_integer(const std::string& attribute, std::int64_t value) {
  detail::prepare_thread();
  write_attribute(attribute, H5T_NATIVE_INT64, &value);
}

void OutputGroup::write_boolean(const std::string& attribute, bool value) {
  detail::prepare_thread();
  const TypeHandle type(H5Tenum_create(H5T_STD_I8LE));
  const std::int8_t members[] = {0, 1};
  H5Tenum_insert(type.get(), "FALSE", &members[0]);
  H5Tenum_insert(type.get(), "TRUE", &members[1]);
  write_attribute(attribute, type.get(), &members[value ? 1 : 0]);
}

namespace {

/// How datasets are stored: without the time of creation, so that equal content gives equal files, and compressed where
/// a chunk is given.
PropertyHandle creation_properties(const std::vector<hsize_t>& chunk, bool compress) {
  PropertyHandle creation(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_obj_track_times(creation.get(), false);
  if (!chunk.empty()) H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
  if (compress) {
    H5Pset_shuffle(creation.get());
    H5Pset_deflate(creation.get(), 1);
  }
  return creation;
}

}  // namespace

void OutputGroup::write_dataset(const std::string& member, const std::vector<std::uint64_t>& extents, Element element,
                                const void* values) {
  detail::prepare_thread();
  const SpaceHandle space = space_of(extents);
  const TypeHandle file_type = detail::file_type(element);
  const TypeHandle memory_type = detail::memory_type(element);
  const PropertyHandle creation = creation_properties({}, false);
  const DatasetHandle handle(H5Dcreate2(handle_.get(), member.c_str(), file_type.get(), space.get(), H5P_DEFAULT,
                                        creation.get(), H5P_DEFAULT));
  if (!handle.valid()) fail_writing(name_of(member));
  if (H5Dwrite(handle.get(), memory_type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    fail_writing(name_of(member));
  }
}

OutputFile::OutputFile(const std::filesystem::path& target)
    : temporary_(target),
      file_(create_file(temporary_)),
      root_(GroupHandle(H5Gopen2(file_.get(), "/", H5P_DEFAULT)), target.string(), "/") {}

void OutputFile::commit() {
  detail::prepare_thread();
  if (H5Fflush(file_.get(), H5F_SCOPE_LOCAL) < 0) fail_writing(temporary_.target().string());
  root_.handle_ = GroupHandle();
  if (H5Fclose(file_.release()) < 0) fail_writing(temporary_.target().string());
  temporary_.commit();
}

Appender::Appender(OutputGroup& group, const std::string& member, Element element,
                   const std::vector<std::uint64_t>& row_extents, std::uint64_t rows_per_chunk, bool compress)
    : name_(group.name_of(member)), element_(element), extents_{0} {
  detail::prepare_thread();
  extents_.insert(extents_.end(), row_extents.begin(), row_extents.end());
  const std::vector<hsize_t> initial(extents_.begin(), extents_.end());
  std::vector<hsize_t> most = initial;
  std::vector<hsize_t> chunk = initial;
  most[0] = H5S_UNLIMITED;
  chunk[0] = rows_per_chunk;
  const SpaceHandle space(H5Screate_simple(static_cast<int>(initial.size()), initial.data(), most.data()));
  const TypeHandle type = detail::file_type(element);
  const PropertyHandle creation = creation_properties(chunk, compress);
  handle_ = DatasetHandle(H5Dcreate2(group.handle_.get(), member.c_str(), type.get(), space.get(), H5P_DEFAULT,
                                     creation.get(), H5P_DEFAULT));
  if (!handle_.valid()) fail_writing(name_);
}

void Appender::append(std::uint64_t rows, const void* values) {
  if (rows == 0) return;
  detail::prepare_thread();
  std::vector<hsize_t> start(extents_.size(), 0);
  std::vector<hsize_t> size(extents_.begin(), extents_.end());
  start[0] = extents_[0];
  size[0] = rows;
  extents_[0] += rows;
  const std::vector<hsize_t> grown(extents_.begin(), extents_.end());
  if (H5Dset_extent(handle_.get(), grown.data()) < 0) fail_writing(name_);
  const SpaceHandle memory(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr));
  const SpaceHandle file(H5Dget_space(handle_.get()));
  H5Sselect_hyperslab(file.get(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  const TypeHandle type = detail::memory_type(element_);
  if (H5Dwrite(handle_.get(), type.get(), memory.get(), file.get(), H5P_DEFAULT, values) < 0) {
    fail_writing(name_);
  }
}

}  // namespace moecarlo::hdf5
