#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "host/support/error.hpp"
#include "host/trace/trace_reader.hpp"
#include "tests/shared/environment.hpp"
#include "tests/trace/trace_builder.hpp"

namespace moecarlo {
namespace {

using namespace moecarlo::testing;

// HDF5 1.10 itself reads a few bytes past its buffers in some damaged object headers; the address sanitizer ends the
// process there, in code that is not ours.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool address_sanitizer = true;
#else
constexpr bool address_sanitizer = false;
#endif

// Reads all that a trace holds; anything but success or an input error fails the test or the process.
bool accepted(const std::filesystem::path& path) {
  try {
    const TraceReader reader(path);
    const Choices choices = reader.read_choices(0, reader.info().tokens);
    reader.read_weights(0, choices);
    reader.read_token_ids(0, reader.info().tokens);
    reader.check_extras();
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input) << error.what();
    return false;
  }
}

void put_byte(const std::filesystem::path& path, std::size_t position, char byte) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(position));
  file.put(byte);
}

// One byte at a time, every `step`th of the file, has all its bits flipped, its lowest or its highest.
void mutate(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  constexpr unsigned flips[] = {0xFF, 0x01, 0x80};
  const auto step = static_cast<std::size_t>(testing::parameter("MOECARLO_MUTATION_STEP", 37));
  int refused = 0;
  for (std::size_t i = 0; step * i < whole.size(); ++i) {
    put_byte(path, step * i, static_cast<char>(static_cast<unsigned char>(whole[step * i]) ^ flips[i % 3]));
    refused += accepted(path) ? 0 : 1;
    put_byte(path, step * i, whole[step * i]);
  }
  EXPECT_GT(refused, 0) << "no mutation was noticed: the test does not read what it changes";
  EXPECT_TRUE(accepted(path)) << "the file was not restored";
}

TEST(TraceMutations, NoChangedByteOfAnIdTraceCrashesTheReader) {
  if (address_sanitizer) GTEST_SKIP() << "HDF5 1.10 overreads damaged headers";
  const ScratchFolder folder;
  mutate(make_id_trace(folder / "mutated.h5"));
}

TEST(TraceMutations, NoChangedByteOfACompressedLogitTraceCrashesTheReader) {
  if (address_sanitizer) GTEST_SKIP() << "HDF5 1.10 overreads damaged headers";
  const ScratchFolder folder;
  const auto path = make_logit_trace(folder / "mutated.h5", [](hid_t file) {
    const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk[] = {4, 1, experts};
    H5Pset_chunk(creation, 3, chunk);
    H5Pset_shuffle(creation);
    H5Pset_deflate(creation, 1);
    H5Pset_fletcher32(creation);
    put(file, "router_logits", float16_type(), {tokens, layers, experts}, H5T_NATIVE_FLOAT, small_logits().data(),
        creation);
    H5Pclose(creation);
  });
  mutate(path);
}

}  // namespace
}  // namespace moecarlo
