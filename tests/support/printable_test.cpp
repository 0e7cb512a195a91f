#include "host/support/printable.hpp"

#include <gtest/gtest.h>

#include <random>

#include "host/support/error.hpp"

namespace moecarlo {
namespace {

TEST(Printable, LeavesTextAsItIs) {
  for (const char* text : {"", "gpt-oss-20b", "Müller: \"a\\b\" 'c'", "专家 🧪 é", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(printable(text), text);
  }
}

TEST(Printable, EscapesWhatSteersATerminal) {
  EXPECT_EQ(printable("a\nb\r\tc"), "a\\nb\\r\\tc");
  EXPECT_EQ(printable("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\u009b31m")
      << "the control sequence introducer of eight-bit terminals";
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b\xE2\x80\xA8"),
            "a\\u202eb\\u2028");
}

TEST(Printable, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(printable("\xFF"), "\\xff");
  EXPECT_EQ(printable("a\xC3"), "a\\xc3") << "a character that breaks off";
  EXPECT_EQ(printable("\xC0\xAF"), "\\xc0\\xaf") << "overlong";
  EXPECT_EQ(printable("\xE0\x80\xAF"), "\\xe0\\x80\\xaf") << "overlong";
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "above U+10FFFF";
  EXPECT_EQ(printable("\xC3("), "\\xc3(");
}

TEST(Printable, CutsTheMiddleBetweenCharacters) {
  const std::string cut = printable(std::string(10'000, 'a') + std::string(10'000, 'b'));
  EXPECT_EQ(cut.size(), most_printed_bytes);
  EXPECT_EQ(cut.substr(0, 4), "aaaa");
  EXPECT_EQ(cut.substr(cut.size() - 4), "bbbb");
  std::string wide;
  for (int i = 0; i < 100'000; ++i) wide += "é";
  for (std::size_t most = 90; most < 100; ++most) {
    EXPECT_LE(printable(wide, most).size(), most);
    EXPECT_EQ(printable(wide, most).find("\\x"), std::string::npos) << most;
  }
}

TEST(Printable, IsDoneOnceHoweverOftenItIsApplied) {
  std::mt19937 random(1);
  for (int repeat = 0; repeat < 2000; ++repeat) {
    std::string text(random() % 1500, '\0');
    for (char& c : text) c = static_cast<char>(random());
    const std::string once = printable(text);
    EXPECT_LE(once.size(), most_printed_bytes);
    EXPECT_EQ(printable(once), once);
    for (const char c : once) EXPECT_GE(static_cast<unsigned char>(c), 0x20U);
  }
}

TEST(Printable, EveryTextOfAnErrorIs) {
  try {
    const std::string value = "\x1b[31m" + std::string(100'000, 'x');
    fail(ErrorKind::input, "{}: unknown (found {}, {:.3}, {})", "a\nb", value, "\x01\x02", 7);
  } catch (const Error& error) {
    const std::string line = error.what();
    EXPECT_EQ(line.rfind("a\\nb: unknown (found \\x1b[31mxxxxxxxxxxxxx", 0), 0U);
    EXPECT_EQ(line.substr(line.size() - 9), ", \\x0, 7)");
    EXPECT_LT(line.size(), 600U);
  }
}

}  // namespace
}  // namespace moecarlo
