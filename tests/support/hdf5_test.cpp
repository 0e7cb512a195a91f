#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <numeric>

#include "host/support/error.hpp"
#include "host/support/hdf5.hpp"

namespace moecarlo {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Hdf5 : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  template <class Body>
  static void expect_error(ErrorKind kind, const std::string& part, Body body) {
    try {
      body();
      ADD_FAILURE() << "no error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("moecarlo-hdf5-" + std::to_string(::getpid()));
  const std::filesystem::path path_ = folder_ / "f.h5";
};

TEST_F(Hdf5, WhatIsWrittenIsReadBack) {
  std::vector<std::uint64_t> tallies(24);
  std::iota(tallies.begin(), tallies.end(), ~std::uint64_t{0} - 23);
  const std::vector<std::int32_t> numbers{-2'000'000'000, 5};
  {
    hdf5::OutputFile file(path_);
    file.root().write_string("schema", "tallies");
    file.root().write_string("long", std::string(200'000, 'x'));
    file.root().write_integer("seed", -7);
    file.root().write_boolean("done", true);
    hdf5::OutputGroup group = file.root().create_group("points").create_group("first");
    group.write<std::uint64_t>("verify", {2, 3, 4}, tallies);
    group.write<std::int32_t>("numbers", {2}, numbers);
    group.write<std::uint8_t>("nothing", {0, 3}, {});
    group.write_integer("depth", 4);
    EXPECT_FALSE(std::filesystem::exists(path_));
    file.commit();
  }
  const hdf5::Group root = hdf5::open_file(path_);
  EXPECT_EQ(root.read_string("schema"), "tallies");
  EXPECT_EQ(root.read_integer("seed"), -7);
  EXPECT_EQ(root.read_integer("done"), 1);
  EXPECT_FALSE(root.has_attribute("absent"));
  EXPECT_FALSE(root.has("absent"));
  const hdf5::Group group = root.open_group("points").open_group("first");
  EXPECT_EQ(group.read_integer("depth"), 4);
  EXPECT_EQ(group.read_integers<std::uint64_t>("verify", {2, 3, 4}), tallies);
  EXPECT_EQ(group.read_integers<std::int32_t>("numbers"), numbers);
  EXPECT_TRUE(group.read_integers<std::int64_t>("nothing").empty());
  EXPECT_THAT(group.open_dataset("verify").extents(), ElementsAre(2, 3, 4));
  EXPECT_EQ(group.name_of("verify"), path_.string() + ": /points/first/verify");
  EXPECT_THAT(group.members(), ElementsAre("nothing", "numbers", "verify"));
}

TEST_F(Hdf5, AppendedRowsFollowEachOther) {
  {
    hdf5::OutputFile file(path_);
    hdf5::Appender pairs(file.root(), "pairs", hdf5::Element::int16, {2}, 3, true);
    const std::vector<std::int16_t> first{1, 2, 3, 4, 5, 6, 7, 8};
    const std::vector<std::int16_t> second{-9, -10};
    pairs.append(4, first.data());
    pairs.append(0, nullptr);
    pairs.append(1, second.data());
    file.commit();
  }
  const hdf5::Dataset pairs = hdf5::open_file(path_).open_dataset("pairs");
  EXPECT_THAT(pairs.extents(), ElementsAre(5, 2));
  EXPECT_EQ(pairs.rows_per_chunk(), 3U);
  EXPECT_THAT(pairs.read_integers<std::int64_t>(3, 2), ElementsAre(7, 8, -9, -10));
}

TEST_F(Hdf5, ReadingWhatIsNotThereNamesIt) {
  {
    hdf5::OutputFile file(path_);
    file.root().write<std::uint64_t>("counts", {2}, std::vector<std::uint64_t>{1, 300});
    file.root().write<float>("floats", {1}, std::vector<float>{1.5F});
    file.root().write_integer("number", 1);
    file.commit();
  }
  const hdf5::Group root = hdf5::open_file(path_);
  const auto input = ErrorKind::input;
  expect_error(input, "/absent: missing", [&] { root.open_dataset("absent"); });
  expect_error(input, "/absent: missing", [&] { root.open_group("absent"); });
  expect_error(input, "/@absent: missing", [&] { root.read_integer("absent"); });
  expect_error(input, "/@number: wrong type (expected a string", [&] { root.read_string("number"); });
  expect_error(input, "/counts: not a readable group", [&] { root.open_group("counts"); });
  expect_error(input, "/counts: wrong extents", [&] { root.read_integers<std::uint64_t>("counts", {3}); });
  expect_error(input, "at [1] (expected 0 to 255, found 300)", [&] { root.read_integers<std::uint8_t>("counts"); });
  expect_error(input, "/floats: wrong type (expected integers", [&] { root.read_integers<std::uint8_t>("floats"); });
  expect_error(input, "no such file", [&] { hdf5::open_file(folder_ / "absent.h5"); });
}

TEST_F(Hdf5, AnUncommittedFileLeavesNothing) {
  {
    hdf5::OutputFile file(path_);
    file.root().write_integer("seed", 1);
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
  expect_error(ErrorKind::machine, "cannot write", [] { hdf5::OutputFile file("/nonexistent/f.h5"); });
}

// A limit on the size of files stands for a full disk.
TEST_F(Hdf5, AFullDiskIsAMachineErrorAndLeavesNothing) {
  H5open();  // as whoever else uses the library in this process may have
  const auto write_too_much = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      hdf5::OutputFile file(path_);
      const std::vector<std::uint64_t> values(100'000, 1);
      file.root().write<std::uint64_t>("values", {100'000}, values);
      file.commit();
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
      std::exit(static_cast<int>(error.kind()));  // through the library's own clean-up, which must not hang or crash
    }
    std::exit(0);
  };
  EXPECT_EXIT(write_too_much(), ::testing::ExitedWithCode(4), "/values: cannot write .File too large");
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

}  // namespace
}  // namespace moecarlo
