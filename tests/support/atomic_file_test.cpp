#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "host/support/atomic_file.hpp"
#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using ::testing::HasSubstr;

class AtomicFile : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static std::string content(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::size_t files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("moecarlo-atomic-" + std::to_string(::getpid()));
};

TEST_F(AtomicFile, ReplacesTheWholeContent) {
  write_atomically(folder_ / "a.txt", "first, and longer");
  write_atomically(folder_ / "a.txt", "second");
  EXPECT_EQ(content(folder_ / "a.txt"), "second");
  EXPECT_EQ(files(), 1U);
}

TEST_F(AtomicFile, TakesAContentInPieces) {
  write_atomically(folder_ / "a.txt", [](const TextSink& sink) {
    PiecedText text(sink);
    for (int i = 0; i < 200'000; ++i) {
      text.text() += "line\n";
      text.hand_on();
    }
    text.finish();
  });
  const std::string whole = content(folder_ / "a.txt");
  EXPECT_EQ(whole.size(), 1'000'000U);
  EXPECT_EQ(whole.find_first_not_of("line\n"), std::string::npos);
}

TEST_F(AtomicFile, WhatThrowsBetweenPiecesLeavesTheOldFile) {
  write_atomically(folder_ / "a.txt", "old");
  const auto half = [](const TextSink& sink) {
    sink("half");
    throw std::runtime_error("no more");
  };
  EXPECT_THROW(write_atomically(folder_ / "a.txt", half), std::runtime_error);
  EXPECT_EQ(content(folder_ / "a.txt"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(AtomicFile, WithoutCommitNothingStaysAndTheOldFileLives) {
  write_atomically(folder_ / "a.txt", "old");
  {
    const TemporaryFile temporary(folder_ / "a.txt");
    std::ofstream(temporary.path()) << "half";
    EXPECT_EQ(files(), 2U);
  }
  EXPECT_EQ(content(folder_ / "a.txt"), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(AtomicFile, ObeysTheFileModeMask) {
  const mode_t mask = ::umask(027);
  write_atomically(folder_ / "a.txt", "x");
  ::umask(mask);
  EXPECT_EQ(std::filesystem::status(folder_ / "a.txt").permissions(), std::filesystem::perms(0640));
}

TEST_F(AtomicFile, UnwritablePlacesAreMachineErrorsThatNameTheTarget) {
  write_atomically(folder_ / "file", "x");
  std::filesystem::create_directory(folder_ / "taken");
  for (const char* name : {"absent/a.txt", "file/a.txt", "taken"}) {
    try {
      write_atomically(folder_ / name, "x");
      ADD_FAILURE() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::machine);
      EXPECT_THAT(error.what(), HasSubstr((folder_ / name).string() + ": cannot write"));
    }
  }
}

// A limit on the size of files stands for a full disk: write() fails half way in the same manner.
TEST_F(AtomicFile, AFullDiskLeavesTheOldFileAndNoTemporary) {
  write_atomically(folder_ / "a.txt", "old");
  const auto write_too_much = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_atomically(folder_ / "a.txt", std::string(5000, 'x'));
    } catch (const Error& error) {
      std::fputs(error.what(), stderr);
      std::_Exit(static_cast<int>(error.kind()));
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(write_too_much(), ::testing::ExitedWithCode(4), "cannot write .*File too large");
  EXPECT_EQ(content(folder_ / "a.txt"), "old");
  EXPECT_EQ(files(), 1U);
}

}  // namespace
}  // namespace moecarlo
