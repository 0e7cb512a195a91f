#include <gmock/gmock.h>
#include <hdf5.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>

#include "host/support/hdf5.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// How a dataset is stored.
struct Storage {
  std::vector<hsize_t> chunk;  ///< none: in one piece
  std::vector<H5Z_filter_t> filters;
  hid_t type = -1;  ///< int32 unless it is given
  hsize_t user_block = 0;
  bool bare_edges = false;  ///< chunks over the edge without their filters
};

class Hdf5Pieces : public ::testing::Test {
 protected:
  ~Hdf5Pieces() override { std::filesystem::remove(path_); }

  // Numbers 0, 1, 2 and so on, as far as the type goes, written by the library itself.
  void write(const std::vector<hsize_t>& extents, const Storage& storage) {
    std::size_t elements = 1;
    for (const hsize_t extent : extents) elements *= extent;
    values_.resize(elements);
    for (std::size_t i = 0; i < elements; ++i) values_[i] = static_cast<std::int32_t>(i % (i < 50 ? 50 : 200));
    if (storage.type < 0) std::iota(values_.begin(), values_.end(), 0);
    const int rank = static_cast<int>(extents.size());
    const hid_t made = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_userblock(made, storage.user_block);
    H5Pset_libver_bounds(access, storage.bare_edges ? H5F_LIBVER_LATEST : H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, made, access);
    const hid_t space = H5Screate_simple(rank, extents.data(), nullptr), creation = H5Pcreate(H5P_DATASET_CREATE);
    if (!storage.chunk.empty()) H5Pset_chunk(creation, rank, storage.chunk.data());
    for (const H5Z_filter_t filter : storage.filters) {
      const unsigned level = 1;
      H5Pset_filter(creation, filter, H5Z_FLAG_MANDATORY, filter == H5Z_FILTER_DEFLATE ? 1 : 0, &level);
    }
    if (storage.bare_edges) H5Pset_chunk_opts(creation, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
    const hid_t type = storage.type < 0 ? H5T_STD_I32LE : storage.type;
    const hid_t set = H5Dcreate2(file, "set", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values_.data());
    for (const hid_t id : {set, creation, space, file, made, access}) H5Idec_ref(id);
  }

  void expect_rows(const hdf5::Dataset& set, std::uint64_t first, std::uint64_t count) {
    const auto row = static_cast<std::ptrdiff_t>(set.row_elements());
    const auto from = values_.begin() + static_cast<std::ptrdiff_t>(first) * row;
    const std::vector<std::int32_t> expected(from, from + static_cast<std::ptrdiff_t>(count) * row);
    EXPECT_EQ(set.read_integers<std::int32_t>(first, count) == expected, true) << first << " + " << count;
  }

  void expect_any_rows() {
    const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
    expect_rows(set, 0, set.rows());
    for (int repeat = 0; repeat < 4; ++repeat) {
      const std::uint64_t first = random_() % set.rows();
      expect_rows(set, first, 1 + random_() % (set.rows() - first));
    }
  }

  /// Writes over bytes of the chunk that holds `place`, `from` behind its start.
  void damage_chunk(std::vector<hsize_t> place, std::uint64_t from, const std::string& bytes) {
    const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), set = H5Dopen2(file, "set", H5P_DEFAULT);
    unsigned mask = 0;
    haddr_t offset = 0;
    hsize_t size = 0;
    H5Dget_chunk_info_by_coord(set, place.data(), &mask, &offset, &size);
    for (const hid_t id : {set, file}) H5Idec_ref(id);
    std::fstream out(path_, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(offset + from));
    out << bytes;
  }

  void expect_refused(const std::string& part) {
    const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
    std::vector<char> out(set.rows() * set.row_elements() * size_in_bytes(set.element()));
    try {
      set.read_rows(0, set.rows(), out.data());
      ADD_FAILURE() << "no error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::input);
      EXPECT_THAT(error.what(), HasSubstr(path_.string() + ": /set: " + part));
    }
  }

  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("moecarlo-hdf5-pieces-" + std::to_string(::getpid()) + ".h5");
  std::vector<std::int32_t> values_;
  std::mt19937 random_{1};
};

constexpr H5Z_filter_t kShuffle = H5Z_FILTER_SHUFFLE, kDeflate = H5Z_FILTER_DEFLATE, kSum = H5Z_FILTER_FLETCHER32;

TEST_F(Hdf5Pieces, AnyRowsOfAnyShapeAreThoseThatWereWritten) {
  const std::vector<std::pair<std::vector<hsize_t>, std::vector<hsize_t>>> shapes{{{300, 50, 200}, {}},
                                                                                  {{300, 50, 200}, {7, 50, 200}},
                                                                                  {{300, 50, 200}, {300, 1, 200}},
                                                                                  {{300, 50, 200}, {64, 7, 30}},
                                                                                  {{300, 50, 200}, {1, 1, 200}},
                                                                                  {{3, 2, 1'200'000}, {}},
                                                                                  {{3, 2, 1'200'000}, {2, 1, 100'000}},
                                                                                  {{2'000'000}, {300'001}},
                                                                                  {{5, 700'000}, {2, 7'000}}};
  for (const auto& [extents, chunk] : shapes) {
    write(extents, {.chunk = chunk, .filters = chunk.empty() ? std::vector<H5Z_filter_t>{} : std::vector{kDeflate}});
    expect_any_rows();
  }
}

TEST_F(Hdf5Pieces, AnyFiltersAreUndone) {
  const std::vector<std::vector<H5Z_filter_t>> all{
      {}, {kShuffle}, {kDeflate}, {kShuffle, kDeflate}, {kDeflate, kShuffle}, {kSum}, {kShuffle, kDeflate, kSum}};
  for (const std::vector<H5Z_filter_t>& filters : all) {
    SCOPED_TRACE(::testing::PrintToString(filters));
    for (const std::vector<hsize_t>& chunk : {std::vector<hsize_t>{32, 5, 40}, {30, 13, 80}}) {
      write({100, 13, 80}, {.chunk = chunk, .filters = filters});
      ASSERT_NO_FATAL_FAILURE(expect_any_rows());
    }
  }
}

TEST_F(Hdf5Pieces, NumbersOfAnyTypeAreThoseThatWereWritten) {
  for (const hid_t type : {H5T_STD_U8LE, H5T_STD_I16LE, H5T_STD_U16BE, H5T_STD_I32BE, H5T_STD_I64LE, H5T_STD_U64BE}) {
    write({100, 13, 80}, {.chunk = {33, 13, 80}, .filters = {kShuffle, kDeflate}, .type = type});
    expect_any_rows();
  }
}

TEST_F(Hdf5Pieces, AUserBlockBeforeTheFileShiftsNothing) {
  for (const std::vector<hsize_t>& chunk : {std::vector<hsize_t>{}, {32, 5, 40}}) {
    write({100, 13, 80}, {.chunk = chunk, .filters = {}, .user_block = 4096});
    expect_any_rows();
  }
}

TEST_F(Hdf5Pieces, ChunksOverTheEdgeMayHaveNoFilters) {
  write({100, 13, 80}, {.chunk = {32, 5, 60}, .filters = {kShuffle, kDeflate}, .bare_edges = true});
  expect_any_rows();
}

// A filter that cannot shrink a chunk may leave it as it is, and says so chunk by chunk.
TEST_F(Hdf5Pieces, AChunkMayHaveBeenLeftAsItWas) {
  write({64, 1000}, {.chunk = {16, 1000}, .filters = {kShuffle, kDeflate}});
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "set", H5P_DEFAULT);
  const hsize_t place[] = {32, 0};
  H5Dwrite_chunk(set, H5P_DEFAULT, 3, place, 16 * 1000 * 4, values_.data() + 32 * 1000);
  for (const hid_t id : {set, file}) H5Idec_ref(id);
  expect_any_rows();
}

TEST_F(Hdf5Pieces, ADamagedChunkIsRefused) {
  for (const std::vector<H5Z_filter_t>& filters :
       std::vector<std::vector<H5Z_filter_t>>{{kDeflate}, {kShuffle, kDeflate}}) {
    write({640, 1000}, {.chunk = {16, 1000}, .filters = filters});
    damage_chunk({320, 0}, 500, std::string(30, '\xff'));
    expect_refused("cannot read rows 320 to 335 (damaged chunk)");
  }
}

TEST_F(Hdf5Pieces, AChunkThatInflatesToAnotherSizeIsRefused) {
  write({64, 1000}, {.chunk = {16, 1000}, .filters = {kDeflate}});
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), set = H5Dopen2(file, "set", H5P_DEFAULT);
  std::string empty_stream("\x78\x9c\x03\x00\x00\x00\x00\x01", 8);
  const hsize_t place[] = {48, 0};
  H5Dwrite_chunk(set, H5P_DEFAULT, 0, place, empty_stream.size(), empty_stream.data());
  for (const hid_t id : {set, file}) H5Idec_ref(id);
  expect_refused("cannot read rows 48 to 63 (damaged chunk)");
}

TEST_F(Hdf5Pieces, AnElementIsADatasetToo) {
  write({}, {});
  const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
  EXPECT_TRUE(set.extents().empty());
  EXPECT_THAT(set.read_integers<std::int32_t>(0, 1), ElementsAre(0));
}

TEST_F(Hdf5Pieces, ChunksOfManyMegabytesAreReadInParts) {
  write({20'000'000, 1}, {.chunk = {20'000'000, 1}, .filters = {}});
  const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
  expect_rows(set, 0, set.rows());
  expect_rows(set, 17'000'000, 2'999'999);
}

TEST_F(Hdf5Pieces, RowsPastTheEndAreNotRead) {
  write({10, 3000}, {});
  const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
  std::vector<std::int32_t> out(3000);
  EXPECT_THROW(set.read_rows(10, 1, out.data()), std::out_of_range);
  EXPECT_THROW(set.read_rows(5, ~std::uint64_t{0}, out.data()), std::out_of_range);
}

TEST_F(Hdf5Pieces, ADatasetIsReadAfterItsFileWentOutOfSight) {
  write({100'000}, {});
  const hdf5::Dataset set = [&] { return hdf5::open_file(path_).open_dataset("set"); }();
  const hdf5::Dataset copy = set;
  expect_rows(copy, 5, 99'000);
}

TEST_F(Hdf5Pieces, StringsOfEitherKindAreRead) {
  const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t count = 10'000;
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t variable = H5Tcopy(H5T_C_S1), fixed = H5Tcopy(H5T_C_S1);
  H5Tset_size(variable, H5T_VARIABLE);
  H5Tset_size(fixed, 8);
  std::vector<std::string> labels;
  std::vector<const char*> pointers;
  std::string packed;
  for (hsize_t i = 0; i < count; ++i) labels.push_back("label" + std::to_string(i % 100));
  for (const std::string& label : labels) {
    pointers.push_back(label.c_str());
    packed += label + std::string(8 - label.size(), '\0');
  }
  const hid_t first = H5Dcreate2(file, "variable", variable, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t second = H5Dcreate2(file, "fixed", fixed, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(first, variable, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers.data());
  H5Dwrite(second, fixed, H5S_ALL, H5S_ALL, H5P_DEFAULT, packed.data());
  for (const hid_t id : {first, second, fixed, variable, space, file}) H5Idec_ref(id);
  const hdf5::Group root = hdf5::open_file(path_);
  EXPECT_EQ(root.read_strings("variable"), labels);
  EXPECT_EQ(root.read_strings("fixed"), labels);
  try {
    root.read_strings("absent");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("/absent: missing"));
  }
}

}  // namespace
}  // namespace moecarlo
