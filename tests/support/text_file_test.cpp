#include "host/support/text_file.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

namespace moecarlo {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

class TextFile : public ::testing::Test {
 protected:
  TextFile() { std::filesystem::create_directories(folder_); }
  ~TextFile() override { std::filesystem::remove_all(folder_); }

  std::string make_pipe() const {
    EXPECT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
    return folder_ / "pipe";
  }

  static void expect_refused(const std::filesystem::path& path, std::uint64_t most_bytes, const char* says) {
    try {
      read_text_file(path, ErrorKind::input, "a text", most_bytes);
      ADD_FAILURE() << path << " was accepted";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(path.string() + ": " + says));
    }
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("moecarlo-text-file-" + std::to_string(::getpid()));
};

TEST_F(TextFile, IsReadWholeUpToItsLimit) {
  const std::string text(3'000'000, 'a');
  std::ofstream(folder_ / "text") << text;
  EXPECT_EQ(read_text_file(folder_ / "text", ErrorKind::input, "a text", text.size()), text);
  expect_refused(folder_ / "text", text.size() - 1, "too large");
  EXPECT_EQ(read_text_start(folder_ / "text", ErrorKind::input, "a text", 10), "aaaaaaaaaa");
}

TEST_F(TextFile, ThatIsNoneIsRefused) {
  expect_refused(folder_, 10, "cannot be read (expected a text)");
  expect_refused(folder_ / "nowhere", 10, "cannot be read (expected a text)");
  expect_refused("/dev/zero", 10, "too large");
}

TEST_F(TextFile, APipeThatNobodyWritesToIsNotWaitedFor) {
  const auto start = std::chrono::steady_clock::now();
  expect_refused(make_pipe(), 10, "an empty pipe (expected a text)");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
}

TEST_F(TextFile, APipeGivesWhatIsWrittenToItInTime) {
  const std::string pipe = make_pipe();
  std::thread writer([&] {
    std::ofstream stream(pipe);  // waits for the reader
    stream << "one " << std::flush;
    std::this_thread::sleep_for(300ms);
    stream << "two";
  });
  EXPECT_EQ(read_text_file(pipe, ErrorKind::input, "a text", 100), "one two");
  writer.join();
}

}  // namespace
}  // namespace moecarlo
