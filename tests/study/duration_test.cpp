#include "host/study/duration.hpp"

#include <gtest/gtest.h>

namespace moecarlo {
namespace {

TEST(ParseDuration, TakesSecondsMinutesAndHours) {
  EXPECT_EQ(parse_duration("90"), 90.0);
  EXPECT_EQ(parse_duration("90s"), 90.0);
  EXPECT_EQ(parse_duration("0.001s"), 0.001);
  EXPECT_EQ(parse_duration("20m"), 1200.0);
  EXPECT_EQ(parse_duration("20min"), 1200.0);
  EXPECT_EQ(parse_duration("1.5h"), 5400.0);
}

TEST(ParseDuration, RefusesWhatIsNoPositiveLengthOfTime) {
  for (const char* text : {"", "h", "soon", "0", "-3s", "3 weeks", "3d", "1h30m", "nan", "inf", "1e999", "5s ", "2H"}) {
    EXPECT_FALSE(parse_duration(text)) << '"' << text << '"';
  }
}

}  // namespace
}  // namespace moecarlo
