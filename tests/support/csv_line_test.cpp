#include "host/support/csv_line.hpp"

#include <gtest/gtest.h>

namespace moecarlo {
namespace {

using Fields = std::vector<std::string>;

TEST(CsvLine, FieldsStandBetweenCommas) {
  EXPECT_EQ(csv_fields("a,b,,c\r"), (Fields{"a", "b", "", "c"}));
  EXPECT_EQ(csv_fields(""), Fields{""});
  EXPECT_EQ(csv_fields(","), (Fields{"", ""}));
}

TEST(CsvLine, QuotesHoldCommasAndTwoOfThemAreOne) {
  EXPECT_EQ(csv_fields("\"batch 64, 256/256\",1.18,GLaM"), (Fields{"batch 64, 256/256", "1.18", "GLaM"}));
  EXPECT_EQ(csv_fields("\"a \"\"b\"\" c\",\"\""), (Fields{"a \"b\" c", ""}));
  EXPECT_EQ(csv_fields("5\" disk,x"), (Fields{"5\" disk", "x"}));  // only where a field begins
}

}  // namespace
}  // namespace moecarlo
