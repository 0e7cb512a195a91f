#include <gmock/gmock.h>
#include <hdf5.h>
#include <unistd.h>

#include <filesystem>
#include <numeric>
#include <random>

#include "host/support/hdf5.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Hdf5Pieces : public ::testing::Test {
 protected:
  ~Hdf5Pieces() override { std::filesystem::remove(path_); }

  // Numbers 0, 1, 2 and so on, written by the library itself.
  void write(const std::vector<hsize_t>& extents, const std::vector<hsize_t>& chunk, bool compress) {
    std::size_t elements = 1;
    for (const hsize_t extent : extents) elements *= extent;
    values_.resize(elements);
    std::iota(values_.begin(), values_.end(), 0);
    const int rank = static_cast<int>(extents.size());
    const hid_t file = H5Fcreate(path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    const hid_t space = H5Screate_simple(rank, extents.data(), nullptr), creation = H5Pcreate(H5P_DATASET_CREATE);
    if (!chunk.empty()) H5Pset_chunk(creation, rank, chunk.data());
    if (compress) H5Pset_deflate(creation, 1);
    const hid_t set = H5Dcreate2(file, "set", H5T_STD_I32LE, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT, values_.data());
    for (const hid_t id : {set, creation, space, file}) H5Idec_ref(id);
  }

  void expect_rows(const hdf5::Dataset& set, std::uint64_t first, std::uint64_t count) {
    const auto row = static_cast<std::ptrdiff_t>(set.row_elements());
    const auto from = values_.begin() + static_cast<std::ptrdiff_t>(first) * row;
    const std::vector<std::int32_t> expected(from, from + static_cast<std::ptrdiff_t>(count) * row);
    EXPECT_EQ(set.read_integers<std::int32_t>(first, count) == expected, true) << first << " + " << count;
  }

  const std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / ("moecarlo-hdf5-pieces-" + std::to_string(::getpid()) + ".h5");
  std::vector<std::int32_t> values_;
};

TEST_F(Hdf5Pieces, AnyRowsOfAnyShapeAreThoseThatWereWritten) {
  const std::vector<std::pair<std::vector<hsize_t>, std::vector<hsize_t>>> shapes{{{300, 50, 200}, {}},
                                                                                  {{300, 50, 200}, {7, 50, 200}},
                                                                                  {{300, 50, 200}, {300, 1, 200}},
                                                                                  {{300, 50, 200}, {64, 7, 30}},
                                                                                  {{300, 50, 200}, {1, 1, 1000}},
                                                                                  {{3, 2, 1'200'000}, {}},
                                                                                  {{3, 2, 1'200'000}, {2, 1, 100'000}},
                                                                                  {{2'000'000}, {300'001}},
                                                                                  {{5, 700'000}, {2, 7'000}}};
  std::mt19937 random(1);
  for (const auto& [extents, chunk] : shapes) {
    std::vector<hsize_t> inside = chunk;
    for (std::size_t i = 0; i < inside.size(); ++i) inside[i] = std::min(inside[i], extents[i]);
    write(extents, inside, !inside.empty());
    const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
    expect_rows(set, 0, set.rows());
    for (int repeat = 0; repeat < 5; ++repeat) {
      const std::uint64_t first = random() % set.rows();
      expect_rows(set, first, 1 + random() % (set.rows() - first));
    }
  }
}

TEST_F(Hdf5Pieces, AnElementIsADatasetToo) {
  write({}, {}, false);
  const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
  EXPECT_TRUE(set.extents().empty());
  EXPECT_THAT(set.read_integers<std::int32_t>(0, 1), ElementsAre(0));
}

TEST_F(Hdf5Pieces, ChunksOfManyMegabytesAreReadInParts) {
  write({20'000'000, 1}, {20'000'000, 1}, false);
  const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
  expect_rows(set, 0, set.rows());
  expect_rows(set, 17'000'000, 2'999'999);
}

TEST_F(Hdf5Pieces, RowsPastTheEndAreNotRead) {
  write({10, 3000}, {}, false);
  const hdf5::Dataset set = hdf5::open_file(path_).open_dataset("set");
  std::vector<std::int32_t> out(3000);
  EXPECT_THROW(set.read_rows(10, 1, out.data()), std::out_of_range);
  EXPECT_THROW(set.read_rows(5, ~std::uint64_t{0}, out.data()), std::out_of_range);
}

TEST_F(Hdf5Pieces, ADatasetIsReadAfterItsFileWentOutOfSight) {
  write({100'000}, {}, false);
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
