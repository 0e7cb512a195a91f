#include <string>

#include "host/support/hdf5_stored.hpp"

namespace moecarlo::hdf5::stored {
namespace {

constexpr std::size_t largest_value_bytes = std::size_t{4} << 20;

void read_one_value(hid_t attribute, hid_t type) {
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    if (H5Aread(attribute, type, static_cast<void*>(&text)) >= 0) H5free_memory(text);
    return;
  }
  const H5T_class_t kind = H5Tget_class(type);
  const bool plain = kind == H5T_STRING || kind == H5T_INTEGER || kind == H5T_FLOAT || kind == H5T_ENUM;
  const std::size_t bytes = H5Tget_size(type);
  if (!plain || bytes > largest_value_bytes) return;
  std::string value(bytes, '\0');
  H5Aread(attribute, type, value.data());
}

herr_t read_attribute(hid_t object, const char* name, const H5A_info_t*, void*) {
  const AttributeHandle attribute(H5Aopen(object, name, H5P_DEFAULT));
  const TypeHandle type(H5Aget_type(attribute.get()));
  const SpaceHandle space(H5Aget_space(attribute.get()));
  if (type.valid() && space.valid() && H5Sget_simple_extent_npoints(space.get()) == 1) {
    read_one_value(attribute.get(), type.get());
  }
  return 0;
}

template <class Info>
herr_t read_object(hid_t file, const char* name, const Info*, void*) {
  const Handle<H5Oclose> object(H5Oopen(file, name, H5P_DEFAULT));
  H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, read_attribute, nullptr);
  return 0;
}

}  // namespace

void rehearse(hid_t file) {
#if H5_VERSION_GE(1, 12, 0)
  H5Ovisit3(file, H5_INDEX_NAME, H5_ITER_NATIVE, read_object<H5O_info2_t>, nullptr, H5O_INFO_BASIC);
#else
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_NATIVE, read_object<H5O_info_t>, nullptr, H5O_INFO_BASIC);
#endif
}

}  // namespace moecarlo::hdf5::stored
