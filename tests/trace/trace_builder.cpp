#include "tests/trace/trace_builder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace moecarlo::testing {
namespace {

hid_t create(const std::filesystem::path& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  // Closing the file then closes whatever a test has left open in it.
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
  return file;
}

void put_common(hid_t file) {
  set_text(file, "schema", "moecarlo-trace");
  set_number(file, "schema_version", 1);
  set_text(file, "model", "tiny");
  set_number(file, "num_experts", experts);
  set_number(file, "top_k", top_k);
  set_number(file, "num_shared_experts", 1);
  set_text(file, "scoring", "softmax");
  set_number(file, "renormalize", 1);
  set_text(file, "source", "made for a test");
  put_integers(file, "sequence_offsets", H5T_STD_I64LE, {3}, {0, 4, 6});
  put_integers(file, "phase", H5T_STD_U8LE, {tokens}, {0, 1, 1, 1, 0, 1});
  put_integers(file, "token_ids", H5T_STD_I32LE, {tokens}, {5, -1, 7, 8, 9, 5});
  put_integers(file, "layer_numbers", H5T_STD_I32LE, {layers}, {1, 3});
}

void put_groups(hid_t file) {
  const hid_t acceptance = H5Gcreate2(file, "acceptance", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  set_text(acceptance, "drafter", "n-gram");
  put_floats(acceptance, "accept_probability", float16_type(), {1, tokens}, {0, 0.5, 1, 0.25, 0.75, 1});
  put_floats(acceptance, "cache_fraction", H5T_IEEE_F32LE, {1}, {0.5});
  put_integers(acceptance, "weight_bits", H5T_STD_U8LE, {1}, {4});
  put_floats(acceptance, "draft_probability", float16_type(), {tokens}, {1, 0.5, 0.25, 0.75, 1, 0});
  H5Gclose(acceptance);

  const hid_t rounds = H5Gcreate2(file, "rounds", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  put_integers(rounds, "position", H5T_STD_I64LE, {2}, {1, 3});
  put_integers(rounds, "drafted", H5T_STD_I32LE, {2}, {1, 0});
  put_integers(rounds, "accepted", H5T_STD_I32LE, {2}, {1, 0});
  put_integers(rounds, "verify_expert_ids", H5T_STD_I16LE, {2, 2, layers, top_k},
               {0, 1, 2, 3, 4, 5, 6, 7, 7, 0, 1, 2, -1, -1, -1, -1});
  H5Gclose(rounds);

  const hid_t lookups = H5Gcreate2(file, "lookups", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  put_integers(lookups, "layer", H5T_STD_I32LE, {4}, {0, 1, 2, 0});
  put_integers(lookups, "expert", H5T_STD_I32LE, {4}, {7, 0, 3, 3});
  put_integers(lookups, "part", H5T_STD_I32LE, {4}, {0, 1, 2, 0});
  put_integers(lookups, "hit", H5T_STD_U8LE, {4}, {0, 1, 0, 1});
  put_integers(lookups, "sweep_offsets", H5T_STD_I64LE, {3}, {0, 2, 4});
  H5Gclose(lookups);

  put_magnitudes(file, 2, std::vector<std::int64_t>(tokens * layers * 2, 7), {0.5, 2});
  put_integers(file, "context_token_ids", H5T_STD_I32LE, {7}, {5, -1, 7, 8, 3, 9, 5});
  put_integers(file, "context_offsets", H5T_STD_I64LE, {3}, {0, 4, 7});
  put_integers(file, "position", H5T_STD_I32LE, {tokens}, {0, 1, 2, 3, 1, 2});
}

}  // namespace

ScratchFolder::ScratchFolder() {
  const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string name =
      std::string("moecarlo-") + test->test_suite_name() + "-" + test->name() + "-" + std::to_string(::getpid());
  for (char& c : name) c = c == '/' ? '-' : c;
  folder_ = std::filesystem::temp_directory_path() / name;
  std::filesystem::create_directories(folder_);
}

ScratchFolder::~ScratchFolder() {
  std::filesystem::remove_all(folder_);
}

void set_text(hid_t object, const char* attribute, const std::string& value) {
  remove_attribute(object, attribute);
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, value.size() + 1);
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t handle = H5Acreate2(object, attribute, type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(handle, type, value.c_str());
  H5Aclose(handle);
  H5Sclose(space);
  H5Tclose(type);
}

void set_number(hid_t object, const char* attribute, std::int64_t value) {
  remove_attribute(object, attribute);
  const hid_t space = H5Screate(H5S_SCALAR);
  const hid_t handle = H5Acreate2(object, attribute, H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(handle, H5T_NATIVE_INT64, &value);
  H5Aclose(handle);
  H5Sclose(space);
}

void remove_attribute(hid_t object, const char* attribute) {
  if (H5Aexists(object, attribute) > 0) H5Adelete(object, attribute);
}

void remove_object(hid_t parent, const char* name) {
  if (H5Lexists(parent, name, H5P_DEFAULT) > 0) H5Ldelete(parent, name, H5P_DEFAULT);
}

hid_t float16_type() {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

void put(hid_t parent, const char* name, hid_t file_type, const Extents& extents, hid_t memory_type, const void* values,
         hid_t creation) {
  remove_object(parent, name);
  const hid_t space = H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
  const hid_t dataset = H5Dcreate2(parent, name, file_type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  ASSERT_GE(dataset, 0) << name;
  ASSERT_GE(H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0) << name;
  H5Dclose(dataset);
  H5Sclose(space);
}

void put_integers(hid_t parent, const char* name, hid_t file_type, const Extents& extents,
                  const std::vector<std::int64_t>& values) {
  put(parent, name, file_type, extents, H5T_NATIVE_INT64, values.data());
}

void put_floats(hid_t parent, const char* name, hid_t file_type, const Extents& extents,
                const std::vector<float>& values) {
  put(parent, name, file_type, extents, H5T_NATIVE_FLOAT, values.data());
}

std::vector<std::int64_t> small_ids() {
  return {0, 1, 2, 3, /**/ 1, 7, 3, 2, /**/ 6, 1, 4, 3, /**/ 1, 0, 3, 5, /**/ 2, 4, 6, 0, /**/ 1, 2, 7, 3};
}

std::vector<float> small_logits() {
  std::vector<float> logits;
  for (std::uint32_t i = 0; i < tokens * layers * experts; ++i) {
    logits.push_back(static_cast<float>((i * 37) % 61) / 8 - 4);
  }
  return logits;
}

void put_magnitudes(hid_t file, hsize_t channels, const std::vector<std::int64_t>& values,
                    const std::vector<float>& scales) {
  put_integers(file, "channel_magnitude", H5T_STD_U8LE, {tokens, layers, channels}, values);
  if (scales.empty()) return;
  const hsize_t count = scales.size();
  const hid_t dataset = H5Dopen2(file, "channel_magnitude", H5P_DEFAULT);
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t attribute = H5Acreate2(dataset, "scale", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, H5T_NATIVE_FLOAT, scales.data());
  H5Aclose(attribute);
  H5Sclose(space);
  H5Dclose(dataset);
}

std::filesystem::path make_id_trace(const std::filesystem::path& path, const std::function<void(hid_t)>& change) {
  const hid_t file = create(path);
  put_common(file);
  put_integers(file, "expert_ids", H5T_STD_U8LE, {tokens, layers, top_k}, small_ids());
  put_floats(file, "expert_weights", float16_type(), {tokens, layers, top_k},
             std::vector<float>(tokens * layers * top_k, 0.5F));
  put_groups(file);
  change(file);
  H5Fclose(file);
  return path;
}

std::filesystem::path make_logit_trace(const std::filesystem::path& path, const std::function<void(hid_t)>& change) {
  const hid_t file = create(path);
  put_common(file);
  put_floats(file, "router_logits", float16_type(), {tokens, layers, experts}, small_logits());
  change(file);
  H5Fclose(file);
  return path;
}

}  // namespace moecarlo::testing
