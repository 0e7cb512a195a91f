#include "host/support/hdf5_detail.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "host/support/error.hpp"

namespace moecarlo::hdf5 {
namespace {

struct ElementFacts {
  std::size_t bytes;
  const char* name;
};

constexpr std::array<ElementFacts, 11> facts = {{{1, "int8"},
                                                 {1, "uint8"},
                                                 {2, "int16"},
                                                 {2, "uint16"},
                                                 {4, "int32"},
                                                 {4, "uint32"},
                                                 {8, "int64"},
                                                 {8, "uint64"},
                                                 {2, "float16"},
                                                 {4, "float32"},
                                                 {8, "float64"}}};

hid_t predefined_file_type(Element element) {
  const std::array<hid_t, 11> types = {H5T_STD_I8LE,   H5T_STD_U8LE,   H5T_STD_I16LE, H5T_STD_U16LE,
                                       H5T_STD_I32LE,  H5T_STD_U32LE,  H5T_STD_I64LE, H5T_STD_U64LE,
                                       H5T_IEEE_F32LE, H5T_IEEE_F32LE, H5T_IEEE_F64LE};
  return types[static_cast<std::size_t>(element)];
}

hid_t predefined_memory_type(Element element) {
  const std::array<hid_t, 11> types = {H5T_NATIVE_INT8,  H5T_NATIVE_UINT8,  H5T_NATIVE_INT16, H5T_NATIVE_UINT16,
                                       H5T_NATIVE_INT32, H5T_NATIVE_UINT32, H5T_NATIVE_INT64, H5T_NATIVE_UINT64,
                                       H5T_NATIVE_FLOAT, H5T_NATIVE_FLOAT,  H5T_NATIVE_DOUBLE};
  return types[static_cast<std::size_t>(element)];
}

// A file that could not be closed (a full disk) would crash the library's clean-up at exit; nothing of ours needs it,
// since every file is closed by its handle. The library listens only before its first call: nobody's comes before main.
[[maybe_unused]] const bool no_clean_up = H5dont_atexit() >= 0;

// The type that h5py and the HDF5 tools use for IEEE binary16; the order of the calls matters to the library.
TypeHandle float16_type() {
  TypeHandle type(H5Tcopy(H5T_IEEE_F32LE));
  H5Tset_fields(type.get(), 15, 10, 5, 0, 10);
  H5Tset_size(type.get(), 2);
  H5Tset_ebias(type.get(), 15);
  return type;
}

}  // namespace

std::size_t size_in_bytes(Element element) {
  return facts[static_cast<std::size_t>(element)].bytes;
}
const char* to_string(Element element) {
  return facts[static_cast<std::size_t>(element)].name;
}

namespace detail {

void prepare_thread() {
  thread_local const bool prepared = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    H5PLset_loading_state(0);
    return true;
  }();
  static_cast<void>(prepared);
}

std::string last_reason() {
  std::string reason;
  const auto keep_innermost = [](unsigned, const H5E_error2_t* entry, void* out) -> herr_t {
    if (entry->desc != nullptr) *static_cast<std::string*>(out) = entry->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_innermost, &reason);
  // The library wraps a failed system call into times, addresses and sizes; what the system said is enough.
  const std::string quoted = "error message = '";
  if (const auto start = reason.find(quoted); start != std::string::npos) {
    reason.erase(0, start + quoted.size());
    reason.resize(std::min(reason.size(), reason.find('\'')));
  }
  for (char& c : reason) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return reason.empty() ? "no reason given" : reason;
}

TypeHandle file_type(Element element) {
  return element == Element::float16 ? float16_type() : TypeHandle(H5Tcopy(predefined_file_type(element)));
}

TypeHandle memory_type(Element element) {
  return element == Element::float16 ? float16_type() : TypeHandle(H5Tcopy(predefined_memory_type(element)));
}

void refuse(const std::string& name, const std::string& what) {
  fail(ErrorKind::input, "{}: {}", name, what);
}

std::optional<Element> element_of_type(hid_t type) {
  struct Known {
    hid_t type;
    Element element;
  };
  const std::array<Known, 20> known = {
      {{H5T_STD_I8LE, Element::int8},      {H5T_STD_I8BE, Element::int8},      {H5T_STD_U8LE, Element::uint8},
       {H5T_STD_U8BE, Element::uint8},     {H5T_STD_I16LE, Element::int16},    {H5T_STD_I16BE, Element::int16},
       {H5T_STD_U16LE, Element::uint16},   {H5T_STD_U16BE, Element::uint16},   {H5T_STD_I32LE, Element::int32},
       {H5T_STD_I32BE, Element::int32},    {H5T_STD_U32LE, Element::uint32},   {H5T_STD_U32BE, Element::uint32},
       {H5T_STD_I64LE, Element::int64},    {H5T_STD_I64BE, Element::int64},    {H5T_STD_U64LE, Element::uint64},
       {H5T_STD_U64BE, Element::uint64},   {H5T_IEEE_F32LE, Element::float32}, {H5T_IEEE_F32BE, Element::float32},
       {H5T_IEEE_F64LE, Element::float64}, {H5T_IEEE_F64BE, Element::float64}}};
  for (const Known& candidate : known) {
    if (H5Tequal(type, candidate.type) > 0) return candidate.element;
  }
  if (H5Tequal(type, file_type(Element::float16).get()) > 0) return Element::float16;
  return std::nullopt;
}

const char* describe_type(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return "an unusual integer";
    case H5T_FLOAT:
      return "an unusual or big-endian float";
    case H5T_STRING:
      return "a string";
    case H5T_COMPOUND:
      return "a compound";
    case H5T_ENUM:
      return "an enumeration";
    default:
      return "another type";
  }
}

}  // namespace detail
}  // namespace moecarlo::hdf5
