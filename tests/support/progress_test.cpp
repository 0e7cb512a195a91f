#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>

#include "host/support/memory_limit.hpp"
#include "host/support/progress.hpp"

namespace moecarlo {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ProgressTest : public ::testing::Test {
 protected:
  std::string shown() {
    std::string text;
    std::rewind(out_.get());
    for (int c = std::fgetc(out_.get()); c != EOF; c = std::fgetc(out_.get())) text += static_cast<char>(c);
    return text;
  }

  const Progress::Clock::time_point start_ = Progress::Clock::now();
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out_{std::tmpfile(), std::fclose};
};

TEST_F(ProgressTest, PlainLinesComeEveryTenSecondsOnly) {
  {
    Progress progress("reading", 200, ProgressStyle::lines, out_.get(), start_);
    for (int second = 0; second <= 25; ++second) progress.update(2 * second, start_ + second * 1s);
  }
  EXPECT_EQ(shown(),
            "reading: 20 of 200 (10 %), 2 a second, 90 s left\nreading: 40 of 200 (20 %), 2 a second, 80 s left\n");
}

TEST_F(ProgressTest, AResumedJobIsTimedFromWhereItBegan) {
  {
    Progress progress("simulating", 1000, ProgressStyle::lines, out_.get(), start_);
    progress.update(500, start_);
    progress.update(600, start_ + 10s, "worst half-width 2 %");
  }
  EXPECT_EQ(shown(), "simulating: 600 of 1000 (60 %), 10 a second, 40 s left, worst half-width 2 %\n");
}

TEST_F(ProgressTest, AShorterBarLeavesNothingOfALongerOne) {
  {
    Progress progress("reading", 4, ProgressStyle::bar, out_.get(), start_);
    progress.update(1, start_ + 1s);
    progress.update(2, start_ + 2s);
    progress.update(4, start_ + 3s);
  }
  EXPECT_THAT(shown(), HasSubstr(" 50 %, 1 a second, 2 s left\r"));
  EXPECT_THAT(shown(), HasSubstr("] 100 %                      \n"));
}

TEST_F(ProgressTest, AShortJobIsSilentInAPipe) {
  {
    Progress progress("reading", 10, ProgressStyle::lines, out_.get(), start_);
    progress.update(10, start_ + 1s);
  }
  EXPECT_EQ(shown(), "");
}

TEST_F(ProgressTest, ABarIsRedrawnInPlaceAndEndsItsLine) {
  {
    Progress progress("reading", 4, ProgressStyle::bar, out_.get(), start_);
    progress.update(1, start_ + 1s);
    progress.update(2, start_ + 1s);  // too soon after the last
    progress.update(4, start_ + 1s);  // the end is always shown
  }
  const std::string text = shown();
  EXPECT_THAT(text, HasSubstr("\rreading [##########                              ]  25 %"));
  EXPECT_THAT(text, HasSubstr("\rreading [########################################] 100 %\n"));
  EXPECT_EQ(text.find(" 50 %"), std::string::npos);
}

TEST_F(ProgressTest, QuietShowsNothing) {
  EXPECT_EQ(progress_style(true), ProgressStyle::silent);
  {
    Progress progress("reading", 4, ProgressStyle::silent, out_.get(), start_);
    progress.update(4, start_ + 60s);
  }
  EXPECT_EQ(shown(), "");
}

TEST(MemoryLimit, IsBetweenAMegabyteAndAnExabyte) {
  EXPECT_GT(available_memory_bytes(), std::uint64_t{1} << 20);
  EXPECT_LT(available_memory_bytes(), std::uint64_t{1} << 60);
}

}  // namespace
}  // namespace moecarlo
