#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/report/narrative/bit_slice_blocks.hpp"
#include "host/report/narrative/figures.hpp"
#include "host/report/narrative/markdown.hpp"
#include "host/report/narrative/tables.hpp"
#include "host/report/results/summary.hpp"
#include "tests/report/markup.hpp"
#include "tests/report/sample_results.hpp"

namespace moecarlo {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// Two thirds of the weights are 1, the others -16; of a scale of 1.
WeightFigures some_weights() {
  WeightSums sums;
  sums.values[1] = 200;
  sums.values[0xF0] = 100;
  sums.squared_scales[1] = 200;
  sums.squared_scales[0xF0] = 100;
  return figures_of(sums, {4, 5});
}

StudyResults with_bit_slices() {
  StudyResults results = sample_results();
  results.bit_slices =
      BitSliceResult{"bits.json", "tiny", some_weights(), {{"upper slice", "bit per weight", 4.5, 4.25}}};
  return results;
}

std::string report_of(const StudyResults& results) {
  return markdown(build_document(
      results, results.bit_slices ? bit_slice_figures(results.bit_slices->figures) : std::vector<Figure>()));
}

TEST(BitSlicesInReport, figures_are_well_formed_and_name_what_they_show) {
  std::vector<std::string> ids;
  for (const Figure& figure : bit_slice_figures(some_weights())) {
    ids.push_back(figure.id);
    EXPECT_NO_THROW(tags_of(figure.svg)) << figure.id;
    EXPECT_THAT(figure.svg, Not(HasSubstr("nan"))) << figure.id;
  }
  EXPECT_THAT(ids, ElementsAre("weight_values", "slice_values", "draft_sqnr", "draft_cosine", "plane_sizes"));
}

TEST(BitSlicesInReport, tables_show_the_figures) {
  const WeightFigures weights = some_weights();
  const Table slices = slice_table(weights), errors = draft_error_table(weights), planes = plane_table(weights);
  ASSERT_EQ(slices.rows.size(), 2U);
  EXPECT_EQ(slices.rows[0][0], "4");
  EXPECT_EQ(slices.rows[0][3], "66.7");  // the upper half of 1 is zero
  ASSERT_EQ(errors.rows.size(), 8U);
  // Truncation reads 1 as 0 and -16 as it is: 200 squares of 1 in 300 weights.
  EXPECT_THAT(errors.rows[0], ElementsAre("truncate", "4", "21.11", "0.99612", "0.6667"));
  EXPECT_EQ(planes.rows.size(), 8U);
  EXPECT_EQ(planes.rows[0][0], "7 (sign)");
}

TEST(BitSlicesInReport, nominal_and_measured_stand_side_by_side) {
  const std::string text = report_of(with_bit_slices());
  EXPECT_THAT(text, HasSubstr("| upper slice | bit per weight | 4.5 | 4.25 |"));
  EXPECT_THAT(text, HasSubstr("300 INT8 weights of tiny"));
  EXPECT_THAT(report_of(sample_results()), Not(HasSubstr("bits of the weights")));
}

TEST(BitSlicesInReport, a_summary_keeps_them) {
  const std::string text = summary_json(with_bit_slices());
  EXPECT_EQ(summary_json(parse_summary(text, "summary.json")), text);
}

}  // namespace
}  // namespace moecarlo
