#include "host/support/hdf5_reader.hpp"

#include <gmock/gmock.h>
#include <hdf5.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>
#include <vector>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

using namespace std::chrono_literals;

/// Processes whose parent is this one.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream stat(entry.path() / "stat");
    pid_t process = 0, its_parent = 0;
    std::string name, state;  // of a name without spaces
    if (stat >> process >> name >> state >> its_parent && its_parent == parent) children.push_back(process);
  }
  return children;
}

TEST(Hdf5Reader, GivesUpOnAProcessThatNeitherAnswersNorComputes) {
  const auto path = std::filesystem::temp_directory_path() / ("moecarlo-silent-" + std::to_string(::getpid()) + ".h5");
  H5Fclose(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  const auto reader = std::make_shared<hdf5::Reader>(path, 300ms);
  EXPECT_EQ(reader->ask_number(hdf5::Question::has, 0, "member"), 0U);
  for (const pid_t launcher : children_of(::getpid())) {
    for (const pid_t process : children_of(launcher)) ::kill(process, SIGSTOP);
  }
  try {
    reader->ask_number(hdf5::Question::has, 0, "member");
    ADD_FAILURE() << "a process that stands still answered";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::input);
    EXPECT_EQ(error.what(), path.string() + ": takes too long to read (nothing came for 0.3 s)");
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace moecarlo
