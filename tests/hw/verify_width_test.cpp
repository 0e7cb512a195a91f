#include "hw/calibrate/verify_width.hpp"

#include <gmock/gmock.h>

#include "tests/hw/samples.hpp"

namespace moecarlo::hw {
namespace {

using testing::HasSubstr;

std::vector<WidthPoint> judged(const std::string& lines) {
  const SampleFile file("width.csv", "model,machine,verify_width,milliseconds,shares_reads\n" + lines);
  EXPECT_TRUE(holds_width_rows(file.path()));
  return judge_widths(read_width_rows(file.path()), {});
}

TEST(VerifyWidth, RowsAreRatiosToWidthOneBetweenOneReadAndARowsReads) {
  const auto points = judged(
      "GLM-4.7-Flash 4 bit,M3 Max,1,10,\nGLM-4.7-Flash 4 bit,M3 Max,2,15,\nGLM-4.7-Flash 4 bit,M3 Max,8,90,no\n"
      "GLM-4.7-Flash 4 bit,M3 Max,4,10.1,\n");
  EXPECT_EQ(points[0].verdict, "");
  EXPECT_EQ(points[1].measured, 1.5);
  EXPECT_EQ(points[1].verdict, "pass");
  EXPECT_GT(points[1].low, 1.1);
  EXPECT_LT(points[1].high, 2) << "overheads and the KV cache do not grow with the rows";
  EXPECT_EQ(points[1].ours, points[1].low) << "the preset says nothing of kernels that do not share reads";
  EXPECT_EQ(points[2].verdict, "fail");
  EXPECT_THAT(points[2].reason, HasSubstr("more than with every row's reads"));
  EXPECT_EQ(points[3].verdict, "fail");
  EXPECT_THAT(points[3].reason, HasSubstr("less than with every weight read once"));
}

TEST(VerifyWidth, WhatIsNoPresetCannotBeJudged) {
  const auto points = judged(
      "Some Model,M3 Max,1,10,\nSome Model,M3 Max,2,15,\n"
      "GLM-4.7-Flash,M9,1,10,\nGLM-4.7-Flash,M9,2,21,\n");
  EXPECT_EQ(points[1].verdict, "cannot be judged");
  EXPECT_EQ(points[1].reason, "no preset of Some Model");
  EXPECT_EQ(points[3].reason, "no preset of M9; more than reading everything for each row");
  EXPECT_THAT(error_of([] { judged("GLM-4.7-Flash,M3 Max,2,15,\n"); }), HasSubstr("no row of width 1"));
}

TEST(VerifyWidth, GlmOnM3MaxLiesBetweenTheBoundsAndTheOthersCannotBeJudged) {
  const std::filesystem::path file =
      std::filesystem::path(MOECARLO_RECORDED_TRACES).parent_path() / "published/measured/verify-width.csv";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no measured points at " << file;
  std::size_t judged = 0;
  for (const WidthPoint& point : judge_widths(read_width_rows(file), {})) {
    if (point.row.width == 1) continue;
    const bool known = point.row.model.rfind("GLM-4.7-Flash", 0) == 0;
    judged += known ? 1 : 0;
    EXPECT_EQ(point.verdict, known ? "pass" : "cannot be judged") << point.row.place;
  }
  EXPECT_GE(judged, 1U);
}

}  // namespace
}  // namespace moecarlo::hw
