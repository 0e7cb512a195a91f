#pragma once

#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace moecarlo::testing {

/// A folder of its own for each test, removed at the end.
class ScratchFolder {
 public:
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  const std::filesystem::path& path() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

// Small trace files made with the plain HDF5 C API, without any of the project's own writing code.

using Extents = std::vector<hsize_t>;

void set_text(hid_t object, const char* attribute, const std::string& value);
void set_number(hid_t object, const char* attribute, std::int64_t value);
void remove_attribute(hid_t object, const char* attribute);
void remove_object(hid_t parent, const char* name);
hid_t float16_type();

/// Creates the dataset, in place of one that is already there. `creation` may ask for chunks, filters and so on.
void put(hid_t parent, const char* name, hid_t file_type, const Extents& extents, hid_t memory_type, const void* values,
         hid_t creation = H5P_DEFAULT);
void put_integers(hid_t parent, const char* name, hid_t file_type, const Extents& extents,
                  const std::vector<std::int64_t>& values);
void put_floats(hid_t parent, const char* name, hid_t file_type, const Extents& extents,
                const std::vector<float>& values);

/// Shape of the small traces below: 6 tokens, 2 layers, top-2 of 8, two sequences of 4 and 2 tokens.
constexpr hsize_t tokens = 6, layers = 2, experts = 8, top_k = 2;

/// Input magnitudes [tokens][layers][channels], as many channels, and what a stored 1 stands for in each layer. Without
/// scales there is no attribute.
void put_magnitudes(hid_t file, hsize_t channels, const std::vector<std::int64_t>& values,
                    const std::vector<float>& scales);

/// A valid trace of expert ids with every optional dataset and group; `change` gets the open file to add to it or spoil
/// it.
std::filesystem::path make_id_trace(
    const std::filesystem::path& path, const std::function<void(hid_t file)>& change = [](hid_t) {});

/// A valid trace of float16 logits.
std::filesystem::path make_logit_trace(
    const std::filesystem::path& path, const std::function<void(hid_t file)>& change = [](hid_t) {});

/// The ids of make_id_trace, [tokens][layers][top_k].
std::vector<std::int64_t> small_ids();
/// The logits of make_logit_trace, [tokens][layers][experts]; every one is exact in float16.
std::vector<float> small_logits();

}  // namespace moecarlo::testing
